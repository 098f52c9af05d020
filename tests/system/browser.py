"""Debian's Chromium, asked by its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--remote-debugging-port=0", "about:blank",
)  # fmt: skip


class Page:
    """A tab. `requests` are the URLs that it asked for, `problems` what its console says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._loaded = False

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._hear()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def _hear(self) -> dict[str, Any]:
        message = await self._socket.receive_json(timeout=30)
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            case "Log.entryAdded":
                self.problems.append(message["params"]["entry"]["text"])
            case "Page.loadEventFired":
                self._loaded = True
            case _:
                pass
        return message

    async def open(self, url: str, *, width: int, scheme: str) -> None:
        """Show a page as wide as that, `scheme` light or dark."""
        for domain in ("Page", "Network", "Log"):
            await self.send(f"{domain}.enable")
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=2, mobile=False,
        )  # fmt: skip
        await self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self._loaded = False
        await self.send("Page.navigate", url=url)
        while not self._loaded:
            await self._hear()

    async def value(self, expression: str) -> Any:
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def screenshot(self) -> bytes:
        """All of the page as PNG, not only what fits into the window."""
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def open_browser(folder: Path) -> AsyncGenerator[Page]:
    """A Chromium of its own, with nothing but this folder."""
    process = await asyncio.create_subprocess_exec(
        "chromium", *FLAGS, f"--user-data-dir={folder}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"DevTools listening on " not in (line := await process.stderr.readline()):
                assert line, "chromium has ended"
        address = line.decode().split("ws://")[1].split("/")[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{address}/json/list") as answer:
                (tab,) = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        await process.communicate()
