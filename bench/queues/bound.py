"""The bound: pgbench on a bare table, with no more than a queue of its kind cannot do without."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from bench.queues.measuring import BULK, CLIENTS

WORKERS = 4
BATCH = 100

TABLE = """
create table bare_queue (
    id bigint generated always as identity primary key,
    priority smallint not null default 5,
    due_at timestamptz not null default now(),
    status text not null default 'pending',
    claimed_by integer,
    lease_until timestamptz
) with (fillfactor = 70);
create index on bare_queue (priority, due_at, id) where status = 'pending';
create index on bare_queue (claimed_by) where status = 'processing';
"""
ENQUEUE = "insert into bare_queue default values;"
ENQUEUE_ALL = f"insert into bare_queue select from generate_series(1, {BULK});"
WORK = f"""
with picked as materialized (
    select id from bare_queue where status = 'pending' and due_at <= now()
    order by priority, due_at, id limit {BATCH} for update skip locked)
update bare_queue q set status = 'processing', claimed_by = :client_id,
    lease_until = clock_timestamp() + interval '1 minute'
where q.id = any (array(select id from picked));
delete from bare_queue where claimed_by = :client_id and status = 'processing';
"""


async def measure_bound(dsn: str, programs: Path, count: int) -> tuple[float, float, float, float]:
    """Jobs a second: in by one client, in by many, in by a thousand, and out again."""
    db: Any = await asyncpg.connect(dsn)
    await db.execute(TABLE)
    singly = await pgbench(dsn, programs, ENQUEUE, 1, count // 4)
    many = await pgbench(dsn, programs, ENQUEUE, CLIENTS, count // CLIENTS)
    bulk = BULK * await pgbench(dsn, programs, ENQUEUE_ALL, 1, max(10, count // BULK))
    await db.execute("truncate bare_queue")
    waiting = 10 * count // (BATCH * WORKERS) * BATCH * WORKERS  # it is soon done
    await db.execute("insert into bare_queue select from generate_series(1, $1::integer)", waiting)
    await db.execute("vacuum analyze bare_queue")
    out = BATCH * await pgbench(dsn, programs, WORK, WORKERS, waiting // BATCH // WORKERS)
    left = await db.fetchval("select count(*) from bare_queue")
    assert left < BATCH * WORKERS, left  # a worker that skipped what others held took less
    await db.close()
    return singly, many, bulk, out


async def pgbench(dsn: str, programs: Path, script: str, clients: int, each: int) -> float:
    """Transactions a second, of so many by each client."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            programs / "pgbench", "--no-vacuum", "--client", str(clients), "--file", file.name,
            "--jobs", str(min(clients, 2)), "--protocol", "prepared", "--transactions", str(each),
            dsn, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await process.communicate())[0].decode()
    found = re.search(r"tps = ([\d.]+)", output)
    assert found, output
    return float(found[1])
