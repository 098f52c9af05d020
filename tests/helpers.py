"""Short words for what the tests say often."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest

POLLER = "poller-1"


def as_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def as_user(dsn: str, user: str, password: str) -> str:
    parts = urlsplit(dsn)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password)}@{address}"))


def create_login(user: str, password: str, role: str) -> str:
    """SQL that makes a login in this role and no other, unless the server has it already."""
    return f"""
        do $$
        begin
            create role {user} login password '{password}' in role {role};
        exception when duplicate_object or unique_violation then
            null;
        end $$
    """


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until the condition (a function, async or not) answers something true; return that."""
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(0.02)


async def add_message(
    db: Any, message_type: str = "image", phone_number_id: str | None = None
) -> UUID:
    """The row of a message, as a bot inserts it."""
    return await db.fetchval(
        "insert into messages (whatsapp_message_id, phone_number_id, sender, message_type, sent_at)"
        " values ($1, $2, '4915112345678', $3, now()) returning id",
        f"wamid.{uuid4().hex}", phone_number_id, message_type,
    )  # fmt: skip


async def queue_media(db: Any, media_id: str | None = None, **arguments: Any) -> UUID:
    """A message of its own with one attachment, queued; returns the media id.

    `message_id`, `message_type` and `phone_number_id` are about the message; the other arguments
    are those of queue_media_processing.
    """
    message_id = arguments.pop("message_id", None) or await add_message(
        db, arguments.pop("message_type", "image"), arguments.pop("phone_number_id", None)
    )
    named = {"message_id": message_id, "whatsapp_media_id": media_id or uuid4().hex, **arguments}
    call = ", ".join(f"{name} => ${number}" for number, name in enumerate(named, 1))
    return await db.fetchval(f"select queue_media_processing({call})", *named.values())


async def queue_many(db: Any, count: int, number: str = "1") -> list[UUID]:
    """So many attachments of one phone number; their media ids."""
    return [await queue_media(db, phone_number_id=number) for _ in range(count)]


async def claim(db: Any, limit: int = 100, poller: str = POLLER) -> dict[UUID, int]:
    """Claim jobs; the fencing token of each, by media id, in the order they were handed out."""
    rows = await db.fetch("select * from claim_media_jobs($1, $2)", poller, limit)
    return {row["id"]: row["fencing_token"] for row in rows}


async def describe(
    db: Any, media: UUID, token: int, *, poller: str = POLLER, mime_type: str | None = "image/jpeg",
    file_size: int | None = 1000, sha256: str | None = None,
) -> Any:  # fmt: skip
    return await db.fetchrow(
        "select * from describe_media_source($1, $2, $3, $4, $5, $6)",
        media, poller, token, mime_type, file_size, sha256,
    )  # fmt: skip


async def begin_upload(
    db: Any, media: UUID, token: int, *, poller: str = POLLER, content_hash: str,
    file_size: int = 1000, mime_type: str | None = "image/jpeg",
) -> Any:  # fmt: skip
    return await db.fetchrow(
        "select * from begin_media_upload($1, $2, $3, $4, $5, $6)",
        media, poller, token, content_hash, file_size, mime_type,
    )  # fmt: skip


async def finish_upload(
    db: Any, media: UUID, token: int, object_id: UUID, *, poller: str = POLLER
) -> int:
    return await db.fetchval(
        "select finish_media_upload($1, $2, $3, $4)", media, poller, token, object_id
    )


async def fail(
    db: Any, media: UUID, token: int, *, poller: str = POLLER, source: str = "whatsapp",
    code: str | None = None, http_status: int | None = None, retry_after: float | None = None,
    text: str = "it failed",
) -> Any:  # fmt: skip
    return await db.fetchrow(
        "select * from fail_media_job($1, $2, $3, $4, $5, $6, $7, $8)",
        media, poller, token, source, code, http_status, retry_after, text,
    )  # fmt: skip


async def refuse_one(db: Any) -> None:
    """Claim one job, whose token WhatsApp refuses."""
    ((media, token),) = (await claim(db, 1)).items()
    await fail(db, media, token, code="190", http_status=401)


async def store(db: Any, content_hash: str, **arguments: Any) -> UUID:
    """An attachment taken through its whole life to stored; returns the media id."""
    media = await queue_media(db, **arguments)
    token = (await claim(db))[media]
    begun = await begin_upload(db, media, token, content_hash=content_hash)
    assert begun["verdict"] == "upload", begun
    await finish_upload(db, media, token, begun["object_id"])
    return media


async def status(db: Any, media: UUID) -> Any:
    return await db.fetchrow("select * from get_media_status($1)", media)


async def is_stored(db: Any, media: UUID) -> Any:
    """Wait until the attachment is stored; its media row."""
    return await eventually(
        lambda: db.fetchrow("select * from media where id = $1 and processed", media)
    )


async def events(db: Any, media: UUID) -> list[str]:
    """What the audit trail tells of an attachment, in order."""
    rows = await db.fetch("select event from get_media_audit_trail($1)", media)
    return [row["event"] for row in rows]


async def queue_row(db: Any, media: UUID) -> Any:
    """The row of the queue; None when it has left."""
    return await db.fetchrow("select * from media_processing_queue where id = $1", media)


async def media_row(db: Any, media: UUID) -> Any:
    return await db.fetchrow("select * from media where id = $1", media)


async def expire_lease(db: Any, media: UUID) -> None:
    """Let the lease of a claimed attachment have ended a second ago."""
    await db.execute(
        "update media_processing_queue set lease_until = now() - interval '1 s' where id = $1",
        media,
    )


async def pause_row(db: Any) -> Any:
    """The only pause, with what remains of it; None when there is none."""
    return await db.fetchrow("select *, until - now() as remaining from media_pauses")


async def end_pauses(db: Any) -> None:
    """Let every pause have ended a second ago, and every row's time come."""
    await db.execute("update media_pauses set until = now() - interval '1 s'")
    await make_due(db)


async def make_due(db: Any) -> None:
    """Let every row's time come: backoffs and rechecks are over."""
    await db.execute("update media_processing_queue set due_at = now() - interval '1 s'")
    await db.execute("update media_deletion_queue set due_at = now() - interval '1 s'")


async def everything(db: Any) -> dict[str, list[str]]:
    """All rows of all tables, to show that something changed nothing."""
    tables = await db.fetch(
        "select relname from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname"
    )
    return {
        name: [row[0] for row in await db.fetch(f"select t::text from {name} t order by t::text")]
        for (name,) in tables
    }


@contextlib.contextmanager
def refused(sqlstate: str, words: str = "") -> Generator[None]:
    """The block must raise this SQLSTATE, with these words in the message."""
    with pytest.raises(asyncpg.PostgresError) as raised:
        yield
    assert raised.value.sqlstate == sqlstate, raised.value
    assert words in str(raised.value)


async def blocked(db: Any, connection: Any) -> None:
    """Wait until the other connection waits for a lock."""
    pid = connection.get_server_pid()
    await eventually(lambda: db.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid))


def sql(dsn: str, statement: str, *parameters: object) -> list[Any]:
    """Run SQL outside of any transaction; the rows, if it gives any."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def pgmedia(
    *arguments: str, cwd: Path, seconds: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with nothing but these settings."""
    return run_module("poller", *arguments, cwd=cwd, seconds=seconds, **environment)


def run_module(
    *arguments: str, cwd: Path, seconds: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`python -m` to its end, with nothing but this environment."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], env={"PATH": os.environ["PATH"], **environment},
        cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
        check=False,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    """The children of a process, as Linux lists them."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
