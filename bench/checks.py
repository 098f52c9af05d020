"""Content checks a second by format, through one child process.

Samples of a few KB, and where there is one, a file of a megabyte. Large files go to the child by
their open descriptor, as the poller's do. The ratio is to libmagic alone, in this process: the type
by the bytes, and nothing looked into.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bench.command import Bench, main
from bench.large_files import FORMATS
from poller.content import Spool
from poller.inspector import Inspector
from poller.libmagic import libmagic_type
from poller.sandbox.samples import SAMPLES

LARGE_BYTES = 1_000_000


def files() -> Iterator[tuple[str, bytes]]:
    for sample in SAMPLES:
        yield sample.name.partition(".")[2], sample.read()
    for mime_type, _, pieces in FORMATS:
        yield f"{mime_type}, large", b"".join(pieces(1, LARGE_BYTES))


async def measure(
    inspector: Inspector, content: bytes, seconds: float
) -> tuple[float, float, list[str]]:
    """Checks a second, of libmagic alone as well, and what was flagged."""
    with Spool(LARGE_BYTES // 2, None) as spool:
        spool.write(content)
        facts = await inspector.examine(spool)  # the first one of a class loads its parser
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            await inspector.examine(spool)
            count += 1
        rate = count / (time.perf_counter() - began)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds / 4:
        libmagic_type(content)
        count += 1
    return rate, count / (time.perf_counter() - began), facts.get("flags", [])


async def run(bench: Bench) -> None:
    bench.report.table(
        "Checks of one child", ("", ""), ("bytes", ",d"), ("checks/s", ",.0f"), ("MB/s", ",.1f"),
        ("libmagic alone/s", ",.0f"), ("of libmagic", ".2f"),
    )  # fmt: skip
    async with Inspector(children=1, seconds=20, memory_bytes=1 << 30) as inspector:
        for name, content in files():
            rate, alone, flags = await measure(inspector, content, bench.size(1.0, 0.2))
            assert not flags, (name, flags)
            size = len(content)
            bench.report.add(name, size, rate, rate * size / 1e6, alone, rate / alone)


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
