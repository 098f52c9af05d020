"""Content checks a second by format, through one child process: `make bench-checks`.

Samples of a few KB, and where there is one, a file of a megabyte. Large files go to the child by
their open descriptor, as the poller's do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bench.large_files import FORMATS
from poller.content import Spool
from poller.inspector import Inspector
from poller.sandbox.samples import SAMPLES

SECONDS = 1.0
LARGE_BYTES = 1_000_000


def files() -> Iterator[tuple[str, bytes]]:
    for sample in SAMPLES:
        yield sample.name.partition(".")[2], sample.read()
    for mime_type, _, pieces in FORMATS:
        yield f"{mime_type}, large", b"".join(pieces(1, LARGE_BYTES))


async def measure(inspector: Inspector, content: bytes) -> tuple[float, list[str]]:
    """Checks a second, and what was flagged."""
    with Spool(LARGE_BYTES // 2, None) as spool:
        spool.write(content)
        facts = await inspector.examine(spool)  # the first one of a class loads its parser
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            await inspector.examine(spool)
            count += 1
        return count / (time.perf_counter() - began), facts.get("flags", [])


async def main() -> None:
    print(f"{'file':20} {'bytes':>10} {'checks/s':>9} {'MB/s':>7}")
    async with Inspector(children=1, seconds=20, memory_bytes=1 << 30) as inspector:
        for name, content in files():
            rate, flags = await measure(inspector, content)
            assert not flags, (name, flags)
            print(f"{name:20} {len(content):10,} {rate:9.0f} {rate * len(content) / 1e6:7.1f}")


if __name__ == "__main__":
    asyncio.run(main())
