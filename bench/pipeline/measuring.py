"""One contender at work, timed: files a second, and what a file costs in CPU time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.pipeline.contenders import Contender, Run

WARM = 0.2
"""The share of the files that is not timed: Python starts, connections open."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figures:
    files_per_second: float
    worker_ms: float
    """CPU milliseconds a file, of the workers and their children."""
    postgres_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    done: int
    at: float
    worker_cpu: float
    postgres_cpu: float


async def measure(contender: Contender, run: Run, postgres: int) -> Figures:
    """`postgres`: the process that all others of the server are children of."""
    await contender.prepare(run)
    with (run.folder / "log").open("ab") as log:
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, *contender.arguments, env=run.environment(number),
                stdout=log, stderr=log,
            )
            for number in range(run.processes)
        ]  # fmt: skip
    workers = [process.pid for process in processes]
    try:
        async with asyncio.timeout(300):
            begun = await reached(contender, run, int(len(run.ids) * WARM), workers, postgres)
            ended = await reached(contender, run, len(run.ids), workers, postgres)
    except TimeoutError:
        raise SystemExit((run.folder / "log").read_text()[-2000:]) from None
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    done = ended.done - begun.done
    return Figures(
        done / (ended.at - begun.at),
        1000 * (ended.worker_cpu - begun.worker_cpu) / done,
        1000 * (ended.postgres_cpu - begun.postgres_cpu) / done,
    )


async def reached(
    contender: Contender, run: Run, count: int, workers: Iterable[int], postgres: int
) -> Moment:
    while (done := await contender.done(run)) < count:  # noqa: ASYNC110 - others count
        await asyncio.sleep(0.02)
    return Moment(done, time.perf_counter(), sum(map(cpu_of, workers)), cpu_of(postgres))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all its children, those that have ended included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return 0
    return sum(map(int, fields[11:15])) / TICKS + sum(cpu_of(int(one)) for one in children)
