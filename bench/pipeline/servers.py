"""WhatsApp and Storage by nginx, so that the servers are not what is measured.

Media ids answer with JSON from a file, the bytes are a file too; uploads are read and forgotten.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from bench.large_files import jpeg
from poller.sandbox.postgres import free_port
from poller.sandbox.samples import SAMPLES, variant

API_VERSION = "v24.0"
KEY = "bench-key"
TOKEN = "bench-token"

CONFIGURATION = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    default_type application/json;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location /bytes/ {{ default_type image/jpeg; }}
        location /storage/ {{ return 200 '{{"Id": "1", "Key": "images/1.jpg"}}'; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Servers:
    url: str
    folder: Path
    process: asyncio.subprocess.Process

    def add_files(self, size: int, count: int) -> list[str]:
        """Media ids of JPEG files of about this size, each with content of its own."""
        return [self._add_file(size, number) for number in range(1, count + 1)]

    def _add_file(self, size: int, number: int) -> str:
        media_id = f"{size}-{number}"
        small = variant(SAMPLES[0], number)
        content = b"".join(jpeg(number, size)) if size > 2 * len(small) else small
        (self.folder / "files" / "bytes" / media_id).write_bytes(content)
        described = {
            "messaging_product": "whatsapp",
            "id": media_id,
            "url": f"{self.url}/bytes/{media_id}",
            "mime_type": "image/jpeg",
            "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
            "file_size": len(content),
        }
        (self.folder / "files" / API_VERSION / media_id).write_text(json.dumps(described))
        return media_id


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[Servers]:
    """nginx on a free port of loopback; `apt-get install nginx-light` brings it."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("the servers behind the benchmark are nginx's: please install it")
    for place in (folder, folder / "files", folder / "files/bytes", folder / "files" / API_VERSION):
        place.mkdir(exist_ok=True)
        place.chmod(0o755)  # nginx's workers run as nobody
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port))
    process = await asyncio.create_subprocess_exec(program, "-c", configuration, "-p", folder)
    try:
        await answering(port)
        yield Servers(f"http://127.0.0.1:{port}", folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def answering(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)
