"""Queues alone: how fast jobs go in, come out, and how soon a worker starts on one.

Every queue has a database of its own on one Postgres with its own defaults, so every commit is on
disk, and runs after the others, its workers in the one process that measures. PgQueuer and
Procrastinate do nothing with a job. pgmedia has no job that is nothing: the least is to find that
the content is stored already, the usual is a new file with all that is recorded of it. Beside that
PgQueuer is measured with the one insert that a task of one's own would make.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bench.command import DURABLE, Bench, main, new_database
from bench.queues.bound import measure_bound
from bench.queues.contender import Contender
from bench.queues.measuring import A_SECOND, BULK, CLIENTS, Figures, drain, measure
from bench.queues.notify import measure_notify
from bench.queues.of_pgmedia import PgmediaQueue
from bench.queues.of_pgqueuer import PgQueuerQueue
from bench.queues.of_procrastinate import ProcrastinateQueue
from bench.report import NO_FIGURE, Aim, Report
from poller.sandbox.postgres import PostgresServer

Result = TypeVar("Result")
BOUND = "pgbench (the bound)"
LEAST, USUAL = PgmediaQueue("known"), PgmediaQueue("new")
PEERS: list[Contender] = [PgQueuerQueue(10), PgQueuerQueue(100), ProcrastinateQueue()]
RECORDING = PgQueuerQueue(100, recording=True)


def run(bench: Bench) -> None:
    count, seconds, rounds = bench.size((20_000, 20, 20), (3_000, 4, 5))
    figures: dict[str, Figures] = {}
    with bench.postgres(DURABLE) as postgres:
        for queue in (USUAL, *PEERS):
            print(f"({queue.name})", flush=True)
            work = measure(queue, fresh(postgres), count, seconds)
            figures[queue.name] = finish(queue, work)
        drains = {name: one.drain for name, one in figures.items()}
        for queue in (LEAST, RECORDING):
            drains[queue.name] = finish(queue, drain(queue, fresh(postgres), count))
        bound = asyncio.run(measure_bound(fresh(postgres), postgres.programs, count))
        loud, quiet, ratio = asyncio.run(measure_notify(fresh(postgres), 1600, rounds))
    show(bench.report, figures, drains, bound)
    bench.report.table(
        f"Queueing by {CLIENTS} clients with a listener, {rounds} rounds in turns",
        ("", ""), ("jobs/s", ",.0f"), ("ratio", ".2f"),
    )  # fmt: skip
    bench.report.add("pgmedia, with no NOTIFY", quiet, 1.0)
    bench.report.add("pgmedia", loud, ratio)
    what = f"queueing by {CLIENTS} clients, of the same with no NOTIFY"
    bench.report.aims.append(Aim(what, ratio, at_least=0.85))


def fresh(postgres: PostgresServer) -> str:
    return asyncio.run(new_database(postgres, "queue", migrated=False))


def finish(queue: Contender, work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=queue.new_loop) as runner:
        return runner.run(work)


def show(
    report: Report,
    figures: dict[str, Figures],
    drains: dict[str, float],
    bound: tuple[float, float, float, float],
) -> None:
    """`bound`: in by one client, in by many, in by a thousand, and out."""
    report.table(
        "Into the queue, jobs a second",
        ("", ""), ("1 client", ",.0f"), ("of bound", ".3f"), (f"{CLIENTS} clients", ",.0f"),
        ("of bound", ".3f"), (f"{BULK:,} at once", ",.0f"), ("of bound", ".3f"),
    )  # fmt: skip
    report.add(BOUND, bound[0], 1.0, bound[1], 1.0, bound[2], 1.0)
    for name, one in figures.items():
        report.add(
            name, one.one_client, one.one_client / bound[0], one.many_clients,
            one.many_clients / bound[1], one.bulk, one.bulk / bound[2],
        )  # fmt: skip

    best_peer = max(drains[peer.name] for peer in PEERS)
    report.table(
        "Out of the queue, jobs a second",
        ("", ""), ("jobs/s", ",.0f"), ("of bound", ".3f"), ("of the fastest peer", ".2f"),
    )  # fmt: skip
    report.add(BOUND, bound[3], 1.0, NO_FIGURE)
    for name, rate in sorted(drains.items(), key=lambda one: -one[1]):
        report.add(name, rate, rate / bound[3], rate / best_peer)

    report.table(
        "From asking for a job until a worker starts on it, ms",
        ("", ""), ("one by one, p50", ",.1f"), ("p99", ",.1f"),
        ("of pgmedia's", ",.2f"), (f"{A_SECOND} a second, p50", ",.1f"), ("p99", ",.1f"),
        ("of pgmedia's", ",.2f"),
    )  # fmt: skip
    ours = figures[USUAL.name]
    for name, one in figures.items():
        report.add(
            name, *one.one_by_one, one.one_by_one[1] / ours.one_by_one[1],
            *one.steadily, one.steadily[1] / ours.steadily[1],
        )  # fmt: skip

    pgqueuer = max(drains[peer.name] for peer in PEERS[:2])
    report.aims += [
        Aim("drain of known content, of PgQueuer's no-op", drains[LEAST.name] / pgqueuer, 3),
        Aim("drain of new files, of PgQueuer with an insert",
            drains[USUAL.name] / drains[RECORDING.name], 3),
    ]  # fmt: skip
    for how in ("one_by_one", "steadily"):
        p99 = {name: getattr(one, how)[1] for name, one in figures.items()}
        ratio = p99.pop(USUAL.name) / min(p99.values())
        what = "one by one" if how == "one_by_one" else f"at {A_SECOND} a second"
        report.aims.append(Aim(f"p99 until start {what}, of the best peer's", ratio, at_most=0.5))


if __name__ == "__main__":
    main(__doc__, run)
