"""queue_media_processing: what it refuses, and how it says so."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.helpers import (
    add_message,
    everything,
    media_row,
    queue_media,
    refused,
    sha256,
)

HASH = sha256(b"a photo")
BASE64 = base64.b64encode(bytes.fromhex(HASH)).decode()
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"message_id": UUID(int=7)}, "MD010", str(UUID(int=7))),
    ({"message_id": None}, "MD010", "null"),
    ({"media_type": "hologram"}, "MD011", "'hologram'"),
    ({"media_type": "Image"}, "MD011", "'Image'"),
    ({"media_type": ""}, "MD011", "''"),
    ({"priority": 0}, "MD012", "0"),
    ({"priority": 11}, "MD012", "11"),
    ({"priority": -1}, "MD012", "-1"),
    ({"priority": 2**31 - 1}, "MD012", str(2**31 - 1)),
    ({"priority": None}, "MD012", "null"),
    ({"sha256": ""}, "MD013", "''"),
    ({"sha256": HASH[:-1]}, "MD013", HASH[:-1]),
    ({"sha256": HASH + "0"}, "MD013", HASH),
    ({"sha256": HASH[:-1] + "g"}, "MD013", HASH[:-1] + "g"),
    ({"sha256": HASH + "\n"}, "MD013", HASH),
    ({"sha256": BASE64[:-1]}, "MD013", BASE64[:-1]),
    ({"sha256": BASE64[:-2] + "B="}, "MD013", BASE64[:-2] + "B="),  # 258 bits
    ({"sha256": "-" + BASE64[1:]}, "MD013", BASE64[1:]),
    ({"sha256": "x" * 10_000}, "MD013", "x" * 100),
    ({"whatsapp_media_id": ""}, "MD014", "''"),
    ({"whatsapp_media_id": "   "}, "MD014", "'   '"),
    ({"whatsapp_media_id": "\t\r\n"}, "MD014", "\t"),
    ({"whatsapp_media_id": None}, "MD014", "null"),
    ({"whatsapp_media_id": "9" * 501}, "MD014", "501"),
    ({"file_size": -1}, "MD015", "-1"),
]


@pytest.mark.parametrize(("arguments", "sqlstate", "value"), BAD)
async def test_what_cannot_be_used_is_refused_by_name(
    db: Any, arguments: dict[str, Any], sqlstate: str, value: str
) -> None:
    message = await add_message(db)
    before = await everything(db)
    named: dict[str, Any] = {"message_id": message, "whatsapp_media_id": "1", **arguments}
    call = ", ".join(f"{name} => ${number}" for number, name in enumerate(named, 1))

    with refused(sqlstate, value):
        await db.fetchval(f"select queue_media_processing({call})", *named.values())

    assert await everything(db) == before


async def test_a_refusal_has_a_hint_and_stays_short(db: Any) -> None:
    for arguments in ({"sha256": "x" * 10_000}, {"media_type": "y" * 10_000}):
        with pytest.raises(asyncpg.PostgresError) as raised:
            await queue_media(db, **arguments)
        assert raised.value.hint
        assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "arguments",
    [
        {"priority": 1},
        {"priority": 10},
        {"file_size": 0},
        {"media_id": "9" * 500},
        {"sha256": None},
    ],
)
async def test_the_edges_are_allowed(db: Any, arguments: dict[str, Any]) -> None:
    assert await queue_media(db, **arguments)


async def test_the_media_id_is_never_read_as_sql(db: Any) -> None:
    evil = f"1'); drop table media; -- {uuid4()}"

    media = await queue_media(db, evil, caption=evil, file_name=evil)

    assert (await media_row(db, media))["whatsapp_media_id"] == evil
