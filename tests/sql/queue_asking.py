"""The machine that holds the queue against a model: its memory, how it asks, and what must hold."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)

from tests.sql.queue_invariants import VIOLATIONS
from tests.sql.queue_world import (
    HOLDS,
    LEDGER,
    SCOPES,
    SNAPSHOT,
    TRAIL,
    Attachment,
    Connection,
    Item,
    Job,
    Place,
    Removal,
    Trail,
)

ASIDE = ("file removed", "held", "hold released")
"""Events that leave an attachment where it is."""


class CheckedQueue(RuleBasedStateMachine):
    """Knows what is there, calls functions, and checks after each what must hold."""

    def __init__(self, db: Connection) -> None:
        super().__init__()
        self.db = db
        self.messages: list[UUID] = []
        self.queued: dict[tuple[UUID, str], UUID] = {}
        self.attachments: dict[UUID, Attachment] = {}
        self.jobs: list[Job] = []
        self.removals: list[Removal] = []
        self.files: dict[Place, str] = {}
        self.trails: dict[UUID, Trail] = {}
        self.sizes: dict[UUID, int] = {}
        self.tokens: dict[UUID, int] = {}
        self.ledger: dict[str, Counter[str]] = {}
        self.last_event = 0
        self.checked = True

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        return self.db.execute(query.encode(), parameters).fetchall()

    def call(self, function: str, *arguments: object) -> list[dict[str, Any]]:
        self.checked = False
        return self.rows(
            f"select * from {function}({', '.join(['%s'] * len(arguments))})", *arguments
        )

    def run(self, statement: str, *parameters: object) -> None:
        self.checked = False
        self.db.execute(statement.encode(), parameters)

    def snapshot(self) -> list[dict[str, Any]]:
        return self.rows(SNAPSHOT)

    def fenced(self, job: Job, function: str, *arguments: object) -> dict[str, Any] | None:
        """A call about a job: refused, and without effect, exactly when the poller lost it."""
        holds = bool(self.rows(HOLDS, job.media, job.poller, job.token))
        before = [] if holds else self.snapshot()
        if holds:
            return self.call(function, job.media, job.poller, job.token, *arguments)[0]
        with pytest.raises(psycopg.Error) as refused:
            self.call(function, job.media, job.poller, job.token, *arguments)
        assert refused.value.sqlstate == "MD001"
        assert self.snapshot() == before
        job.stage = "lost" if job.stage in ("uploaded", "lost") else "over"
        return None

    def new_message(self, phone_number_id: str) -> UUID:
        return self.rows(
            "insert into messages (whatsapp_message_id, phone_number_id, message_type)"
            " values (%s, %s, 'text') returning id",
            uuid4().hex, phone_number_id,
        )[0]["id"]  # fmt: skip

    def media(self, number: int) -> UUID:
        return list(self.queued.values())[number % len(self.queued)]

    def forget(self, *gone: UUID) -> None:
        self.queued = {key: media for key, media in self.queued.items() if media not in gone}

    def pick(self, among: list[Item], number: int) -> Item | None:
        return among[number % len(among)] if among else None

    def is_reserved(self, object_id: UUID | None) -> bool:
        return bool(
            self.rows("select from media_objects where id = %s and state <> 'deleting'", object_id)
        )

    def end_leases(self, poller: str) -> None:
        for table in ("media_processing_queue", "media_deletion_queue"):
            self.run(
                f"update {table} set lease_until = now() - interval '1 s' where claimed_by = %s",
                poller,
            )

    def make_due(self) -> None:
        for table in ("media_processing_queue", "media_deletion_queue"):
            self.run(f"update {table} set due_at = queued_at - interval '1 hour'")

    def resume_sources(self) -> None:
        for scope in SCOPES:
            self.call("resume_media_source", scope)

    # What holds after every step.

    @invariant()
    def holds_together(self) -> None:
        if self.checked:
            return
        assert self.rows(VIOLATIONS) == []
        self.follow_the_trails()
        self.check_tokens()
        self.check_files()
        self.checked = True

    def check_tokens(self) -> None:
        for row in self.rows(
            "select id, fencing_token from media_processing_queue"
            " union all select id, fencing_token from media_deletion_queue"
        ):
            assert row["fencing_token"] >= self.tokens.get(row["id"], 0), "a fencing token fell"
            self.tokens[row["id"]] = row["fencing_token"]

    def check_files(self) -> None:
        """What is stored is in storage, with the right bytes."""
        for row in self.rows(
            "select bucket_name, storage_path, content_hash from media_objects"
            " where state = 'stored'"
        ):
            assert self.files.get((row["bucket_name"], row["storage_path"])) == row["content_hash"]

    def follow_the_trails(self) -> None:
        """Every trail is a legal story that ends where the attachment is; the analytics add up."""
        present = {
            row["id"]: row
            for row in self.rows(
                "select m.id, media_state(m.processed, q.status, m.failure_code) as state,"
                " coalesce(m.media_type, 'unknown') as media_type, m.file_size, m.object_id"
                " from media m left join media_processing_queue q on q.id = m.id"
            )
        }
        objects = self.rows("select id, file_size from media_objects where file_size is not null")
        self.sizes |= {row["id"]: row["file_size"] for row in objects}
        for media, row in present.items():
            trail = self.trails.setdefault(media, Trail())
            trail.media_type = row["media_type"]
            trail.deleted_bytes = row["file_size"] if row["object_id"] else 0
        for row in self.rows(
            "select * from media_audit_log where id > %s order by id", self.last_event
        ):
            self.last_event = row["id"]
            if row["media_id"] == UUID(int=0) or row["event"] in ASIDE:
                continue  # of no attachment (a setting, a pause, a file), or a hold
            trail = self.trails[row["media_id"]]
            trail.events.append(row["event"])
            assert row["event"] in TRAIL[trail.state], trail.events
            trail.state = TRAIL[trail.state][row["event"]]
            self.count(row["event"], trail, row["detail"])
        for media, trail in self.trails.items():
            assert trail.state == (present[media]["state"] if media in present else "deleted"), (
                trail.events
            )
        assert set(present) == set(self.queued.values())
        counted = {
            row.pop("media_type"): {name: n for name, n in row.items() if n}
            for row in self.rows(LEDGER)
        }
        assert {name: of for name, of in counted.items() if of} == self.ledger
        (drift,) = self.rows(
            "select (select count(*) from media where object_id is not null)"
            " - (select coalesce(sum(stored_files), 0) from list_media_totals()) as files,"
            " (select coalesce(sum(file_size), 0) from media where object_id is not null)"
            " - (select coalesce(sum(stored_bytes), 0) from list_media_totals()) as bytes"
        )
        assert (drift["files"], drift["bytes"]) == (0, 0)

    def count(self, event: str, trail: Trail, detail: dict[str, Any] | None) -> None:
        lost = event in ("file missing", "file differs")
        if not lost and event not in ("stored", "deduplicated", "failed", "deleted"):
            return
        counts = self.ledger.setdefault(trail.media_type, Counter())
        if event == "deleted":
            counts += Counter(deleted_files=1, deleted_bytes=trail.deleted_bytes)
        elif event == "failed":
            counts += Counter(failed_files=1)
        else:
            assert detail
            size = self.sizes[UUID(detail["object_id"])]
            if lost:
                counts += Counter(lost_files=1, lost_bytes=size)
            elif event == "stored":
                counts += Counter(total_files=1, total_size_bytes=size, unique_files=1)
            else:
                counts += Counter(
                    total_files=1, total_size_bytes=size, deduplicated_files=1, saved_bytes=size
                )
        self.ledger[trail.media_type] = counts
