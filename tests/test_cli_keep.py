"""hold, release and delete, as processes of their own on a real Postgres."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import events, everything, media_row, sha256, store
from tests.test_cli_operate import Run, run

__all__ = ["run"]

ID = str(UUID(int=1))


async def test_held_released_and_deleted(db: Any, run: Run) -> None:
    media = await store(db, sha256(b"x"))

    said = [f"media {media} is held: case 12"]
    assert await run("hold", str(media), "--reason", "case 12", "--yes") == (0, said, [])
    code, said, (line,) = await run("delete", str(media), "--yes")
    assert (code, said) == (1, [])
    assert line == (
        f"pgmedia: media {media} is held: case 12. release_media_hold ends the hold;"
        " then delete it."
    )
    said = [f"media {media} is released"]
    assert await run("release", str(media), "--yes") == (0, said, [])
    assert await run("delete", str(media), "--yes") == (0, [f"media {media} is deleted"], [])

    assert await media_row(db, media) is None
    assert (await events(db, media))[-3:] == ["held", "hold released", "deleted"]


async def test_a_dry_run_changes_nothing(db: Any, run: Run) -> None:
    media = await store(db, sha256(b"x"))
    await db.execute("select hold_media($1, 'case')", media)
    held = await everything(db)

    said = [f"media {media} would be released"]
    assert await run("release", str(media), "--dry-run") == (0, said, [])
    assert (await run("delete", str(media), "--dry-run"))[0] == 1  # it is held
    assert await everything(db) == held
    await db.execute("select release_media_hold($1)", media)
    free = await everything(db)
    said = [f"media {media} would be deleted"]
    assert await run("delete", str(media), "--dry-run") == (0, said, [])
    assert await everything(db) == free


async def test_what_is_not_held_is_not_released(db: Any, run: Run) -> None:
    media = await store(db, sha256(b"x"))

    problem = f"pgmedia: media {media} is not held"
    assert await run("release", str(media), "--yes") == (1, [], [problem])


async def test_for_programs(db: Any, run: Run) -> None:
    media = str(await store(db, sha256(b"x")))
    calls = (
        (["hold", media, "--reason", "case", "--yes"], "held", False),
        (["release", media, "--dry-run"], "released", True),
        (["release", media, "--yes"], "released", False),
        (["delete", media, "--yes"], "deleted", False),
    )

    for arguments, done, dry_run in calls:
        code, (line,), _ = await run(*arguments, "--json")
        assert code == 0
        assert json.loads(line) == {"media_id": media, "done": done, "dry_run": dry_run}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["delete", ID], 2, "--yes"),
        (["release", ID], 2, "--yes"),
        (["hold", ID], 2, "--reason"),
        (["hold", ID, "--yes", "--reason", " "], 2, "a hold needs a reason, not ' '"),
        (["hold", "x", "--reason", "case"], 2, "UUID"),
        (["hold", ID, "--yes", "--reason", "case"], 1, f"no media with id {ID}"),
        (["delete", ID, "--yes"], 1, f"no media with id {ID}"),
        (["delete", ID, "--dry-run"], 1, f"no media with id {ID}"),
        (["release", ID, "--yes"], 1, f"no media with id {ID}"),
    ],
)
async def test_what_cannot_be_done(
    db: Any, run: Run, arguments: list[str], code: int, words: str
) -> None:
    await store(db, sha256(b"x"))
    before = await everything(db)

    answer, said, problems = await run(*arguments)

    assert (answer, said) == (code, [])
    assert words in " ".join(problems)
    assert await everything(db) == before


async def test_clients_may_not(run: Run) -> None:
    for command in ("hold --reason x --yes", "release --yes", "delete --yes"):
        name, *options = command.split()
        code, _, (line,) = await run(name, ID, *options, role="media_client")
        assert code == 1
        assert "permission denied for function" in line
