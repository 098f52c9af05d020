"""What the door logs: counts, and nothing of a message."""

from __future__ import annotations

import json
from typing import Any

from tests.webhook.conftest import StartDoor
from tests.webhook.payloads import message, received


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
