"""The bound of a drain: pgbench, a bare table, nothing but claim and delete."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

import asyncpg

CLIENTS = 4
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
WORK = f"""
with picked as materialized (
    select id from bare_queue where status = 'pending' and due_at <= now()
    order by priority, due_at, id limit {BATCH} for update skip locked)
update bare_queue q set status = 'processing', claimed_by = :client_id,
    lease_until = clock_timestamp() + interval '1 minute'
where q.id = any (array(select id from picked));
delete from bare_queue where claimed_by = :client_id and status = 'processing';
"""


async def drain_bare_queue(dsn: str, programs: Path, count: int) -> float:
    """Jobs a second of pgbench, with a lease and a deletion for each, in batches."""
    db = await asyncpg.connect(dsn)
    await db.execute(TABLE)
    await db.execute("insert into bare_queue select from generate_series(1, $1::integer)", count)
    await db.execute("vacuum analyze bare_queue")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(WORK)
        script.flush()
        pgbench = await asyncio.create_subprocess_exec(
            programs / "pgbench", "--no-vacuum", "--client", str(CLIENTS), "--file", script.name,
            "--transactions", str(count // BATCH // CLIENTS), dsn,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await pgbench.communicate())[0].decode()
    assert await db.fetchval("select count(*) from bare_queue") == 0, output
    await db.close()
    found = re.search(r"tps = ([\d.]+)", output)
    assert found, output
    return float(found[1]) * BATCH
