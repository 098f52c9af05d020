"""Every command of README.md and docs/ works as it is printed there, on the stand-ins."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from poller.sandbox.samples import SAMPLES
from tests.docs.conftest import Shell, StoreFile, answered
from tests.docs.fences import CHECKOUT, Command, commands
from tests.helpers import claim, fail, queue_media

PRINTED_ID = "7f3c2a54-5a0e-4f0e-8f3d-2f3f0b8a7a10"
STATIC = {
    r"make (demo|test)": "run by .ci/run",
    r"pip install \.": "test_wheel.py installs what it would",
    r"cat > \.env": "test_first_steps.py",
    r"yoyo (list|rollback)": "test_rollback.py",
    r"docker (build|run|compose) ": "needs an engine; run by tests/docker",
    r"(python3 -m venv|/opt/pgmedia/bin/\w+|install|cp) ": "for root; tests/deploy has the files",
    r"systemctl ": "needs systemd at work; tests/system/test_deploy.py verifies the units",
    r"kubectl ": "needs a cluster; tests/deploy validates the manifests",
}
"""Commands that no test of this module runs, and who does."""


def run_here() -> list[Command]:
    static = re.compile("|".join(STATIC))
    return [command for command in commands() if not static.match(command.text)]


async def stored(db: Any, store_file: StoreFile) -> UUID:
    del db
    return await store_file(SAMPLES[0].read(), "image/jpeg", "image")


async def pending(db: Any, store_file: StoreFile) -> UUID:
    del store_file
    return await queue_media(db)


async def failed(db: Any, store_file: StoreFile) -> UUID:
    del store_file
    media = await queue_media(db)
    await fail(db, media, (await claim(db))[media], code="131051", http_status=400)
    return media


async def paused(db: Any, store_file: StoreFile) -> UUID:
    await db.execute("select pause_media_source('whatsapp:106540352242922')")
    return await stored(db, store_file)


Prepare = Callable[[Any, StoreFile], Awaitable[UUID]]
PREPARED: dict[str, Prepare] = {
    "pgmedia retry 7f": failed,
    "pgmedia cancel": pending,
    "pgmedia resume": paused,
}
"""What there has to be for a command to work; by default an attachment that is stored."""


@pytest.mark.parametrize("command", run_here(), ids=str)
async def test_a_command_works(
    db: Any, store_file: StoreFile, shell: Shell, command: Command
) -> None:
    prepare = next(
        (one for beginning, one in PREPARED.items() if command.text.startswith(beginning)), stored
    )
    media = await prepare(db, store_file)
    text = command.text.replace(PRINTED_ID, str(media))
    ran = await shell(answered(text))

    assert ran.code == 0, ran.output


def test_nothing_is_listed_in_vain() -> None:
    texts = [command.text for command in commands()]
    for pattern in STATIC:
        assert any(re.match(pattern, text) for text in texts), pattern
    for beginning in PREPARED:
        assert any(text.startswith(beginning) for text in texts), beginning


def test_what_is_not_run_names_files_and_options_that_there_are() -> None:
    for command in commands():
        for word in command.text.split():
            if word.startswith(("deploy/", "requirements/")):
                assert list(CHECKOUT.glob(word)), word
