"""One contender at work, timed: files a second, and what a file costs in CPU time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.pipeline.contenders import Contender, Run
from poller.sandbox.postgres import die_with_parent

TIMED = (0.2, 0.9)
"""The share of the files that is timed: not while Python starts, nor when some have run dry."""
POLL_SECONDS = 0.03
PATIENCE_SECONDS = 300
TICKS = os.sysconf("SC_CLK_TCK")


class EndedError(Exception):
    """A worker has ended before its work was done."""


@dataclass(frozen=True, slots=True)
class Figures:
    files_per_second: float
    worker_ms: float
    """CPU milliseconds a file, of the workers and their children."""
    postgres_ms: float
    nginx_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    done: int
    at: float
    worker_cpu: float
    postgres_cpu: float
    nginx_cpu: float


async def measure(contender: Contender, run: Run, postgres: int) -> Figures:
    """`postgres`: the process that all others of the server are children of."""
    await contender.prepare(run)
    async with working(contender, run) as workers:
        begun, ended = [
            await reached(contender, run, int(len(run.ids) * part), workers, postgres)
            for part in TIMED
        ]
    done = ended.done - begun.done
    return Figures(
        done / (ended.at - begun.at),
        1000 * (ended.worker_cpu - begun.worker_cpu) / done,
        1000 * (ended.postgres_cpu - begun.postgres_cpu) / done,
        1000 * (ended.nginx_cpu - begun.nginx_cpu) / done,
    )


@contextlib.asynccontextmanager
async def working(contender: Contender, run: Run) -> AsyncGenerator[list[Process]]:
    """The contender's processes; what they wrote is told when they end early, or take too long."""

    def start() -> None:
        die_with_parent()
        if run.cores is not None:
            os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: run.cores]))

    with (run.folder / "log").open("ab") as log:
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, *contender.arguments, env=run.environment(number),
                stdout=log, stderr=log, preexec_fn=start,
            )
            for number in range(run.processes)
        ]  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield processes
    except (TimeoutError, EndedError):
        raise SystemExit((run.folder / "log").read_text()[-2000:]) from None
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def until_done(contender: Contender, run: Run, count: int, workers: Iterable[Process]) -> int:
    """Wait until so many files are done; returns how many are."""
    while (done := await contender.done(run)) < count:
        if any(process.returncode is not None for process in workers):
            raise EndedError
        await asyncio.sleep(POLL_SECONDS)
    return done


async def reached(
    contender: Contender, run: Run, count: int, workers: Iterable[Process], postgres: int
) -> Moment:
    return Moment(
        await until_done(contender, run, count, workers), time.perf_counter(),
        sum(cpu_of(process.pid) for process in workers), cpu_of(postgres),
        cpu_of(run.servers.process.pid),
    )  # fmt: skip


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all its children, those that have ended included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return 0
    return sum(map(int, fields[11:15])) / TICKS + sum(cpu_of(int(one)) for one in children)
