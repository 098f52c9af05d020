"""The door while the database is away or held up, and more calls come than it can hold."""

from __future__ import annotations

import asyncio
from typing import Any

from poller.webhook import (
    DATABASE_CONNECTIONS,
)
from tests.conftest import Connect
from tests.helpers import eventually
from tests.webhook.calls import count
from tests.webhook.conftest import StartDoor
from tests.webhook.payloads import message, received


async def test_a_locked_table_is_waited_for_briefly(
    db: Any, connect: Connect, start_door: StartDoor
) -> None:
    """Also by the calls that find no connection to the database free."""
    door = await start_door()
    meta = door.meta
    blocker = await connect()
    async with blocker.transaction():
        await blocker.execute("lock table messages")
        calls = [meta.post(received(message())) for _ in range(2 * DATABASE_CONNECTIONS + 1)]
        answers = await asyncio.gather(*calls)

    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    for reason in ("LockNotAvailableError", "TimeoutError"):
        assert f"not stored: {reason}" in door.log.read_text()
    assert (await meta.post(received(message()))).status_code == 200
    assert await count(db, "whatsapp_webhook_events") == 1


async def test_meta_is_asked_to_come_again_while_the_database_is_away(
    start_door: StartDoor,
) -> None:
    door = await start_door(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    answer = await door.meta.post(received(message()))

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert (await door.meta.post(b"{}", X_Hub_Signature_256="")).status_code == 403
    assert (await door.meta.verify()).status_code == 200


async def test_the_door_opens_again_when_the_database_is_back(
    db: Any, connect: Connect, start_door: StartDoor
) -> None:
    meta = (await start_door()).meta
    payload = received(message())
    await db.execute("alter function receive_whatsapp_webhook(json) rename to gone")
    assert (await meta.post(payload)).status_code == 503
    await db.execute("alter function gone(json) rename to receive_whatsapp_webhook")
    await (await connect()).execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name like 'pgmedia %' and datname = current_database()"
    )

    answers = [(await meta.post(payload)).status_code for _ in range(10)]

    assert answers[-1] == 200
    assert set(answers) <= {200, 503}
    assert await count(db, "media_processing_queue") == 1


async def test_calls_at_once_are_all_stored_once(db: Any, start_door: StartDoor) -> None:
    meta = (await start_door()).meta
    payloads = [received(message(), message("text")) for _ in range(20)]

    answers = await asyncio.gather(*[meta.post(payload) for payload in payloads * 3])

    assert {answer.status_code for answer in answers} == {200}
    assert await count(db, "whatsapp_webhook_events") == 20
    assert await count(db, "messages") == 40
    assert await count(db, "media_processing_queue") == 20


async def test_sigterm_answers_what_is_in_hand(
    db: Any, connect: Connect, start_door: StartDoor
) -> None:
    door = await start_door()
    blocker = await connect()
    async with blocker.transaction():
        await blocker.execute("lock table whatsapp_webhook_events")
        call = asyncio.create_task(door.meta.post(received(message())))
        waiting = "select exists (select from pg_stat_activity where wait_event_type = 'Lock')"
        await eventually(lambda: db.fetchval(waiting))
        door.terminate()
        await door.logged("webhook: stopping")

    assert (await call).status_code == 200
    assert await door.ended() == 0
    assert await count(db, "media_processing_queue") == 1
