"""As a new user: from README.md alone, and an empty database, to a stored file and its URL."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncpg
import httpx

from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.docs.conftest import BIN, answered, run_in_shell
from tests.docs.fences import commands_of, fences
from tests.docs.test_commands import PRINTED_ID
from tests.helpers import eventually, is_stored


async def test_from_nothing_to_a_stored_file(
    empty_database: str, whatsapp: WhatsAppApi, storage: StorageApi, tmp_path: Path
) -> None:
    content = SAMPLES[0].read()
    whatsapp.add_media(
        content, "image/jpeg", media_id="1003383421387256", phone_number_id="106540352242922"
    )
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "WHATSAPP_API_URL": whatsapp.url}
    settings = {
        "DATABASE_URL": empty_database,
        "SUPABASE_URL": storage.url,
        "SUPABASE_SERVICE_KEY": storage.service_key,
        "WHATSAPP_TOKEN": whatsapp.token,
    }
    steps = [fence for fence in fences("sh") if fence.file == "README.md"][1:5]
    install, prepare, start, look = (list(commands_of(fence)) for fence in steps)

    async def run(text: str) -> str:
        ran = await run_in_shell(text, environment, tmp_path)
        assert ran.code == 0, ran.output
        return ran.output

    assert install[0].text == "pip install ."
    await run(with_values(install[1].text, settings))
    for command in prepare:
        await run(answered(command.text))
    (poll,) = start
    poller = await asyncio.create_subprocess_exec(
        *poll.text.split(), env=environment, cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        (queue,) = [
            fence.text
            for fence in fences("sql")
            if fence.file == "README.md" and "insert into messages" in fence.text
        ]
        db = await asyncpg.connect(empty_database)
        media = await db.fetchval(queue)
        await is_stored(db, media)
    finally:
        poller.terminate()
        await eventually(lambda: poller.returncode is not None)
    said = [await run(command.text.replace(PRINTED_ID, str(media))) for command in look]

    async with httpx.AsyncClient() as client:
        assert (await client.get(said[-1].strip())).content == content
    await db.close()


def with_values(text: str, settings: dict[str, str]) -> str:
    """The here-document for `.env` as a user fills it in: the same names, other values."""
    lines = text.splitlines()
    names = [line.partition("=")[0] for line in lines[1:-1]]
    assert names == list(settings)
    return "\n".join([lines[0], *(f"{one}={settings[one]}" for one in names), lines[-1]])
