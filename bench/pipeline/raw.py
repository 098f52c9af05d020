"""What the servers alone can do: the three requests of a file with hardly a client behind them.

Plain blocking sockets, requests made beforehand, and bytes that the kernel throws away.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection:
    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host = address.netloc
        self._socket = socket.create_connection((address.hostname, address.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    def ask(self, method: str, path: str, body: bytes = b"") -> int:
        """Returns how many bytes the answer's body has."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        self._socket.sendall(head.encode() + b"\r\n")
        if body:
            self._socket.sendall(body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = self._socket.recv(4096)
            assert received, "the connection was closed"
            answer += received
        head_of_it, _, begun = answer.partition(b"\r\n\r\n")
        found = LENGTH.search(head_of_it)
        assert b" 200 " in head_of_it[:20], head_of_it
        assert found
        left = int(found[1]) - len(begun)
        while left:
            left -= self._socket.recv_into(
                self._buffer, min(left, len(self._buffer)), socket.MSG_TRUNC
            )
        return int(found[1])


def main() -> None:
    """One request at a time: there are more processes than cores."""
    ids: list[str] = json.loads(Path(os.environ["BENCH_IDS"]).read_text())
    api, storage = os.environ["WHATSAPP_API_URL"], os.environ["SUPABASE_URL"]
    connection = Connection(storage)
    progress = os.open(os.environ["BENCH_PROGRESS"], os.O_WRONLY | os.O_CREAT)
    content = b""
    for media_id in ids:
        connection.ask("GET", f"{urlsplit(api).path}/{media_id}")
        size = connection.ask("GET", f"/bytes/{media_id}")
        if len(content) != size:
            content = bytes(size)
        connection.ask("POST", "/storage/v1/object/images/1.jpg", content)
        os.write(progress, b".")
    signal.pause()  # there until its CPU time has been read


if __name__ == "__main__":
    main()
