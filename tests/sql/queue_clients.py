"""What clients and operators do to the queue, and what time does."""

from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
)
from psycopg.types.json import Jsonb

from tests.sql.queue_asking import CheckedQueue
from tests.sql.queue_world import (
    ANY,
    ATTACHMENTS,
    EVENTS,
    OPERATIONS,
    PHOTO,
    SCOPES,
    VOICE,
    Arrival,
    Attachment,
    Place,
)


class ServedQueue(CheckedQueue):
    """Attachments are queued, cancelled, retried, deleted and lost, and time passes."""

    @rule(attachments=st.lists(ATTACHMENTS, min_size=1, max_size=4))
    def queue(self, attachments: list[Arrival]) -> None:
        for message, name, (media_type, content), hints, priority in attachments:
            other = VOICE if content is PHOTO else PHOTO
            hashes = {True: content.hash, False: other.hash, None: None}
            webhook_hash, endpoint_hash = (hashes[hint] for hint in hints)
            key = (self.messages[message], name)
            before = self.snapshot() if key in self.queued else None
            answer = self.call(
                "queue_media_processing",
                *key,
                media_type,
                None,
                None,
                None,
                None,
                webhook_hash,
                priority,
            )
            media = answer[0]["queue_media_processing"]
            if before is None:
                self.queued[key] = media
                self.attachments[media] = Attachment(content, endpoint_hash)
            else:
                assert media == self.queued[key]
                assert self.snapshot() == before
            self.holds_together()

    @rule(number=ANY, what=st.sampled_from([*OPERATIONS, *EVENTS]))
    def happen(self, number: int, what: str) -> None:
        if what in EVENTS:
            self.pass_time(what)
        else:
            self.operate(number, what)

    def operate(self, number: int, operation: str) -> None:
        if not self.queued:
            return
        media = self.media(number)
        state = self.trails[media].state
        if operation == "cancel":
            at_work = state in ("pending", "processing", "waiting")
            assert self.call("cancel_media", media) == [{"cancel_media": at_work}]
        elif operation == "retry":
            ended = state in ("failed", "cancelled")
            assert self.call("retry_media", media) == [{"retry_media": ended}]
        elif operation == "retry many":
            self.call("retry_failed_media", None, None, number)
        elif operation == "pause":
            self.call("pause_media_source", SCOPES[number % len(SCOPES)])
        elif operation == "resume":
            self.resume_sources()
        elif operation == "lose":
            self.lose(number)
        elif operation == "hold":
            self.hold(media)
        elif operation == "touch":
            assert self.call("touch_media", media) == [{"touch_media": True}]
        elif operation == "clean up":
            self.clean_up(self.messages[number % len(self.messages)], wanted=number % 2 == 0)
        elif operation == "queue again":
            self.queue_again()
        elif operation == "delete":
            assert self.call("delete_media", media) == [{"delete_media": True}]
            assert self.call("delete_media", media) == [{"delete_media": False}]
            self.forget(media)
        elif operation == "delete many":
            gone = [media, self.media(number + 1), self.media(number + 2)]
            self.run("delete from media where id = any (%s)", gone)
            self.forget(*gone)
        else:
            message = number % len(self.messages)
            gone = [found for key, found in self.queued.items() if key[0] == self.messages[message]]
            self.run("delete from messages where id = %s", self.messages[message])
            self.forget(*gone)
            self.messages[message] = self.new_message(str(message % 2))

    def hold(self, media: UUID) -> None:
        """Nothing deletes what is held, until it is let go."""
        self.call("hold_media", media, "a case")
        before = self.snapshot()
        with pytest.raises(psycopg.Error) as refused:
            self.call("delete_media", media)
        assert refused.value.sqlstate == "MD021"
        assert self.snapshot() == before
        for held in (True, False):
            answer = self.call("release_media_hold", media)
            assert answer == [{"release_media_hold": held}]

    def clean_up(self, message: UUID, *, wanted: bool) -> None:
        """A message grows old: what came with it goes, but for what is in work or looked at."""
        aged = {media for key, media in self.queued.items() if key[0] == message}
        self.run(
            "update media set message_sent_at = now() - interval '40 days' where message_id = %s",
            message,
        )
        kept = {row["media_id"] for row in self.rows("select media_id from media_accesses")}
        gone = {media for media in aged if self.trails[media].state != "processing"}
        gone -= kept if wanted else set()
        deleted = 0
        for _ in range(3):  # the first may end a pass that began before these were old
            (answer,) = self.call("cleanup_old_media", 30, None, 30 if wanted else None)
            deleted += answer["cleanup_old_media"]
        left = {row["id"] for row in self.rows("select id from media")}
        assert (aged - left, deleted) == (gone, len(gone))
        self.forget(*gone)
        self.run("update media set message_sent_at = null where message_id = %s", message)

    def queue_again(self) -> None:
        """All that is known comes once more, in one call: nothing changes."""
        again = [
            {"message_id": str(message), "whatsapp_media_id": name} for message, name in self.queued
        ]
        before = self.snapshot()
        ((ids,),) = (row.values() for row in self.call("queue_media_attachments", Jsonb(again)))
        assert ids == [*self.queued.values()]
        assert self.snapshot() == before

    def lose(self, number: int) -> None:
        """A stored file is lost, or cut off: reconciling finds that, and what uploads left."""
        objects = self.rows(
            "select bucket_name, storage_path from media_objects where state = 'stored'"
            " order by content_hash, is_public"
        )
        if not (picked := self.pick(objects, number)):
            return
        hit: Place = (picked["bucket_name"], picked["storage_path"])
        if number % 2:
            del self.files[hit]
        (run,) = self.call("begin_media_reconcile", "https://project.supabase.co")
        self.call("add_media_listing", run["run_id"], self.describe_files([*self.files], hit))
        for bucket in run["bucket_names"]:
            after: str | None = ""
            while after is not None:
                (answer,) = self.call("compare_media_storage", run["run_id"], bucket, after, 2)
                after = answer["last_path"]
        found = self.call("list_media_differences", run["run_id"], "found", 1000)
        asked = self.describe_files(
            [(row["bucket_name"], row["storage_path"]) for row in found], hit
        )
        confirmed = self.call("confirm_media_differences", run["run_id"], asked)
        assert len(confirmed) == len(found)
        fixed = self.call("fix_media_differences", run["run_id"], asked)
        assert {row["outcome"] for row in fixed} <= {"removal queued", "queued again"}
        assert [
            (row["bucket_name"], row["storage_path"])
            for row in fixed
            if row["difference"] != "orphan"
        ] == [hit]
        self.call("end_media_reconcile", run["run_id"])

    def describe_files(self, places: list[Place], cut: Place) -> str:
        """What storage says of these places, and when asked: its files are old, one is cut off."""
        return json.dumps(
            [
                {
                    "bucket_name": bucket,
                    "storage_path": path,
                    "is_there": (bucket, path) in self.files,
                    "file_size": 1 if (bucket, path) == cut else None,
                    "created_at": "2026-01-01",
                }
                for bucket, path in places
            ]
        )

    def pass_time(self, event: str) -> None:
        if event == "due times come":
            self.make_due()
        elif event == "an hour passes":
            self.make_due()
            self.run("update media_pauses set until = until - interval '1 hour'")
            self.run(
                "update media_sources"
                " set refused_at = array(select r - interval '1 hour' from unnest(refused_at) r)"
            )
            self.run("update media_unheard_requests set ended_at = ended_at - interval '1 hour'")
        elif event == "rescue":
            self.call("rescue_media_jobs", 2)
        else:
            self.call("run_media_maintenance")
