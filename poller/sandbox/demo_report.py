"""What the demo shows at its end: a table by type, where the files are, and what to try next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

BY_TYPE = """
with stored as (
    select m.media_type, m.object_id, m.file_size,
        extract(epoch from m.processed_at - m.created_at) * 1000 as milliseconds,
        row_number() over (partition by m.object_id order by m.processed_at) > 1 as repeat
    from media m
    where m.processed and m.id = any ($1)
)
select
    s.media_type,
    count(*) as files,
    count(*) filter (where not s.repeat) as unique_files,
    count(*) filter (where s.repeat) as repeats,
    sum(s.file_size)::bigint as bytes,
    coalesce(sum(s.file_size) filter (where s.repeat), 0)::bigint as saved,
    percentile_cont(0.5) within group (order by s.milliseconds)::integer as median,
    percentile_cont(0.95) within group (order by s.milliseconds)::integer as p95
from stored s
group by s.media_type
order by s.media_type
"""

FAILED = """
select m.media_type, m.failure_code, count(*) as files, min(m.failure_text) as example
from media m
where m.failed_at is not null and m.id = any ($1)
group by m.media_type, m.failure_code
order by m.media_type, m.failure_code
"""

TRY_NEXT = """
select * from get_media_audit_trail((select id from media where failed_at is not null limit 1));
select media_type, file_size, storage_path, public_url from media where processed limit 5;
"""


async def print_report(console: Console, connection: Any, media: list[Any]) -> None:
    """The table by media type, and below it what failed and why."""
    table = Table(box=None, pad_edge=False)
    for heading in ("type", "files", "unique", "repeats", "bytes", "saved", "median", "p95"):
        table.add_column(heading, justify="left" if heading == "type" else "right")
    for row in await connection.fetch(BY_TYPE, media):
        table.add_row(
            row["media_type"], str(row["files"]), str(row["unique_files"]), str(row["repeats"]),
            decimal(row["bytes"]), decimal(row["saved"]), f"{row['median']} ms", f"{row['p95']} ms",
        )  # fmt: skip
    console.print(table)
    failed = Table(box=None, pad_edge=False)
    for heading in ("failed", "files", "reason", "for example"):
        failed.add_column(heading, justify="right" if heading == "files" else "left")
    for row in await connection.fetch(FAILED, media):
        failed.add_row(row["media_type"], str(row["files"]), row["failure_code"], row["example"])
    if failed.row_count:
        console.print()
        console.print(failed)


def print_where(console: Console, files: Path | None) -> None:
    if files is not None:
        console.print(f"\nThe files: {files}", soft_wrap=True, highlight=False)


def print_next_steps(console: Console, folder: Path, dsn: str, stored: UUID | None) -> None:
    """What to go on with from another terminal: commands and SQL. `folder` has their settings."""
    pgmedia = Path(sys.argv[0]).resolve() if sys.argv[0].endswith("pgmedia") else "pgmedia"
    lines = [
        "",
        "All of it stays up until Ctrl-C. In another terminal:",
        "",
        f"cd {folder}    # .env in this folder has the settings",
        f"{pgmedia} status",
        *([f"{pgmedia} show {stored}", f"{pgmedia} url {stored}"] if stored else []),
        f"{pgmedia} poll    # stores what you queue; README.md has the SQL",
        f"psql {dsn}",
        TRY_NEXT.strip(),
    ]
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
