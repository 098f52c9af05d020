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
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from bench.large_files import jpeg
from poller.sandbox.postgres import die_with_parent, free_port
from poller.sandbox.samples import SAMPLES, variant

API_VERSION = "v24.0"
KEY = "sb_secret_bench-key"
TOKEN = "bench-token"

CONFIGURATION = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format request '$request_method $uri';
    access_log {log};
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
        self.add_bytes(media_id, content)
        self.describe(media_id, media_id, content)
        return media_id

    def add_bytes(self, name: str, content: bytes) -> None:
        (self.folder / "files" / "bytes" / name).write_bytes(content)

    def describe(self, media_id: str, name: str, content: bytes, *, tell_hash: bool = True) -> None:
        """What the media endpoint answers for an id: that its bytes are those of this name."""
        described: dict[str, object] = {
            "messaging_product": "whatsapp",
            "id": media_id,
            "url": f"{self.url}/bytes/{name}",
            "mime_type": "image/jpeg",
            "file_size": len(content),
        }
        if tell_hash:
            digest = hashlib.sha256(content).digest()
            described["sha256"] = base64.b64encode(digest).decode()
        (self.folder / "files" / API_VERSION / media_id).write_text(json.dumps(described))

    def take_requests(self) -> Counter[str]:
        """How many there were of each kind since the last time: describe, download, upload."""
        kinds = {f"GET /{API_VERSION}": "describe", "GET /bytes": "download"}
        log = self.folder / "requests.log"
        lines = log.read_text().splitlines()
        os.truncate(log, 0)
        return Counter(
            kinds.get(line.rpartition("/")[0], "upload" if line.startswith("POST") else "other")
            for line in lines
        )


@contextlib.asynccontextmanager
async def serving(folder: Path, *, count_requests: bool = False) -> AsyncGenerator[Servers]:
    """nginx on a free port of loopback; `apt-get install nginx-light` brings it."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("the servers behind the benchmark are nginx's: please install it")
    for place in (folder, folder / "files", folder / "files/bytes", folder / "files" / API_VERSION):
        place.mkdir(exist_ok=True)
        place.chmod(0o755)  # nginx's workers run as nobody
    port = free_port()
    configuration = folder / "nginx.conf"
    log = f"{folder}/requests.log request" if count_requests else "off"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, log=log))
    process = await asyncio.create_subprocess_exec(
        program, "-c", configuration, "-p", folder, preexec_fn=die_with_parent
    )
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
