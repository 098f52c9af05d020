"""Everything that goes wrong at once: pollers, Postgres, WhatsApp, Storage, and operators."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from poller.db import DATABASE_AWAY
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.chaos.attachments import BARRED_NUMBER, CLOSED_NUMBER, Attachment, Sizes
from tests.chaos.faults import STORAGE, WHATSAPP, StagedFaults
from tests.conftest import PollerProcess, StartPoller

Answer = TypeVar("Answer")

SETTINGS = (
    "update media_settings set lease = '2 seconds', max_attempts = 50, backoff_first = '50 ms',"
    " backoff_most = '1 second', waiting_recheck = '1 second'"
)
SHUT = [f"whatsapp:{number}" for number in (CLOSED_NUMBER, BARRED_NUMBER)]
"""The sources of the numbers that are refused something for as long as the storm lasts."""
_OPEN = "source not in ({})".format(", ".join(f"'{source}'" for source in SHUT))
AGE = (
    "update media_pauses set until = now() where until > now()",
    "update media_processing_queue set due_at = now() where status = 'pending' and due_at > now()",
    f"with locked as (select source from media_sources where {_OPEN} and refused_at <> '{{}}'"
    " order by source for update)"
    " update media_sources as m set refused_at = '{}' from locked where m.source = locked.source",
    f"delete from media_unheard_requests where {_OPEN}",
    "notify pgmedia_wake",
)
"""Pauses and backoffs are over, and an hour is for all numbers but those two; the pollers look
again at once. Sources are locked in the order of pgmedia: the storm deadlocks with no claim."""
END_LEASES = (
    "update media_processing_queue set lease_until = now() - interval '1 s'"
    " where status = 'processing'",
    "update media_deletion_queue set lease_until = now() - interval '1 s'"
    " where status = 'processing'",
)
UNSETTLED = (
    "select (select count(*) from media_deletion_queue) + (select count(*)"
    " from media_processing_queue where status in ('pending', 'processing', 'waiting'))"
)
SETTLING_SECONDS = 60
BURST_SECONDS = 2.5
FROZEN_SECONDS = 3
"""Longer than a lease."""
WEBHOOK = 5
"""Messages of one webhook, queued in one transaction."""
OPERATIONS = (
    ["delete_media"], ["cancel_media"], ["cancel_media", "retry_media"], ["retry_media"],
)  # fmt: skip
AT_WORK = "at once"
"""What a poller logs when it begins."""


@dataclass(slots=True)
class Storm:
    """Sends the attachments while all of it happens, then lets good pollers end the work."""

    sizes: Sizes
    attachments: list[Attachment]
    server: PostgresServer
    whatsapp: WhatsAppApi
    storage: StorageApi
    start_poller: StartPoller
    pollers: list[PollerProcess] = field(default_factory=list[PollerProcess])
    killed: int = 0
    stopped: int = 0
    frozen: int = 0
    crashes: int = 0
    left: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """Requests of the closed and of the barred number that WhatsApp refused."""
    faults: dict[str, int] = field(default_factory=dict[str, int])
    """How often each kind happened."""

    async def rage(self) -> None:
        """Until all attachments are sent."""
        await self.ask(lambda db: db.execute(SETTINGS))
        self.whatsapp.closed_numbers = {CLOSED_NUMBER}
        self.whatsapp.barred_numbers = {BARRED_NUMBER}
        for _ in range(self.sizes.pollers):
            self.pollers.append(await self.start_poller())
        pests = (
            self._kill, self._stop, self._freeze, self._crash_postgres, self._meddle, self._age,
            self._fail,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            over = group.create_task(self._send())
            for pest in pests:
                group.create_task(pest(over))
        self.left = await self.ask(lambda db: db.fetchval(UNSETTLED))
        numbers = (CLOSED_NUMBER, BARRED_NUMBER)
        self.refused = {number: self.whatsapp.refusals[number] for number in numbers}

    async def calm(self) -> None:
        """No more faults; what dead pollers left is finished by living ones, which stop well."""
        self.whatsapp.faults.clear()
        self.storage.faults.clear()
        for one in self.pollers:
            one.kill()
            await one.ended()
        self.whatsapp.closed_numbers.clear()
        self.whatsapp.barred_numbers.clear()
        for statement in END_LEASES:
            await self.ask(lambda db, statement=statement: db.execute(statement))
        resume = "select resume_media_source(source) from unnest($1::text[]) s (source)"
        await self.ask(lambda db: db.execute(resume, SHUT))
        good = [await self.start_poller() for _ in range(self.sizes.pollers)]
        async with asyncio.timeout(SETTLING_SECONDS + self.sizes.attachments / 20):
            while await self.ask(lambda db: db.fetchval(UNSETTLED)):
                await self._age_once()
                await asyncio.sleep(0.2)
        for one in good:
            await one.logged(AT_WORK)
            one.terminate()
        assert [await one.ended() for one in good] == [0] * len(good)

    async def ask(self, call: Callable[[Any], Awaitable[Answer]]) -> Answer:
        """A call to the database in a transaction, repeated while it is away."""
        while True:
            with contextlib.suppress(*DATABASE_AWAY):
                async with connected(self.server.dsn()) as db, db.transaction():
                    return await call(db)
            await asyncio.sleep(0.05)

    async def _send(self) -> None:
        """In bursts, over all of the time, and so that some work is left at the end of it."""
        bursts = max(1, round(self.sizes.seconds / BURST_SECONDS))
        size = -(-len(self.attachments) // bursts)
        for start in range(0, len(self.attachments), size):
            await asyncio.sleep(BURST_SECONDS)
            burst = self.attachments[start : start + size]
            for first in range(0, size, WEBHOOK):
                sent = burst[first : first + WEBHOOK]
                queued = await self.ask(partial(self._queue, sent))
                for one, media in zip(sent, queued, strict=True):
                    one.media = media  # from now on, as it is committed, somebody may meddle

    async def _queue(self, attachments: list[Attachment], db: Any) -> list[UUID]:
        return [await attachment.queue(db) for attachment in attachments]

    async def _kill(self, over: asyncio.Task[None]) -> None:
        chance = self.sizes.chance("kills")
        while not over.done():
            await asyncio.sleep(1)
            if victim := self._pick(chance):
                victim.kill()
                self.killed += 1
                await self._replace(victim)

    async def _stop(self, over: asyncio.Task[None]) -> None:
        chance = self.sizes.chance("stops")
        while not over.done():
            await asyncio.sleep(3.3)
            if leaving := self._pick(chance):
                leaving.terminate()
                if chance.random() < 0.3:
                    leaving.terminate()
                self.stopped += 1
                await self._replace(leaving, 0)

    async def _freeze(self, over: asyncio.Task[None]) -> None:
        """A poller stands still for longer than its leases last, and then goes on."""
        chance = self.sizes.chance("freezes")
        while not over.done():
            await asyncio.sleep(1.7)
            if standing := self._pick(chance):
                standing.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(FROZEN_SECONDS)
                standing.process.send_signal(signal.SIGCONT)
                self.frozen += 1
                self.pollers.append(standing)

    def _pick(self, chance: random.Random) -> PollerProcess | None:
        """Take a poller that is at work out of the list, so that nobody else picks it."""
        ready = [one for one in self.pollers if AT_WORK in one.log.read_text()]
        if not ready:
            return None
        picked = chance.choice(ready)
        self.pollers.remove(picked)
        return picked

    async def _replace(self, gone: PollerProcess, ending: int = -signal.SIGKILL) -> None:
        self.pollers.append(await self.start_poller())
        assert await gone.ended() == ending, gone.log.read_text()

    async def _crash_postgres(self, over: asyncio.Task[None]) -> None:
        for _ in range(2):
            await asyncio.sleep(self.sizes.seconds / 3)
            self.server.stop(signal.SIGQUIT)
            await asyncio.to_thread(self.server.start)
            self.crashes += 1
        await over

    async def _meddle(self, over: asyncio.Task[None]) -> None:
        """Operators delete, cancel and retry, and WhatsApp lets its URLs expire."""
        chance = self.sizes.chance("meddling")
        while not over.done():
            await asyncio.sleep(0.25)
            if chance.random() < 0.2:
                self.whatsapp.expire_urls()
            if queued := [one for one in self.attachments if one.media]:
                await self._operate(chance, chance.choice(queued[-50:]))

    async def _operate(self, chance: random.Random, one: Attachment) -> None:
        for call in chance.choice(OPERATIONS):
            await self.ask(lambda db, call=call: db.execute(f"select {call}($1)", one.media))
            one.deleted |= call == "delete_media"
            one.cancelled = call == "cancel_media" or (one.cancelled and call != "retry_media")

    async def _age(self, over: asyncio.Task[None]) -> None:
        while not over.done():
            await self._age_once()
            await asyncio.sleep(0.5)

    async def _age_once(self) -> None:
        for statement in AGE:
            await self.ask(lambda db, statement=statement: db.execute(statement))

    async def _fail(self, over: asyncio.Task[None]) -> None:
        """Faults of both providers; every second stall is left to the client's patience."""
        chance = self.sizes.chance("faults")
        at_whatsapp = StagedFaults(WHATSAPP, self.sizes.chance("whatsapp"))
        at_storage = StagedFaults(STORAGE, self.sizes.chance("storage"))
        self.whatsapp.faults, self.storage.faults = at_whatsapp, at_storage
        while not over.done():
            stalls = at_whatsapp.stage() + at_storage.stage()
            await asyncio.sleep(0.7)
            at_whatsapp.clear()
            at_storage.clear()
            for stall in stalls:
                if chance.random() < 0.5:
                    stall.released.set()
        self.faults = at_whatsapp.given | at_storage.given


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Any]:
    connection: Any = await asyncpg.connect(dsn, timeout=5)
    try:
        yield connection
    finally:
        connection.terminate()
