"""What docs/operations.md says of going back is so."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from tests.docs.conftest import BIN, run_in_shell
from tests.docs.fences import CHECKOUT, commands
from tests.helpers import sha256, sql, store

APPLIED = "select migration_id from _yoyo_migration order by migration_id"


async def test_tables_go_back_by_the_commands_that_are_printed(database: str, db: Any) -> None:
    media = await store(db, sha256(b"x"))
    printed = [command.text for command in commands() if command.text.startswith("yoyo ")]
    listing, rollback = printed
    revision = rollback.split()[-1]
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "DATABASE_URL": database}
    before = sql(database, APPLIED)

    listed = await run_in_shell(listing, environment, CHECKOUT)
    gone_back = await run_in_shell(rollback, environment, CHECKOUT)

    assert revision in listed.output, listed.output
    assert gone_back.code == 0, gone_back.output
    assert (revision,) in before
    assert (revision,) not in sql(database, APPLIED)
    assert await asyncio.to_thread(sql, database, "select id from media") == [(media,)]
