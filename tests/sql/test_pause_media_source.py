"""pause_media_source and resume_media_source: an operator's brake."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import everything, refused


@pytest.mark.parametrize(
    "scope",
    [
        "", "whatsapp", "whatsapp:", "Storage", "everything", None, "storage\n", "whatsapp:1 2",
        "whatsapp:\x1b[31m1", "poller:a\nb", "whatsapp:" + "1" * 201,
    ],
)  # fmt: skip
async def test_an_unknown_source_is_refused(db: Any, scope: str | None) -> None:
    before = await everything(db)

    with refused("MD017", "null" if scope is None else f"'{scope[:100]}'"):
        await db.execute("select pause_media_source($1)", scope)

    assert await everything(db) == before


async def test_a_pause_returns_its_end_and_can_be_made_longer_only(db: Any) -> None:
    for given, expected in [("10 min", 10), ("5 min", 10), ("20 min", 20)]:
        until = await db.fetchval(
            f"select pause_media_source('storage', 'moving', interval '{given}') - now()"
        )
        assert timedelta(minutes=expected - 1) < until <= timedelta(minutes=expected)

    row = await db.fetchrow("select * from media_pauses")
    assert (row["scope"], row["reason"]) == ("storage", "moving")


async def test_resume_of_what_is_not_paused(db: Any) -> None:
    assert await db.fetchval("select resume_media_source('storage')") is False


@pytest.mark.parametrize("pause_for", [timedelta(0), timedelta(hours=-1), None])
async def test_a_pause_that_is_none_is_refused(db: Any, pause_for: timedelta | None) -> None:
    with refused("MD018"):
        await db.execute("select pause_media_source('storage', 'x', $1)", pause_for)

    assert await db.fetchval("select count(*) from media_pauses") == 0
