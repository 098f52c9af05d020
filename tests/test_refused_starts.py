"""`pgmedia poll` does not begin where it would do harm."""

from __future__ import annotations

from typing import Any

import pytest

from poller.sandbox.storage import StorageApi
from tests.command import Run, run
from tests.helpers import queue_media

__all__ = ["run"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("anon", "the key of the role anon: "),
        ("publishable", "a publishable key: "),
        ("junk", "malformed: "),
    ],
)
async def test_a_poller_whose_key_cannot_be_right_does_not_begin(
    run: Run, environment: dict[str, str], storage: StorageApi, db: Any, kind: str, words: str
) -> None:
    """Its uploads would be refused, and storage paused for every other poller."""
    await queue_media(db)
    key = {"anon": storage.anon_key, "publishable": "sb_publishable_x", "junk": "junk-key"}[kind]

    code, said, (line,) = await run(
        "poll", "--drain", DATABASE_URL=environment["DATABASE_URL"], SUPABASE_SERVICE_KEY=key
    )

    assert (code, said) == (2, [])
    assert line == (
        f"pgmedia: the storage key is {words}SUPABASE_SERVICE_KEY must be a secret key"
        " (sb_secret_...) or that of service_role"
    )
    assert await db.fetchval("select sum(attempts) from media_processing_queue") == 0


async def test_a_poller_at_another_project_does_not_begin(
    run: Run, environment: dict[str, str], storage: StorageApi, db: Any
) -> None:
    """It would take files for removed that are still there, in the other project."""
    await run("buckets", "--yes")
    await db.execute("update media_settings set project_url = 'https://other.supabase.co'")

    code, said, (line,) = await run("poll", "--drain", DATABASE_URL=environment["DATABASE_URL"])

    assert (code, said) == (2, [])
    assert line == (
        "pgmedia: the files are in the storage of https://other.supabase.co, not of"
        f" '{storage.url}'. Correct SUPABASE_URL or DATABASE_URL; after a move of the project, run"
        " pgmedia buckets first."
    )
