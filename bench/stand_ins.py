"""WhatsApp and Storage as the sandbox has them, in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi


@contextlib.asynccontextmanager
async def stand_ins(folder: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """WhatsApp and Storage in a process of their own, whose first line has their addresses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.stand_ins", folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def ask(process: asyncio.subprocess.Process, request: object = None) -> Any:
    """Send a line of JSON, if there is one, and read one."""
    assert process.stdin is not None
    assert process.stdout is not None
    if request is not None:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()
    return json.loads(await process.stdout.readline())


async def serve(folder: Path) -> None:
    """Register the file of each line on standard input, until that ends."""
    async with WhatsAppApi() as whatsapp, StorageApi(folder) as storage:
        addresses = {
            "SUPABASE_URL": storage.url,
            "SUPABASE_SERVICE_KEY": storage.service_key,
            "WHATSAPP_API_URL": whatsapp.url,
            "WHATSAPP_TOKEN": whatsapp.token,
        }
        print(json.dumps(addresses), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(line)
            slow = Fault.slow(wanted["bytes_per_second"])
            whatsapp.faults.always("download", slow)
            media_id = whatsapp.add_media(Path(wanted["path"]), wanted["mime_type"])
            print(json.dumps(media_id), flush=True)


async def offer(servers: Any, path: Path, mime_type: str, bytes_per_second: int) -> str:
    """Its media id at the stand-in of WhatsApp."""
    wanted = {"path": str(path), "mime_type": mime_type, "bytes_per_second": bytes_per_second}
    return await ask(servers, wanted)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
