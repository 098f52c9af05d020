"""What the door logs: counts, and nothing of a message."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.webhook.conftest import StartDoor
from tests.webhook.payloads import SENDER, message, received


async def test_each_thing_is_told_once(start_door: StartDoor) -> None:
    """Also where two servers run in one process: the door, and the one for metrics."""
    door = await start_door(PGMEDIA_METRICS_PORT="0", PGMEDIA_LOG_FORMAT="json")
    assert (await door.meta.post(received(message()))).status_code == 200
    door.process.terminate()
    assert await asyncio.wait_for(door.process.wait(), 15) == 0

    lines = [json.loads(line) for line in door.log.read_text().splitlines()]

    assert [line["message"].split("http")[0].split("{")[0].strip() for line in lines] == [
        "metrics: on", "webhook: running on", "webhook:",
        "webhook: stopping; calls in hand are answered first", "webhook: stopped",
    ]  # fmt: skip
    assert {line["logger"].partition(".")[0] for line in lines} == {"poller"}


async def test_the_log_counts_what_was_refused_and_quotes_nothing(
    db: Any, start_door: StartDoor
) -> None:
    await db.execute("""
        create function refuse() returns trigger language plpgsql as $$
        begin
            raise exception E'%: my PIN\nis 1234 %', new.sender, new.id;
        end $$;
        create trigger refuse before insert on messages for each row execute function refuse();
    """)
    door = await start_door()

    assert (await door.meta.post(received(*[message() for _ in range(25)]))).status_code == 200

    await door.logged('"errors": {"message_refused": ')
    (line,) = [one for one in door.log.read_text().splitlines() if "message_refused" in one]
    assert " WARNING webhook: {" in line
    assert "PIN" not in door.log.read_text()
    assert "1234" not in door.log.read_text()
    kept = (
        "select summary -> 'errors' from whatsapp_webhook_events where summary ->> 'errors' <> '{}'"
    )
    errors = json.loads(await db.fetchval(kept))
    assert sum(errors.values()) == 25
    assert len(errors) == 21
    assert errors["other"] == 5
    assert max(map(len, errors)) <= 200


async def test_the_log_names_a_fault_without_its_words(db: Any, start_door: StartDoor) -> None:
    """Postgres quotes the row that fails in the error's detail."""
    await db.execute("""
        create function refuse() returns trigger language plpgsql as $$
        begin
            raise exception 'my PIN is 1234' using
                errcode = '53100', detail = 'the row: ' || new.sender, hint = new.sender;
        end $$;
        create trigger refuse before insert on messages for each row execute function refuse();
    """)
    door = await start_door()

    answer = await door.meta.post(received(message()))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    await door.logged("webhook: not stored: DiskFullError (53100)\n")
    text = door.log.read_text()
    assert "PIN" not in text + answer.text
    assert SENDER not in text + answer.text
