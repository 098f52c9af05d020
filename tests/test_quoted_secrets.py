"""A provider may quote the secret that it was sent: nothing shows or keeps it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from poller.sandbox.faults import Body, Fault
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import StartPoller
from tests.helpers import everything, is_stored, make_due, pgmedia, queue_media, sha256, store

JPEG = SAMPLES[0].read()
COMMANDS = [
    ["buckets", "--yes"], ["buckets", "--check"], ["doctor"], ["reconcile"],
    ["reconcile", "--fix", "--yes"], ["url", "PRIVATE"], ["url", "PRIVATE", "--download"],
]  # fmt: skip
"""What talks to Storage or WhatsApp, besides the poller."""


def quoting(secret: str) -> list[Fault]:
    """Answers that have the secret in whatever field there may be."""
    said = f"{secret} {quote(secret)}"
    graph: Body = {"error": {"message": said, "code": secret, "error_data": {"details": said}}}
    refusal = {"message": said, "error": said, "code": secret}
    return [
        Fault(400, {**refusal, "statusCode": "403"}),
        Fault(400, {**refusal, "statusCode": secret}),
        Fault(400, {**refusal, "statusCode": "409"}),
        Fault(401, graph),
        Fault(502, f"<html>{said}</html>"),
        Fault(200, {"message": said, "name": secret, "id": secret, "verified_name": secret}),
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("buckets")
async def test_no_command_shows_it(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, environment: dict[str, str],
    operator: str, tmp_path: Path, command: list[str],
) -> None:  # fmt: skip
    stored = await store(db, sha256(b"x"), media_type="document", mime_type="application/pdf")
    arguments = [str(stored) if one == "PRIVATE" else one for one in command]
    settings: dict[str, Any] = environment | {
        "DATABASE_URL": operator, "PGMEDIA_TIMEOUT_SECONDS": "2",
        "SUPABASE_ANON_KEY": storage.anon_key,
    }  # fmt: skip
    for number, fault in enumerate(quoting(storage.service_key)):
        storage.faults.always("*", fault)
        whatsapp.faults.always("*", quoting(whatsapp.token)[number])
        form = ["--json"] if number % 2 else []

        done = await asyncio.to_thread(pgmedia, *arguments, *form, cwd=tmp_path, **settings)

        output = done.stdout + done.stderr
        assert done.returncode == 1, output
        assert output
        assert_hidden(output, storage, whatsapp)
    assert_hidden(json.dumps(await everything(db)), storage, whatsapp)


@pytest.mark.usefixtures("buckets")
async def test_the_doctor_does_not_show_the_anon_key(
    storage: StorageApi, whatsapp: WhatsAppApi, environment: dict[str, str], tmp_path: Path
) -> None:
    for fault in quoting(storage.anon_key):
        storage.faults.once("bucket", Fault())
        storage.faults.once("bucket", fault)
        settings: dict[str, Any] = environment | {"SUPABASE_ANON_KEY": storage.anon_key}

        done = await asyncio.to_thread(pgmedia, "doctor", cwd=tmp_path, **settings)

        assert "wrong    anon key" in done.stdout, done.stdout
        assert_hidden(done.stdout + done.stderr, storage, whatsapp)


@pytest.mark.parametrize(
    ("route", "number"), [("metadata", 3), ("download", 3), ("upload", 0), ("upload", 4)]
)
async def test_no_poller_logs_or_keeps_it(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller,
    route: str, number: int,
) -> None:  # fmt: skip
    api, secret = (
        (storage, storage.service_key) if route == "upload" else (whatsapp, whatsapp.token)
    )
    api.faults.once(route, quoting(secret)[number])
    await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller("--drain")

    assert await poller.ended() == 0

    said = poller.log.read_text() + json.dumps(await everything(db))
    assert "[hidden]" in said or number == 4  # of a page that is no JSON, nothing is kept
    assert_hidden(said, storage, whatsapp)


async def test_no_removal_keeps_it(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    await (await start_poller("--drain")).ended()
    await is_stored(db, media)
    await db.execute("select delete_media($1)", media)
    await make_due(db)
    storage.faults.once("remove", quoting(storage.service_key)[0])
    poller = await start_poller("--drain")

    assert await poller.ended() == 0

    assert "not removed" in poller.log.read_text()
    kept = json.dumps(await everything(db))
    assert "[hidden]" in kept
    assert_hidden(poller.log.read_text() + kept, storage, whatsapp)


def assert_hidden(text: str, storage: StorageApi, whatsapp: WhatsAppApi) -> None:
    for secret in (storage.service_key, storage.anon_key, whatsapp.token):
        assert secret not in text
        assert quote(secret, safe="") not in text
