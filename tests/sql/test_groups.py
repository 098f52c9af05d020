"""Verdicts that are asked for together are those of calls one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.helpers import POLLER, claim, events, queue_media, sha256, status, store

TOO_LARGE = 52_428_801


@dataclass(frozen=True)
class Case:
    """What WhatsApp says about a file, what its bytes are, and what becomes of it."""

    content: str
    outcome: str
    mime_type: str | None = "image/jpeg"
    size: int = 1000
    is_told: bool = True
    """Does WhatsApp tell its hash?"""
    found: str = "image/jpeg"
    arrives: str | None = None
    """Other bytes than those whose hash was told."""


CASES = [
    Case("new", "download, upload, stored"),
    Case("known", "deduplicated, stored"),
    Case("twice", "download, upload, stored"),
    Case("twice", "joined, stored"),
    Case("large", "rejected too_large, failed", size=TOO_LARGE),
    Case("program", "rejected type_not_allowed, failed", mime_type="application/x-sh"),
    Case("untold", "download, upload, stored", is_told=False),
    Case("untold twice", "download, upload, stored", is_told=False),
    Case("untold twice", "download, joined, stored", is_told=False),
    Case("known", "download, deduplicated, stored", is_told=False),
    Case("broken", "download, retry hash_mismatch, pending", arrives="on the way"),
    Case("disguised", "download, rejected type_mismatch, failed", found="video/mp4"),
    Case("unasked", "download, upload, stored", mime_type=None, is_told=False),
]
COUNTED = """
select sum(total_files), sum(total_size_bytes), sum(unique_files), sum(deduplicated_files),
    sum(saved_bytes),
    sum(failed_files), sum(stored_files), sum(stored_bytes)
from media_analytics_deltas
union all
select sum(objects), sum(bytes), null, null, null, null, null, null from media_bucket_deltas
"""


class Group:
    """Attachments of each case, whose calls are made together or one after the other."""

    def __init__(self, db: Any, name: str, *, together: bool) -> None:
        self.db = db
        self.name = name
        self.size = len(CASES) if together else 1
        self.jobs: list[tuple[UUID, int]] = []
        self.told: list[list[str]] = [[] for _ in CASES]

    def hash_of(self, content: str) -> str:
        return sha256(f"{self.name} {content}".encode())

    async def call(self, function: str, rows: dict[int, tuple[Any, ...]]) -> dict[int, Any]:
        """The answers, by case; `rows` has the arguments after id and token."""
        answers: dict[int, Any] = {}
        numbers = list(rows)
        for start in range(0, len(numbers), self.size):
            part = numbers[start : start + self.size]
            ids, tokens = zip(*(self.jobs[n] for n in part), strict=True)
            columns = [list(column) for column in zip(*(rows[n] for n in part), strict=True)]
            places = ", ".join(f"${n}" for n in range(4, 4 + len(columns)))
            found = await self.db.fetch(
                f"select * from {function}($1, $2, $3, {places})",
                POLLER, list(ids), list(tokens), *columns,
            )  # fmt: skip
            by_id = {row["id"]: row for row in found}
            assert len(by_id) == len(found) == len(part)
            answers |= {n: by_id[self.jobs[n][0]] for n in part}
        return answers

    def note(self, answers: dict[int, Any]) -> None:
        for number, row in answers.items():
            self.told[number].append(" ".join(filter(None, (row["verdict"], row["reason"]))))

    async def run(self) -> None:
        await store(self.db, self.hash_of("known"))
        media = [await queue_media(self.db, phone_number_id="1") for _ in CASES]
        tokens = await claim(self.db)
        self.jobs = [(one, tokens[one]) for one in media]
        described = await self.call("describe_media_sources", {
            n: (case.mime_type, case.size if case.mime_type else None,
                self.hash_of(case.content) if case.is_told else None)
            for n, case in enumerate(CASES)
        })  # fmt: skip
        self.note(described)
        begun = await self.call("begin_media_uploads", {
            n: (self.hash_of(CASES[n].arrives or CASES[n].content), 1000, CASES[n].found, "{}")
            for n, row in described.items() if row["verdict"] == "download"
        })  # fmt: skip
        self.note(begun)
        await self.call("finish_media_uploads", {
            n: (row["object_id"], '{"download": 5}')
            for n, row in begun.items() if row["verdict"] == "upload"
        })  # fmt: skip
        for number, (media_id, _) in enumerate(self.jobs):
            self.told[number].append((await status(self.db, media_id))["status"])


async def counted(db: Any) -> list[int]:
    return [int(figure or 0) for row in await db.fetch(COUNTED) for figure in row]


@pytest.mark.parametrize("together", [True, False])
async def test_each_gets_its_own_verdict(db: Any, together: bool) -> None:
    await db.execute("update media_settings set quarantine_refused = false")
    group = Group(db, "one", together=together)

    await group.run()

    assert [", ".join(told) for told in group.told] == [case.outcome for case in CASES]


async def test_a_group_leaves_what_single_calls_leave(db: Any) -> None:
    before = await counted(db)
    figures: list[list[int]] = []
    trails: list[list[list[str]]] = []
    for name, together in (("together", True), ("alone", False)):
        group = Group(db, name, together=together)
        await group.run()
        after = await counted(db)
        figures.append([late - early for late, early in zip(after, before, strict=True)])
        trails.append([await events(db, media) for media, _ in group.jobs])
        before = after

    assert figures[0] == figures[1]
    assert trails[0] == trails[1]
    assert any(figures[0])


async def test_a_group_is_answered_whole_or_not_at_all(db: Any) -> None:
    media = [await queue_media(db) for _ in range(2)]
    tokens = await claim(db)

    with pytest.raises(asyncpg.PostgresError, match=f"no longer holds media {media[1]}"):
        await db.fetch(
            "select * from describe_media_sources($1, $2, $3, $4, $5, $6)",
            POLLER, media, [tokens[media[0]], 99], ["image/jpeg"] * 2, [1000] * 2,
            [sha256(b"a"), sha256(b"b")],
        )  # fmt: skip

    assert await db.fetchval("select count(*) from media_objects") == 0
