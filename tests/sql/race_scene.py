"""Attachments that share content, each at another point of its life, and calls that meet there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    POLLER,
    begin_upload,
    claim,
    describe,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    queue_media,
    sha256,
    store,
)
from tests.sql.queue_invariants import EMPTY, VIOLATIONS

FLYING, STORED, LEAVING = (sha256(name) for name in (b"in flight", b"stored", b"to be removed"))
MESSAGE = "delete from messages where id = (select message_id from media where id = $1)"


@dataclass
class Scene:
    """Attachments that share content, each at another point of its life."""

    leader: UUID  # its file is uploaded, and not yet recorded
    waiting: UUID  # for the leader
    second: UUID  # claimed; nothing is known of its content yet
    pending: UUID  # not claimed yet
    dead: UUID  # a dead letter of the content in flight
    stored: UUID  # the only one of its content
    object_id: UUID  # the leader's reservation
    tokens: dict[UUID, int]


async def set_scene(db: Any, lease_over: bool) -> Scene:
    await db.execute(EMPTY)
    stored = await store(db, STORED)
    leaving = await store(db, LEAVING)
    await db.execute("select delete_media($1)", leaving)
    dead = await queue_media(db)
    await fail(db, dead, (await claim(db))[dead], code="100")
    await db.execute("update media set whatsapp_sha256 = $2 where id = $1", dead, FLYING)
    leader = await queue_media(db, sha256=FLYING)
    waiting = await queue_media(db, sha256=FLYING)
    second = await queue_media(db)
    tokens = await claim(db)
    pending = await queue_media(db)
    begun = await begin_upload(db, leader, tokens[leader], content_hash=FLYING)
    await db.execute("update media set message_sent_at = now() - interval '9 days'")
    if lease_over:
        await expire_lease(db, leader)
    return Scene(leader, waiting, second, pending, dead, stored, begun["object_id"], tokens)


Call = Callable[[Any, Scene], Coroutine[Any, Any, Any]]


def calling(statement: str, *names: str) -> Call:
    return lambda db, scene: db.execute(statement, *(getattr(scene, name) for name in names))


def describing(content_hash: str) -> Call:
    return lambda db, scene: describe(
        db, scene.second, scene.tokens[scene.second], sha256=content_hash
    )


def beginning(content_hash: str) -> Call:
    return lambda db, scene: begin_upload(
        db, scene.second, scene.tokens[scene.second], content_hash=content_hash
    )


def of_leader(function: str) -> Call:
    return lambda db, scene: db.execute(
        f"select {function}($1, array[$2::uuid], array[$3::integer])",
        POLLER, scene.leader, scene.tokens[scene.leader],
    )  # fmt: skip


CALLS: dict[str, Call] = {
    "finish": lambda db, s: finish_upload(db, s.leader, s.tokens[s.leader], s.object_id),
    "reject": lambda db, s: begin_upload(
        db, s.leader, s.tokens[s.leader], content_hash=FLYING, mime_type="audio/ogg"
    ),
    "fail for good": lambda db, s: fail(db, s.leader, s.tokens[s.leader], code="100"),
    "fail": lambda db, s: fail(db, s.leader, s.tokens[s.leader], http_status=500),
    "renew": of_leader("renew_media_leases"),
    "release": of_leader("release_media_jobs"),
    "describe as in flight": describing(FLYING),
    "describe as stored": describing(STORED),
    "describe as to be removed": describing(LEAVING),
    "begin as in flight": beginning(FLYING),
    "claim": lambda db, _: claim(db, 100, "two"),
    "claim deletions": calling("select claim_media_deletions('two', 10)"),
    "queue in flight": lambda db, _: queue_media(db, sha256=FLYING),
    "queue stored": lambda db, _: queue_media(db, sha256=STORED),
    "cancel the leader": calling("select cancel_media($1)", "leader"),
    "cancel who is pending": calling("select cancel_media($1)", "pending"),
    "cancel who waits": calling("select cancel_media($1)", "waiting"),
    "retry": calling("select retry_media($1)", "dead"),
    "delete the leader": calling("select delete_media($1)", "leader"),
    "delete who waits": calling("select delete_media($1)", "waiting"),
    "delete what is stored": calling("select delete_media($1)", "stored"),
    "delete the message": calling(MESSAGE, "leader"),
    "delete all": calling("delete from media"),
    "clean up": calling("select cleanup_old_media(7)"),
    "pause": calling("select pause_media_source('whatsapp:default')"),
    "pause storage": calling("select pause_media_source('storage')"),
    "resume": calling("select resume_media_source('whatsapp:default')"),
    "retry all that failed": calling("select retry_failed_media()"),
    "a late refusal": calling(
        "select note_late_answer($1, 1, null, 'whatsapp', null, 401)", "leader"
    ),
    "refused": lambda db, s: fail(db, s.leader, s.tokens[s.leader], code="190", http_status=401),
    "maintain": calling("select run_media_maintenance()"),
}


async def settled(db: Any, connection: Any, task: asyncio.Task[Any]) -> bool:
    """Wait until the call waits for a lock (false), or is made (true)."""
    pid = connection.get_server_pid()
    while not (await asyncio.wait([task], timeout=0.003))[0]:
        if await db.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid):
            return False
    return True


async def violations(db: Any) -> list[str]:
    return [f"{row['broken']}: {row['by']}" for row in await db.fetch(VIOLATIONS)]


async def bring_to_an_end(db: Any) -> None:
    """What is left is done by one good poller, and nobody waits for ever."""
    for _ in range(10):
        await db.execute("delete from media_pauses")
        await db.execute(
            "update media_processing_queue set lease_until = now() where lease_until is not null"
        )
        await make_due(db)
        for media, token in (await claim(db, poller="good")).items():
            described = await describe(db, media, token, poller="good", sha256=FLYING)
            if described["verdict"] == "download":
                begun = await begin_upload(db, media, token, poller="good", content_hash=FLYING)
                if begun["verdict"] == "upload":
                    await finish_upload(db, media, token, begun["object_id"], poller="good")
        left = "select from media_processing_queue where status not in ('failed', 'cancelled')"
        if not await db.fetch(left):
            return
    pytest.fail("somebody waits for ever")
