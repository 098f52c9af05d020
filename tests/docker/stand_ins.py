"""WhatsApp and Storage for the containers of compose.yaml, in a container beside them.

On port 8000, POST /send sends one picture through the webhook and answers with the webhook's status
and the picture's SHA-256; with ?stalled its download does not end. GET /files has the SHA-256 of
every file that is in Storage.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import os
from pathlib import Path

from aiohttp import ClientSession, web

from poller.sandbox.faults import Fault
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_files import METADATA
from poller.sandbox.whatsapp import VERSION, WhatsAppApi

HOST, FILES = "stand-ins", Path("/tmp/files")  # noqa: S108 - of a container of its own
CONTROL, WHATSAPP, STORAGE = 8000, 8001, 8002
WEBHOOK = "http://webhook:8080/webhook"
NUMBER = "106540352242922"


class StandIns:
    def __init__(self, whatsapp: WhatsAppApi, client: ClientSession) -> None:
        self._whatsapp = whatsapp
        self._client = client
        self._numbers = itertools.count(1)

    async def send(self, request: web.Request) -> web.Response:
        while not await is_open():  # noqa: ASYNC110 - another container's doing
            await asyncio.sleep(0.1)
        number = next(self._numbers)
        content = variant(SAMPLES[0], number)
        media_id = self._whatsapp.add_media(content, "image/jpeg")
        if "stalled" in request.query:
            self._whatsapp.faults.once("download", Fault.stall(after=10))
        message = {
            "from": "4915112345678", "id": f"wamid.{number}", "timestamp": "1732000000",
            "type": "image", "image": {"id": media_id, "mime_type": "image/jpeg"},
        }  # fmt: skip
        value = {
            "messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER},
            "messages": [message],
        }  # fmt: skip
        entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        key = os.environ["WHATSAPP_APP_SECRET"].encode()
        signed = {
            "X-Hub-Signature-256": f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        }
        async with self._client.post(WEBHOOK, data=body, headers=signed) as answer:
            return web.json_response(
                {"status": answer.status, "sha256": hashlib.sha256(content).hexdigest()}
            )

    async def files(self, _: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(hashes))


def hashes() -> list[str]:
    files = [file for file in FILES.rglob("*") if file.is_file() and METADATA not in file.parts]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


async def is_open() -> bool:
    """Whether the webhook listens."""
    try:
        _, writer = await asyncio.open_connection("webhook", 8080)
    except OSError:
        return False
    writer.close()
    return True


async def serve() -> None:
    token, key = os.environ["WHATSAPP_TOKEN"], os.environ["SUPABASE_SERVICE_KEY"]
    async with (
        WhatsAppApi(token) as whatsapp, StorageApi(FILES) as storage, ClientSession() as client,
    ):  # fmt: skip
        assert key == storage.secret_key, f"SUPABASE_SERVICE_KEY must be {storage.secret_key}"
        for api, port in ((whatsapp, WHATSAPP), (storage, STORAGE)):
            runner = api._runner  # pyright: ignore[reportPrivateUsage] - it listens on 127.0.0.1 alone
            assert runner is not None
            await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104
        whatsapp.url = f"http://{HOST}:{WHATSAPP}/{VERSION}"
        stand_ins = StandIns(whatsapp, client)
        control = web.Application()
        control.router.add_post("/send", stand_ins.send)
        control.router.add_get("/files", stand_ins.files)
        runner = web.AppRunner(control)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", CONTROL).start()  # noqa: S104
        await asyncio.Event().wait()


if __name__ == "__main__":
    FILES.mkdir(exist_ok=True)
    asyncio.run(serve())
