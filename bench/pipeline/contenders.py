"""How each contender's work is queued, started and counted."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

from bench.handwritten import FILES
from bench.pipeline.servers import API_VERSION, KEY, TOKEN, Servers

AT_ONCE = 16
"""Files in the hand of one process: as many as a poller has by default."""
NUMBERS = 20
"""Phone numbers: of each, pgmedia works on no more than 20 attachments at once."""
QUEUE = """
with message as (
    insert into messages (whatsapp_message_id, phone_number_id, sent_at)
    select m.id, (m.number % $2)::text, now()
    from unnest($1::text[]) with ordinality m (id, number)
    returning id, whatsapp_message_id
)
select queue_media_processing(id, whatsapp_message_id, 'image', 'image/jpeg') from message
"""


@dataclass
class Run:
    """One contender at work: `ids` to fetch, by so many processes, on a database of its own.

    `cores`: that they may run on.
    """

    dsn: str
    servers: Servers
    ids: list[str]
    processes: int
    folder: Path
    db: Any
    cores: int | None = None

    def environment(self, process: int) -> dict[str, str]:
        share = self.folder / f"ids-{process}"
        share.write_text(json.dumps(self.ids[process :: self.processes]))
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.dsn,
            "SUPABASE_URL": self.servers.url,
            "SUPABASE_SERVICE_KEY": KEY,
            "WHATSAPP_API_URL": f"{self.servers.url}/{API_VERSION}",
            "WHATSAPP_TOKEN": TOKEN,
            "PGMEDIA_CONCURRENCY": str(AT_ONCE),
            "BENCH_IDS": str(share),
            "BENCH_PROGRESS": str(self.folder / f"done-{process}"),
        }


class Contender(Protocol):
    name: str
    share: float
    """Of the files that the others are given: more for what is soon done, some of them again."""
    arguments: tuple[str, ...]
    """Of Python, to start one process."""

    async def prepare(self, run: Run) -> None:
        """Schema, unless it is pgmedia's, which is there, and queue."""
        ...

    async def done(self, run: Run) -> int:
        """Files done so far."""
        ...


class Bound:
    name = "bare aiohttp loop (the bound)"
    share = 8.0
    arguments: tuple[str, ...] = ("-m", "bench.pipeline.workers", "bound")

    async def prepare(self, run: Run) -> None:
        pass

    async def done(self, run: Run) -> int:
        return sum(path.stat().st_size for path in run.folder.glob("done-*"))


NOTHING_ENCODED = """
update media_buckets set compress_above = null;
update media_settings set strip_public_images = false
"""


class ServersAlone(Bound):
    name = "the servers alone"
    share = 16.0
    arguments: tuple[str, ...] = ("-m", "bench.pipeline.raw")


class Pgmedia:
    share = 1.0

    def __init__(self, *, checks: bool) -> None:
        self.name = f"pgmedia, content checks {'on' if checks else 'off'}"
        self.arguments: tuple[str, ...] = ("-m", "poller", "poll")
        if not checks:
            self.arguments = ("-m", "bench.pipeline.workers", "unchecked")

    async def prepare(self, run: Run) -> None:
        await run.db.execute(NOTHING_ENCODED)  # as the others; bench.compression measures that
        await run.db.execute(QUEUE, run.ids, NUMBERS)

    async def done(self, run: Run) -> int:
        return await run.db.fetchval("select count(*) from media where processed")


class WithPgQueuer(Bound):
    name = "PgQueuer, httpx, supabase"
    share = 0.4
    arguments: tuple[str, ...] = ("-m", "bench.pipeline.workers", "pgqueuer")

    async def prepare(self, run: Run) -> None:
        queries = Queries(AsyncpgDriver(run.db))
        await queries.install()
        await run.db.execute(FILES)
        count = len(run.ids)
        await queries.enqueue(["fetch"] * count, [one.encode() for one in run.ids], [0] * count)


class WithProcrastinate(Bound):
    name = "Procrastinate, httpx, supabase"
    share = 0.4
    arguments: tuple[str, ...] = ("-m", "bench.pipeline.workers", "procrastinate")

    async def prepare(self, run: Run) -> None:
        await run.db.execute(FILES)
        for number in range(run.processes):
            run.environment(number)
        filled = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.pipeline.fill_procrastinate", env=run.environment(0)
        )
        assert await filled.wait() == 0
