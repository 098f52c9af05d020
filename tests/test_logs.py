"""Logs: a JSON object a line or plain lines, the media id in each that is about one, no secret."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pty
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from poller.config import Settings
from poller.logs import JsonFormatter, PlainFormatter, secrets_of
from poller.redaction import Redactor
from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.conftest import POLLER_PASSWORD, PollerProcess, StartPoller
from tests.helpers import eventually, is_stored, pgmedia, queue_media, status
from tests.webhook.conftest import CLIENT_PASSWORD, StartDoor, http, start_door
from tests.webhook.payloads import APP_SECRET, SENDER, VERIFY_TOKEN, message, received

__all__ = ["http", "start_door"]
JPEG = SAMPLES[0].read()
JSON = {"PGMEDIA_LOG_FORMAT": "auto"}


def lines(process: PollerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.read_text().splitlines()]


def of(process: PollerProcess, media: Any) -> list[dict[str, Any]]:
    return [one for one in lines(process) if one.get("media_id") == str(media)]


async def test_every_line_about_a_job_has_its_media_id(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, start_poller: StartPoller
) -> None:
    await db.execute("update media_settings set backoff_first = '50 ms'")
    storage.faults.once("upload", Fault(500, {"statusCode": "500", "message": "oh"}))
    good = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    gone = whatsapp.add_media(JPEG + b"x", "image/jpeg")
    whatsapp.expire_media(gone)
    bad = await queue_media(db, gone)
    poller = await start_poller(**JSON, PGMEDIA_POLLER_NAME="poller-7")
    await is_stored(db, good)
    await eventually(lambda: len(of(poller, bad)) == 2)
    await eventually(lambda: of(poller, good)[-1].get("outcome") == "stored")

    refused, done = of(poller, bad)

    assert refused["level"] == "warning"
    assert refused["message"].startswith("failed, media_expired_or_foreign: ")
    assert (done["level"], done["outcome"], done["code"], done["attempt"]) == (
        "info", "failed", "media_expired_or_foreign", 1,
    )  # fmt: skip
    assert [one["attempt"] for one in of(poller, good)] == [1, 1, 2]
    for one in lines(poller):
        assert {"at", "level", "logger", "message"} <= set(one)
        assert (one["process"], one["poller"]) == ("poll", "poller-7")
        assert "media_id" in one or "media" not in one["message"].partition(":")[0]


async def test_the_last_line_of_what_is_given_back(
    db: Any, whatsapp: WhatsAppApi, start_poller: StartPoller
) -> None:
    stall = Fault.stall(after=10)
    whatsapp.faults.once("download", stall)
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    poller = await start_poller(**JSON, PGMEDIA_GRACE_SECONDS="0.1")
    await stall.reached.wait()
    poller.terminate()
    await poller.ended()

    (line,) = of(poller, media)

    assert (line["outcome"], line["attempt"], line["level"]) == ("given back", 1, "info")
    assert (await status(db, media))["status"] == "pending"
    stall.released.set()


async def test_plain_lines_on_a_terminal(
    db: Any, environment: dict[str, str], buckets: None, whatsapp: WhatsAppApi, tmp_path: Path
) -> None:
    del buckets
    media = await queue_media(db, whatsapp.add_media(JPEG, "image/jpeg"))
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", "poll", "--drain",
        env=environment | JSON, cwd=tmp_path, stderr=theirs, stdout=theirs,
    )  # fmt: skip
    os.close(theirs)
    await asyncio.wait_for(process.wait(), 60)
    said = os.read(ours, 65_536).decode()
    os.close(ours)

    assert f" INFO media {media}: attempt 1: stored" in said
    assert "{" not in said


async def test_a_format_can_be_forced(start_poller: StartPoller) -> None:
    poller = await start_poller("--drain", PGMEDIA_LOG_FORMAT="json")
    await poller.ended()
    assert lines(poller)
    wrong = await start_poller(PGMEDIA_LOG_FORMAT="xml")
    assert await wrong.ended() == 2
    assert "PGMEDIA_LOG_FORMAT: input should be 'auto', 'json' or 'plain'" in wrong.log.read_text()


async def test_why_a_poller_does_not_begin_is_an_object(start_poller: StartPoller) -> None:
    poller = await start_poller(SUPABASE_SERVICE_KEY="junk-key", **JSON)

    assert await poller.ended() == 2

    last = lines(poller)[-1]
    assert (last["level"], last["process"]) == ("error", "poll")
    assert last["message"].startswith("the storage key is malformed")


async def test_the_webhooks_summary_is_an_object(start_door: StartDoor) -> None:
    door = await start_door(**JSON)
    await door.meta.post(received(message()))

    (line,) = [one for one in lines(door) if "webhook" in one]

    assert line["webhook"]["media_queued"] == 1
    assert line["process"] == "webhook"
    assert SENDER not in door.log.read_text()


FAULTS: list[tuple[str, str, Fault]] = [
    ("whatsapp", "metadata", Fault(401, {"error": {"code": 190, "message": "Malformed {token}"}})),
    ("whatsapp", "metadata", Fault(500, "<html>{token}</html>")),
    ("whatsapp", "download", Fault(500, "Authorization: Bearer {token}")),
    ("whatsapp", "download", Fault.disconnect(after=10)),
    ("storage", "upload", Fault(400, {"statusCode": "403", "message": "bad {key}", "error": "x"})),
    ("storage", "upload", Fault(502, "<html>{key}</html>")),
    ("storage", "upload", Fault.disconnect()),
]


@pytest.mark.parametrize("log_format", ["json", "plain"])
async def test_no_fault_brings_a_secret_into_a_log(
    db: Any, whatsapp: WhatsAppApi, storage: StorageApi, environment: dict[str, str],
    start_poller: StartPoller, start_door: StartDoor, operator: str,
    tmp_path: Path, log_format: str,
) -> None:  # fmt: skip
    """What a provider says may quote what it was sent, and an error may show a URL."""
    changed = {"PGMEDIA_LOG_FORMAT": log_format}
    secrets = [
        whatsapp.token, storage.service_key, storage.anon_key, POLLER_PASSWORD, APP_SECRET,
        VERIFY_TOKEN, CLIENT_PASSWORD,
    ]  # fmt: skip
    poller = await start_poller(**changed)
    as_operator = environment | {"DATABASE_URL": operator}
    failed: list[UUID] = []
    texts: list[str] = []
    for server, route, fault in FAULTS:
        api = whatsapp if server == "whatsapp" else storage
        if fault.body is not None:
            body = json.dumps(fault.body).replace("{token}", whatsapp.token)
            body = body.replace("{key}", storage.service_key)
            fault = Fault(fault.status, json.loads(body))
        api.faults.once(route, fault)
        media = await queue_media(db, whatsapp.add_media(JPEG + os.urandom(8), "image/jpeg"))
        failed.append(media)
        await eventually(lambda media=media: failure_of(db, media))
        texts.append(await told(["show", str(media)], as_operator, tmp_path))
        await db.execute("delete from media_pauses")
        await db.execute("delete from media")
    stored = await queue_media(db, whatsapp.add_media(SAMPLES[-1].read(), "application/pdf"))
    await poller.logged(str(stored))
    poller.terminate()
    assert await poller.ended() == 0
    assert (await status(db, stored))["status"] in {"stored", "failed"}
    texts.append(poller.log.read_text())
    assert not [one for one in failed if str(one) not in texts[-1]]
    anon = {"SUPABASE_ANON_KEY": storage.anon_key, "WHATSAPP_APP_SECRET": APP_SECRET}
    texts.append(await told(["doctor"], environment | anon, tmp_path))
    door = await start_door(**changed)
    await door.meta.verify("wrong-token")
    await door.meta.post(b"{", X_Hub_Signature_256="sha256=0")
    await door.meta.post(b"{")
    texts.append(door.log.read_text())

    for text in texts:
        assert text
        assert not [one for one in secrets if one in text], text
        assert "/object/sign/" not in text


async def failure_of(db: Any, media: UUID) -> str | None:
    """The code of what went wrong, once an attempt has failed."""
    return (await status(db, media))["error_code"]


async def told(command: list[str], environment: dict[str, Any], folder: Path) -> str:
    done = await asyncio.to_thread(pgmedia, *command, cwd=folder, **environment)
    return done.stdout + done.stderr


URL = "postgresql://user:p%40ss-word@localhost/database?sslpassword=other-pass"


def test_secrets_are_taken_out_whoever_wrote_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": URL,
        "WHATSAPP_TOKEN": "token-1",
        "SUPABASE_ANON_KEY": "anon-1",
    }.items():
        monkeypatch.setenv(name, value)
    redact = Redactor(secrets_of(Settings.from_env()))

    said = redact(
        f"{URL} p@ss-word p%40ss-word other-pass token-1 anon-1 Authorization: Bearer abc.def"
        " https://x.supabase.co/object/sign/images/a.jpg?token=eyJ.x&y=1 https://x.supabase.co/plain"
    )

    assert said == (
        "[hidden] [hidden] [hidden] [hidden] [hidden] [hidden] Authorization: Bearer [hidden]"
        " https://x.supabase.co/object/sign/images/a.jpg?[hidden] https://x.supabase.co/plain"
    )


def record(message: str, *, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("poller.x", logging.ERROR, "", 0, message, None, info)


def test_nothing_foreign_makes_a_line_of_its_own() -> None:
    redact = Redactor(["hunter2"])
    evil = record("a\n2026 INFO b\x1b[2J", error=ValueError("hunter2\nand \x1b more"))

    (plain, *traceback) = PlainFormatter(redact).format(evil).splitlines()
    line = JsonFormatter(redact, {}).format(evil)

    assert plain.endswith(" ERROR a 2026 INFO b [2J")
    assert "hunter2" not in "".join(traceback) + line
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["error"].startswith("ValueError: [hidden]")
