"""The poller: claim, work, renew, drain.

One wake event; three things set it: NOTIFY, a free slot, a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import asyncpg

from poller.attempt import GIVEN_BACK, Outcome
from poller.db import DATABASE_AWAY, Database, Listener, WrongProjectError
from poller.deletions import Remover
from poller.logs import of_job
from poller.pipeline import Pipeline
from poller.records import Job
from poller.side_tasks import keep_alive
from poller.text import describe_error, plain

log = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
"""How often the listener makes sure that it still hears."""
GOODBYE_SECONDS = 3.0
"""How long a database that stands still may hold up the end."""
HOUSE_SECONDS = 20.0
"""How often a poller asks whether maintenance is due."""
TELL_SECONDS = 3.0
"""How often a poller at work tells the database how far it is."""
MOST_TOLD = 32
"""Of more attachments than these, the oldest, it does not tell."""
POLL_SOON_SECONDS = (0.02, 0.08, 0.32)
"""First waits of a poller that has just run out of work; then Settings.pgmedia_poll_seconds."""


class Poller:
    """Moves up to `concurrency` attachments, and records as many, until stopped or drained."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        listen: Callable[[Callable[[], None]], Awaitable[Listener]] | None,
        concurrency: int,
        poll_seconds: float,
        grace_seconds: float,
        project_url: str | None,
    ) -> None:
        self._pipeline = pipeline
        self._database: Database = pipeline.database
        self._listen = listen
        self._concurrency = concurrency
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._project_url = project_url
        self._remover = Remover(self._database, pipeline.storage, pipeline.metrics.removals)
        self._wake = asyncio.Event()
        self._remove_wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: dict[asyncio.Task[Outcome], Job] = {}
        self._unfinished: list[Job] = []
        self._mode: Literal["listen", "poll"] = "poll"
        self._lease_seconds = 15.0
        self._renewed = time.monotonic()
        self._error: BaseException | None = None
        self._turned = time.monotonic()
        self._metrics = pipeline.metrics
        self._metrics.slots.set(concurrency)
        self._metrics.slots_in_use.set_function(pipeline.slots_in_use)

    @property
    def mode(self) -> Literal["listen", "poll"]:
        """Woken by LISTEN/NOTIFY, or looking by itself."""
        return self._mode

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def standstill_seconds(self) -> float:
        """Since when it has not looked for work; a poller that stops need not."""
        return 0.0 if self.is_stopping else time.monotonic() - self._turned

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the work in hand is done or given back."""
        self._stopping.set()
        self._remover.stop()
        self._wake.set()

    def stop_now(self) -> None:
        """As `stop`, without the grace time."""
        for task in self._running:
            task.cancel()
        self._remover.stop_now()
        self.stop()

    async def run(self, *, drain: bool = False) -> None:
        """Work until `stop`; with `drain`, only until nothing is due.

        Raises one of DATABASE_AWAY only when draining; else the database is waited for. When the
        files turn out to be elsewhere, work is given back at once, and WrongProjectError raised.
        """
        keepers = [self._keep_leases, self._keep_telling, self._keep_house]
        if not drain:
            keepers.append(self._keep_removing)
            if self._listen is not None:
                keepers.append(partial(self._keep_listening, self._listen))
        side_tasks = [asyncio.create_task(keep_alive(one, self._give_up)) for one in keepers]
        try:
            await self._work(drain=drain)
            while drain and not self._stopping.is_set() and await self._remover.remove():
                pass
            if drain:
                await self._keep_house_once()
        finally:
            await self._finish()
            for task in side_tasks:
                task.cancel()
            await asyncio.gather(*side_tasks, return_exceptions=True)
        if self._error is not None:
            raise self._error

    def _give_up(self, error: BaseException) -> None:
        self._error = error  # for `run` to raise
        self.stop_now()

    async def _work(self, *, drain: bool) -> None:
        idle_waits = iter(POLL_SOON_SECONDS)
        while not self._stopping.is_set():
            self._turned = time.monotonic()
            self._wake.clear()  # before looking, so that no wake-up is lost
            try:
                if await self._fill():
                    idle_waits = iter(POLL_SOON_SECONDS)
                elif drain and not self._running:
                    return
            except DATABASE_AWAY as error:
                if drain:
                    raise
                self._met_absence("cannot claim", error)
            except WrongProjectError as error:
                self._give_up(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(idle_waits, self._poll_seconds)):
                    await self._wake.wait()

    async def _fill(self) -> int:
        """Claim as many jobs as there are free slots and start on them; returns how many."""
        recording = min(len(self._pipeline.recording), self._concurrency)
        if (free := self._concurrency + recording - len(self._running)) <= 0:
            return 0
        if time.monotonic() - self._renewed > self._lease_seconds / 2:
            await self._renew()  # after a standstill, or the claim finds our own leases ended
        jobs = await self._database.claim(free)
        for job in jobs:
            task = asyncio.create_task(self._pipeline.process(job, self._wake.set))
            self._running[task] = job
            task.add_done_callback(self._done)
        return len(jobs)

    def _done(self, task: asyncio.Task[Outcome]) -> None:
        job, outcome = self._running.pop(task), Outcome(GIVEN_BACK)
        if task.cancelled():
            self._unfinished.append(job)
        elif (error := task.exception()) is not None:
            self._unfinished.append(job)
            self._give_up(error)
        else:
            outcome = task.result()
        extra = of_job(job, outcome=outcome.verdict)
        if outcome.code is not None:
            extra["code"] = outcome.code
        log.info("attempt %s: %s", job.attempt, outcome, extra=extra)
        self._wake.set()

    async def _finish(self) -> None:
        """Wait for the work in hand as long as the grace time lasts, then give the rest back."""
        if tasks := [*self._running, *self._remover.at_work]:
            await asyncio.wait(tasks, timeout=self._grace_seconds)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=GOODBYE_SECONDS)
        with contextlib.suppress(*DATABASE_AWAY):  # then the leases end by themselves
            async with asyncio.timeout(GOODBYE_SECONDS):
                await asyncio.gather(*self._pipeline.afterwards, return_exceptions=True)
                if self._unfinished:
                    await self._database.release(self._unfinished)
                await self._remover.give_back()
                await self._database.leave()

    async def _keep_leases(self) -> None:
        """Renew all leases in one call, three times in a lease; drop work whose lease was lost."""
        while True:
            try:
                await self._renew()
                async with asyncio.timeout(self._lease_seconds / 3):
                    await self._tell()
            except DATABASE_AWAY as error:
                self._met_absence("leases not renewed", error)
            await asyncio.sleep(self._lease_seconds / 3)

    async def _keep_telling(self) -> None:
        """Tell how far the work is, for whoever watches; only while there is any, or just was."""
        told = 0
        while True:
            await asyncio.sleep(TELL_SECONDS)
            if self._running or told:
                told = len(self._running)
                with contextlib.suppress(*DATABASE_AWAY):  # the next renewal says it
                    await self._tell()

    async def _tell(self) -> None:
        oldest = sorted(self._pipeline.attempts.values(), key=lambda one: one.began)[:MOST_TOLD]
        self._lease_seconds = await self._database.heartbeat(
            self._mode, len(self._running), [one.progress() for one in oldest],
            project_url=self._project_url,
        )  # fmt: skip

    async def _renew(self) -> None:
        running, now = dict(self._running), time.monotonic()
        held = await self._database.renew(list(running.values())) if running else set[Job]()
        self._renewed = now
        for task, job in running.items():
            if job not in held and not task.done():
                log.warning("lease lost, work dropped", extra=of_job(job))
                task.cancel()
                self._pipeline.drop(job)

    async def _keep_removing(self) -> None:
        """Remove files that nothing refers to any more, when told that there may be some."""
        while True:
            self._remove_wake.clear()
            removed = 0
            try:
                removed = await self._remover.remove()
            except DATABASE_AWAY as error:
                self._met_absence("files not removed", error)
            if not removed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._remove_wake.wait()

    def _met_absence(self, what: str, error: BaseException) -> None:
        self._metrics.database_errors.inc()
        log.warning("%s: %s", what, describe_error(error))

    async def _keep_house(self) -> None:
        """Run maintenance; the database says when it is due, and lets one poller at it."""
        while True:
            await self._keep_house_once()
            await asyncio.sleep(HOUSE_SECONDS)

    async def _keep_house_once(self) -> None:
        try:
            errors = await self._database.maintain()
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            log.warning("maintenance not run: %s", describe_error(error))
        else:
            for step, text in errors.items():
                log.warning("maintenance: %s: %s", step, plain(text))

    def _heard(self) -> None:
        self._wake.set()
        self._remove_wake.set()

    async def _keep_listening(
        self, listen: Callable[[Callable[[], None]], Awaitable[Listener]]
    ) -> None:
        """Hear NOTIFY on a connection of its own; while that is lost, the poller polls."""
        while True:
            try:
                listener = await listen(self._heard)
            except DATABASE_AWAY as error:
                log.warning("cannot listen: %s", describe_error(error))
            else:
                self._heard()  # as what came before it listened it was not told of
                try:
                    while await listener.works():
                        self._set_mode("listen")
                        await asyncio.sleep(PROBE_SECONDS)
                except DATABASE_AWAY as error:
                    log.warning("listener lost: %s", describe_error(error))
                finally:
                    listener.close()
            self._set_mode("poll")
            await asyncio.sleep(self._poll_seconds)

    def _set_mode(self, mode: Literal["listen", "poll"]) -> None:
        if mode != self._mode:
            self._mode = mode
            self._metrics.listening.set(mode == "listen")
            log.info("woken by LISTEN/NOTIFY" if mode == "listen" else "polling: cannot listen")
