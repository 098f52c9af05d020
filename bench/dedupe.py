"""Repeats in a stream of files: what is downloaded and uploaded, beside the ideal.

Messages with files of 100 KB come one by one, while a poller works on them 16 at once; of 30 % and
90 % the content came before, or is just on its way. WhatsApp may tell the SHA-256 in the webhook,
only when the poller asks for the file, or not at all. The ideal is each content downloaded once and
uploaded once. By hand (PgQueuer, httpx, supabase, a unique hash) nothing is known before the
download. Requests are counted by nginx, which stands for WhatsApp and Storage.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench.command import DURABLE, Bench, main, new_database
from bench.large_files import jpeg
from bench.pipeline.contenders import NUMBERS, Contender, Pgmedia, Run, WithPgQueuer
from bench.pipeline.measuring import until_done, working
from bench.pipeline.servers import Servers, serving
from bench.report import Aim
from poller.sandbox.postgres import PostgresServer

SIZE = 100_000
QUEUE = """
with message as (
    insert into messages (whatsapp_message_id, phone_number_id, sent_at)
    values ($1, $2, now())
    returning id
)
select queue_media_processing(id, $1, 'image', 'image/jpeg', sha256 => $3) from message
"""


@dataclass(frozen=True, slots=True)
class Stream:
    """Media ids in the order they come, and the number of each one's content."""

    contents: Sequence[int]
    size: int
    distinct: int

    @classmethod
    def of(cls, count: int, repeats: float) -> Stream:
        chance = random.Random(8)  # noqa: S311 - the same stream for all
        distinct = round(count * (1 - repeats))
        contents = list(range(distinct)) + chance.choices(range(distinct), k=count - distinct)
        chance.shuffle(contents)
        return cls(contents, len(content_of(0)), distinct)

    @property
    def ids(self) -> list[str]:
        return [f"{number}-{content}" for number, content in enumerate(self.contents)]


def content_of(number: int) -> bytes:
    return b"".join(jpeg(number, SIZE))


def offer(servers: Servers, stream: Stream, *, tell_hash: bool) -> None:
    contents = {number: content_of(number) for number in set(stream.contents)}
    for number, content in contents.items():
        servers.add_bytes(str(number), content)
    for media_id, number in zip(stream.ids, stream.contents, strict=True):
        servers.describe(media_id, str(number), contents[number], tell_hash=tell_hash)


class InStream(Pgmedia):
    """Queued one by one, from before the poller starts until all are."""

    def __init__(self, stream: Stream, *, in_webhook: bool, where: str) -> None:
        super().__init__(checks=True)
        self.name = f"pgmedia, hash told {where}"
        self._stream = stream
        self._in_webhook = in_webhook

    async def prepare(self, run: Run) -> None:
        self._queueing = asyncio.create_task(self._queue(await asyncpg.connect(run.dsn)))

    async def _queue(self, db: Any) -> None:
        hashes = {n: hashlib.sha256(content_of(n)).hexdigest() for n in set(self._stream.contents)}
        for media_id, number in zip(self._stream.ids, self._stream.contents, strict=True):
            told = hashes[number] if self._in_webhook else None
            await db.execute(QUEUE, media_id, str(number % NUMBERS), told)
        await db.close()

    async def done(self, run: Run) -> int:
        if self._queueing.done():
            self._queueing.result()
        return await super().done(run)


async def run(bench: Bench) -> None:
    count = bench.size(4000, 400)
    with bench.postgres(DURABLE) as postgres, tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), count_requests=True) as servers:
            for repeats in (0.3, 0.9):
                stream = Stream.of(count, repeats)
                bench.report.table(
                    f"{count:,} files of {SIZE:,} bytes, {repeats:.0%} repeats",
                    ("", ""), ("downloads", ",d"), ("of ideal", ".2f"), ("uploads", ",d"),
                    ("of ideal", ".2f"), ("MB saved", ",.1f"), ("of ideal", ".2f"),
                    ("files/s", ",.0f"), ("of by hand", ".2f"),
                )  # fmt: skip
                bench.report.add("ideal", *ideal(stream), "", "")
                by_hand = 0.0
                for contender, tell_hash in contenders(stream):
                    offer(servers, stream, tell_hash=tell_hash)
                    rate = await store(postgres, contender, stream, servers)
                    by_hand = by_hand or rate
                    requests = servers.take_requests()
                    row = figures(stream, requests["download"], requests["upload"])
                    bench.report.add(contender.name, *row, rate, rate / by_hand)
                    if tell_hash and isinstance(contender, InStream):
                        what = f"downloads, of the ideal: {repeats:.0%}, {contender.name}"
                        bench.report.aims.append(Aim(what, row[1], at_most=1))


def contenders(stream: Stream) -> list[tuple[Contender, bool]]:
    """And whether the media endpoint tells the hash."""
    return [
        (WithPgQueuer(), True),
        (InStream(stream, in_webhook=True, where="in the webhook"), True),
        (InStream(stream, in_webhook=False, where="when asked"), True),
        (InStream(stream, in_webhook=False, where="never"), False),
    ]


def figures(stream: Stream, downloads: int, uploads: int) -> list[Any]:
    """Downloads, uploads and MB that were saved, each also of the ideal."""
    repeats = 2 * (len(stream.contents) - stream.distinct)
    saved = 2 * len(stream.contents) - downloads - uploads
    return [
        downloads, downloads / stream.distinct, uploads, uploads / stream.distinct,
        saved * stream.size / 1e6, saved / repeats,
    ]  # fmt: skip


def ideal(stream: Stream) -> list[Any]:
    return figures(stream, stream.distinct, stream.distinct)


async def store(
    postgres: PostgresServer, contender: Contender, stream: Stream, servers: Servers
) -> float:
    """Let the whole stream be worked on; files a second, starts and all."""
    dsn = await new_database(postgres, "bench", migrated=isinstance(contender, InStream))
    db: Any = await asyncpg.connect(dsn)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(dsn, servers, stream.ids, 1, Path(folder), db)
        await contender.prepare(run)
        begun = time.perf_counter()
        async with working(contender, run) as workers:
            await until_done(contender, run, len(stream.ids), workers)
            taken = time.perf_counter() - begun
    await db.close()
    return len(stream.ids) / taken


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
