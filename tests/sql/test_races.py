"""Two transactions at once: what comes of the pairs that meet, and that no two deadlock.

test_any_two_calls stops the first call before its commit, or where a third connection holds a row
that it needs; makes the second; lets the row go, and each commits when it gets there. It takes one
such row for each pair, with PGMEDIA_TEST_PROFILE=thorough all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    begin_upload,
    blocked,
    claim,
    describe,
    expire_lease,
    fail,
    finish_upload,
    make_due,
    media_row,
    queue_media,
    queue_row,
    refused,
    sha256,
    status,
    store,
)
from tests.sql.queue_invariants import EMPTY, THOROUGH, VIOLATIONS

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
    "a late refusal": calling("select note_late_failure('whatsapp', null, 401)"),
    "refused": lambda db, s: fail(db, s.leader, s.tokens[s.leader], code="190", http_status=401),
    "maintain": calling("select run_media_maintenance()"),
}

OBJECT = "select from media_objects where content_hash"
ROWS = {
    "nothing": "select",
    **{
        f"{table} of {name}": f"select from {table} where id = '{{{name}}}' for update"
        for name in ("leader", "waiting", "second")
        for table in ("media_processing_queue", "media")
    },
    "the reservation": "select from media_objects where id = '{object_id}' for update",
    "the stored object": f"{OBJECT} = '{STORED}' for update",
    "the object to be removed": f"{OBJECT} = '{LEAVING}' for update",
    "the deletion": "select from media_deletion_queue for update",
    "the source": "select from media_sources for update",
    "the pause": "select from media_pauses for update",
}


async def settled(db: Any, connection: Any, task: asyncio.Task[Any]) -> bool:
    """Wait until the call waits for a lock (false), or is made (true)."""
    pid = connection.get_server_pid()
    while not (await asyncio.wait([task], timeout=0.003))[0]:
        if await db.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid):
            return False
    return True


async def make(db: Any, call: Call, scene: Scene) -> None:
    try:
        await call(db, scene)
    except asyncpg.PostgresError as error:
        if error.sqlstate != "MD001":  # the lease was lost: that may be
            raise


async def is_held_up(db: Any, connections: list[Any], scene: Scene, name: str, row: str) -> bool:
    """Does the call need the row? Nothing stays of it."""
    one, _, three = connections
    hold, open_call = three.transaction(), one.transaction()
    await hold.start()
    await three.execute(ROWS[row].format(**vars(scene)))
    await open_call.start()
    task = asyncio.create_task(make(one, CALLS[name], scene))
    waits = not await settled(db, one, task)
    await hold.rollback()
    await task
    await open_call.rollback()
    return waits


async def meet(
    db: Any, connections: list[Any], scene: Scene, pair: tuple[str, str], row: str
) -> None:
    hold = connections[2].transaction()
    await hold.start()
    await connections[2].execute(ROWS[row].format(**vars(scene)))
    open_calls: dict[asyncio.Task[None], Any] = {}
    for connection, name in zip(connections, pair, strict=False):
        transaction = connection.transaction()
        await transaction.start()
        task = asyncio.create_task(make(connection, CALLS[name], scene))
        open_calls[task] = transaction
        await settled(db, connection, task)
    await hold.rollback()
    waiting = set(open_calls)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            failed = task.exception()
            await (open_calls[task].rollback() if failed else open_calls[task].commit())
    for task in open_calls:
        await task


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


@pytest.fixture
async def three(connect: Connect) -> list[Any]:
    connections = [await connect() for _ in range(3)]
    for connection in connections:
        await connection.execute("set deadlock_timeout = '50ms'")
    return connections


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", CALLS)
async def test_any_two_calls(db: Any, three: list[Any], first: str) -> None:
    problems: list[str] = []
    for lease_over in (False, True):
        scene = await set_scene(db, lease_over)
        rows = [
            row
            for row in ROWS
            if row == "nothing" or await is_held_up(db, three, scene, first, row)
        ]
        for number, second in enumerate(CALLS):
            if not THOROUGH and number % 2 != lease_over:
                continue
            for row in rows if THOROUGH else [rows[number // 2 % len(rows)]]:
                scene = await set_scene(db, lease_over)
                try:
                    await meet(db, three, scene, (first, second), row)
                    await make_due(db)
                    await db.execute("select rescue_media_jobs()")
                    broken = await violations(db)
                    await bring_to_an_end(db)
                    broken += await violations(db)
                except asyncpg.PostgresError as error:
                    broken = [repr(error)]
                problems += [f"{first}, {second}, held at {row}: {it}" for it in broken]
    assert problems == []


@pytest.mark.parametrize(
    ("first", "second", "row"),
    [
        ("cancel the leader", "delete the leader", "media_processing_queue of leader"),
        ("delete the leader", "cancel the leader", "media of leader"),
        ("cancel who waits", "delete all", "media_processing_queue of waiting"),
        ("retry", "delete all", "media of leader"),
        ("delete all", "retry", "media of leader"),
    ],
)
async def test_operators_do_not_deadlock_with_deletions(
    db: Any, three: list[Any], first: str, second: str, row: str
) -> None:
    scene = await set_scene(db, lease_over=False)

    await meet(db, three, scene, (first, second), row)

    assert await violations(db) == []


# What comes of it, in both orders. Of claims, begins and deletions the other tests tell more.


async def test_a_finish_before_the_rescue_counts(connect: Connect, db: Any) -> None:
    one = await connect()
    scene = await set_scene(db, lease_over=True)

    async with one.transaction():
        await CALLS["finish"](one, scene)
        assert scene.leader not in await claim(db, poller="two")  # neither waits nor takes it

    assert (await status(db, scene.leader))["status"] == "stored"
    assert scene.leader not in await claim(db, poller="two")
    assert await violations(db) == []


async def test_a_finish_after_the_rescue_does_not_count(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=True)
    transaction = two.transaction()
    await transaction.start()
    token = (await claim(two, poller="two"))[scene.leader]
    finishing = asyncio.create_task(CALLS["finish"](one, scene))
    await blocked(db, one)
    await transaction.commit()

    with refused("MD001"):
        await finishing

    begun = await begin_upload(db, scene.leader, token, poller="two", content_hash=FLYING)
    assert (begun["verdict"], begun["object_id"]) == ("upload", scene.object_id)
    assert await finish_upload(db, scene.leader, token, scene.object_id, poller="two") == 1
    assert await violations(db) == []


async def test_a_finish_counts_when_the_rescue_is_rolled_back(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=True)
    transaction = two.transaction()
    await transaction.start()
    await claim(two, poller="two")
    finishing = asyncio.create_task(CALLS["finish"](one, scene))
    await blocked(db, one)
    await transaction.rollback()

    assert await finishing == 1
    assert await violations(db) == []


async def test_a_renewal_does_not_wait_for_a_rescue_and_the_next_one_tells_of_it(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=True)
    renew = "select renew_media_leases($1, array[$2::uuid], array[$3::integer])"
    job = POLLER, scene.leader, scene.tokens[scene.leader]
    async with two.transaction():
        assert scene.leader in await claim(two, poller="two")
        assert [row[0] for row in await one.fetch(renew, *job)] == [scene.leader]

    assert await one.fetch(renew, *job) == []
    assert (await queue_row(db, scene.leader))["claimed_by"] == "two"


@pytest.mark.parametrize("join", ["describe as in flight", "begin as in flight"])
@pytest.mark.parametrize(
    "end", ["finish", "fail for good", "cancel the leader", "delete the leader"]
)
async def test_who_joined_before_the_leader_ends_shares_its_end(
    connect: Connect, db: Any, join: str, end: str
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = two.transaction()
    await transaction.start()
    assert (await CALLS[join](two, scene))["verdict"] == "joined"
    ending = asyncio.create_task(CALLS[end](one, scene))
    await blocked(db, one)
    await transaction.commit()
    await ending

    states = {(await status(db, media))["status"] for media in (scene.waiting, scene.second)}
    assert states == ({"stored"} if end == "finish" else {"pending", "waiting"})
    assert await violations(db) == []


@pytest.mark.parametrize(
    ("join", "alone"), [("describe as in flight", "download"), ("begin as in flight", "upload")]
)
@pytest.mark.parametrize(
    "end", ["finish", "fail for good", "cancel the leader", "delete the leader"]
)
async def test_who_comes_after_the_leader_ended_does_not_join_it(
    connect: Connect, db: Any, join: str, alone: str, end: str
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = one.transaction()
    await transaction.start()
    await CALLS[end](one, scene)
    joining = asyncio.create_task(CALLS[join](two, scene))
    await blocked(db, two)
    await transaction.commit()

    assert (await joining)["verdict"] == ("deduplicated" if end == "finish" else alone)
    assert await violations(db) == []


@pytest.mark.parametrize("queued_first", [True, False])
@pytest.mark.parametrize(
    "end", ["finish", "fail for good", "cancel the leader", "delete the leader"]
)
async def test_who_is_queued_while_the_leader_ends_is_freed_by_its_recheck(
    connect: Connect, db: Any, end: str, queued_first: bool
) -> None:
    """A caller's transaction waits for nobody, so it may join one that is just leaving."""
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    queueing, ending = two.transaction(), one.transaction()
    await queueing.start()
    await ending.start()
    if queued_first:
        media = await queue_media(two, sha256=FLYING)
        await CALLS[end](one, scene)
    else:
        await CALLS[end](one, scene)
        media = await queue_media(two, sha256=FLYING)
    await ending.commit()
    await queueing.commit()
    assert (await queue_row(db, media))["waiting_for"] == scene.leader

    await make_due(db)
    await db.execute("select rescue_media_jobs()")

    row = await queue_row(db, media)
    assert (row is None) if end == "finish" else row["waiting_for"] != scene.leader
    await bring_to_an_end(db)
    assert (await status(db, media))["status"] == "stored"
    assert await violations(db) == []


async def test_a_cancellation_after_the_finish_finds_nothing_to_stop(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = one.transaction()
    await transaction.start()
    await CALLS["finish"](one, scene)
    cancelling = asyncio.create_task(two.fetchval("select cancel_media($1)", scene.leader))
    await blocked(db, two)
    await transaction.commit()

    assert await cancelling is False
    assert (await status(db, scene.leader))["status"] == "stored"
    assert await violations(db) == []


async def test_a_finish_after_the_cancellation_does_not_count(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    scene = await set_scene(db, lease_over=False)
    transaction = two.transaction()
    await transaction.start()
    assert await two.fetchval("select cancel_media($1)", scene.leader) is True
    finishing = asyncio.create_task(CALLS["finish"](one, scene))
    await blocked(db, one)
    await transaction.commit()

    with refused("MD001"):
        await finishing

    assert (await status(db, scene.leader))["status"] == "cancelled"
    abandoned = "select count(*) from media_deletion_queue where reason = 'upload abandoned'"
    assert await db.fetchval(abandoned) == 1
    assert await violations(db) == []


async def test_a_content_cannot_be_reserved_twice(db: Any) -> None:
    scene = await set_scene(db, lease_over=False)

    with refused("23505", "media_objects_content_key"):
        await db.execute(
            "insert into media_objects (content_hash, is_public, leader_id) values ($1, true, $2)",
            FLYING, scene.second,
        )  # fmt: skip


async def test_public_and_private_uploads_of_one_content_do_not_wait_for_each_other(
    connect: Connect, db: Any
) -> None:
    one = await connect()
    public, private = await queue_media(db), await queue_media(db, media_type="document")
    held = await claim(db)

    async with one.transaction():
        first = await begin_upload(one, public, held[public], content_hash=FLYING)
        second = await begin_upload(db, private, held[private], content_hash=FLYING)
        await finish_upload(db, private, held[private], second["object_id"])
    await finish_upload(db, public, held[public], first["object_id"])

    assert (await media_row(db, public))["bucket_name"] == "images"
    assert (await media_row(db, private))["bucket_name"] == "documents"
    assert await violations(db) == []


async def test_when_a_begin_is_rolled_back_the_other_one_uploads(connect: Connect, db: Any) -> None:
    one, two = await connect(), await connect()
    first, second = await queue_media(db), await queue_media(db)
    held = await claim(db)
    transaction = one.transaction()
    await transaction.start()
    await begin_upload(one, first, held[first], content_hash=FLYING)
    other = asyncio.create_task(begin_upload(two, second, held[second], content_hash=FLYING))
    await blocked(db, two)
    await transaction.rollback()

    assert (await other)["verdict"] == "upload"
    assert (await begin_upload(db, first, held[first], content_hash=FLYING))["verdict"] == "joined"
    assert await violations(db) == []


async def test_two_that_free_the_same_rows_do_not_wait_and_name_one_leader(
    connect: Connect, db: Any
) -> None:
    one = await connect()
    leader = await queue_media(db, sha256=FLYING)
    waiting = [await queue_media(db, sha256=FLYING) for _ in range(3)]

    async with one.transaction():
        await one.execute("select free_waiting_media($1)", leader)
        await db.execute("set lock_timeout = '1s'")
        await db.execute("select cancel_media($1)", leader)  # frees them as well

    rows = [await queue_row(db, media) for media in waiting]
    assert [row["status"] for row in rows] == ["pending", "waiting", "waiting"]
    assert {row["waiting_for"] for row in rows[1:]} == {waiting[0]}


async def test_two_claims_at_once_stay_within_the_limit_of_a_number(
    connect: Connect, db: Any
) -> None:
    one, two = await connect(), await connect()
    await db.execute("update media_settings set refusals_per_hour = 5")
    for _ in range(6):
        await queue_media(db)
    await claim(db, 1)  # the number is known, and one of the four that may be in work
    transaction = one.transaction()
    await transaction.start()
    assert len(await claim(one, 2, "one")) == 2
    claiming = asyncio.create_task(claim(two, 5, "two"))
    await settled(db, two, claiming)
    await transaction.commit()

    assert len(await claiming) == 1
    assert await violations(db) == []


async def test_two_that_would_wait_for_each_other_do_not(connect: Connect, db: Any) -> None:
    """Each is given the content of the other, at once: a circle of waits is a circle of locks.

    Who joins holds the reservation it joins, and has to delete its own, which the other holds.
    """
    one, two = await connect(), await connect()
    contents = [sha256(b"one"), sha256(b"two")]
    media = [await queue_media(db), await queue_media(db)]
    tokens = await claim(db)
    for own, content in zip(media, contents, strict=True):
        begun = await begin_upload(db, own, tokens[own], content_hash=content)
        assert begun["verdict"] == "upload"
    for connection in (one, two):
        await connection.execute("set deadlock_timeout = '50ms'")

    async def begin(connection: Any, number: int) -> Any:
        own = media[number]
        return await begin_upload(connection, own, tokens[own], content_hash=contents[1 - number])

    async def begin_at_once(connection: Any, number: int) -> Any:
        async with connection.transaction():
            await connection.execute(  # so far both have come
                "select from media_objects where content_hash = $1 for update", contents[1 - number]
            )
            both.set() if ready.is_set() else ready.set()
            await both.wait()
            return await begin(connection, number)

    ready, both = asyncio.Event(), asyncio.Event()
    calls = [begin_at_once(one, 0), begin_at_once(two, 1)]
    answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)

    (failed,) = [n for n, it in enumerate(answers) if isinstance(it, BaseException)]
    assert isinstance(answers[failed], asyncpg.DeadlockDetectedError)
    joined: Any = answers[1 - failed]
    assert joined["verdict"] == "joined"
    assert (await begin(db, failed))["verdict"] == "upload"  # a poller makes the call again
    assert await violations(db) == []
    await bring_to_an_end(db)
    assert await violations(db) == []
