"""Refused content, kept for a while where nobody is served it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Connect
from tests.helpers import (
    POLLER,
    claim,
    events,
    expire_lease,
    media_row,
    queue_media,
    refused,
    sha256,
    status,
)

HASH = sha256(b"harm")
BUCKET = "media-quarantine"


@pytest.fixture
async def quarantine(db: Any) -> None:
    await db.execute("select set_media_setting('quarantine_refused', 'true')")


async def begin(
    db: Any, media: UUID, token: int, flags: list[str], size: int = 1000, content_hash: str = HASH
) -> Any:
    facts = {"mime_type": "text/plain", "flags": flags}
    return await db.fetchrow(
        "select * from begin_media_upload($1, $2, $3, $4, $5, 'text/plain', $6)",
        media, POLLER, token, content_hash, size, json.dumps(facts),
    )  # fmt: skip


async def refuse(db: Any, **arguments: Any) -> tuple[UUID, int, Any]:
    media = await queue_media(db, media_type="document")
    token = (await claim(db))[media]
    return media, token, await begin(db, media, token, ["html"], **arguments)


async def settle(db: Any, media: UUID, token: int, path: str, stored: bool | None = True) -> str:
    return await db.fetchval(
        "select settle_media_quarantine($1, $2, $3, $4, $5)", media, POLLER, token, path, stored
    )


async def kept(db: Any) -> Any:
    return await db.fetchrow("select * from media_quarantine")


async def removals(db: Any) -> list[tuple[str, str]]:
    rows = await db.fetch("select bucket_name, storage_path from media_deletion_queue")
    return [tuple(row) for row in rows]


async def test_without_the_setting_nothing_is_kept(db: Any) -> None:
    media, _, begun = await refuse(db)

    assert (begun["verdict"], begun["storage_path"]) == ("rejected", None)
    row = await media_row(db, media)
    assert (row["content_hash"], row["file_size"]) == (HASH, 1000)  # that and no more
    assert await kept(db) is None
    policy = await db.fetch("select bucket_name from get_media_bucket_policy()")
    assert BUCKET not in [name for (name,) in policy]


@pytest.mark.usefixtures("quarantine")
async def test_refused_bytes_go_under_a_name_that_tells_nothing(db: Any) -> None:
    media, token, begun = await refuse(db)

    assert (begun["verdict"], begun["reason"]) == ("quarantine", "active_content")
    assert begun["bucket_name"] == BUCKET
    assert (begun["content_type"], begun["cache_control"]) == (
        "application/octet-stream", "no-store",
    )  # fmt: skip
    for word in (str(media), HASH[:8], "txt", "html"):
        assert word not in begun["storage_path"]
    assert await settle(db, media, token, begun["storage_path"]) == "rejected"
    row = await status(db, media)
    assert (row["status"], row["error_code"]) == ("failed", "active_content")
    assert await events(db, media) == ["queued", "claimed", "quarantined", "failed"]
    assert (await kept(db))["stored_at"]
    assert (await media_row(db, media))["storage_path"] is None


@pytest.mark.usefixtures("quarantine")
async def test_the_bucket_is_private_and_holds_bytes_that_nobody_shows(db: Any) -> None:
    rows = await db.fetch("select * from get_media_bucket_policy()")

    (found,) = [row for row in rows if row["bucket_name"] == BUCKET]
    assert (found["is_public"], found["mime_types"]) == (False, ["application/octet-stream"])
    assert found["file_size_limit"] == 52_428_800


@pytest.mark.usefixtures("quarantine")
async def test_the_bucket_stays_known_while_something_is_in_it(db: Any) -> None:
    media, token, begun = await refuse(db)
    await settle(db, media, token, begun["storage_path"])
    await db.execute("select set_media_setting('quarantine_refused', 'false')")

    assert BUCKET in [
        name for (name, *_) in await db.fetch("select * from get_media_bucket_policy()")
    ]
    assert (await refuse(db, content_hash=sha256(b"more")))[2]["verdict"] == "rejected"


@pytest.mark.usefixtures("quarantine")
async def test_the_same_bytes_are_kept_once_and_counted(db: Any) -> None:
    first, token, begun = await refuse(db)
    await settle(db, first, token, begun["storage_path"])
    await db.execute("update media_quarantine set keep_until = now() + interval '1 hour'")

    second, _, again = await refuse(db)

    assert again["verdict"] == "rejected"  # nothing to upload
    row = await kept(db)
    assert (row["arrivals"], row["media_id"]) == (2, second)
    assert await db.fetchval("select keep_until > now() + interval '29 days' from media_quarantine")
    stats = json.loads(await db.fetchval("select get_media_storage_stats()"))
    assert stats["quarantine"] == {"files": 1, "bytes": 1000, "refusals": 2}
    assert stats["failed_files"] == 2


@pytest.mark.usefixtures("quarantine")
@pytest.mark.parametrize(("size", "code"), [(0, "empty_file"), (60_000_000, "too_large")])
async def test_what_is_empty_or_cut_off_is_not_kept(db: Any, size: int, code: str) -> None:
    _, _, begun = await refuse(db, size=size)

    assert (begun["verdict"], begun["reason"]) == ("rejected", code)
    assert await kept(db) is None


@pytest.mark.usefixtures("quarantine")
@pytest.mark.parametrize(("stored", "is_left"), [(False, False), (None, True)])
async def test_an_upload_that_fails_keeps_no_attachment_alive(
    db: Any, stored: bool | None, is_left: bool
) -> None:
    """What storage refused is not there; what it did not answer may be, and is removed in time."""
    media, token, begun = await refuse(db)

    assert await settle(db, media, token, begun["storage_path"], stored) == "rejected"

    assert (await status(db, media))["error_code"] == "active_content"
    assert (await kept(db) is not None) == is_left


@pytest.mark.usefixtures("quarantine")
async def test_when_the_time_is_over_the_file_goes(db: Any) -> None:
    media, token, begun = await refuse(db)
    await settle(db, media, token, begun["storage_path"])
    assert json.loads(await db.fetchval("select run_media_maintenance()"))["pruned_quarantine"] == 0
    await db.execute("update media_quarantine set keep_until = now() - interval '1 s'")

    done = json.loads(await db.fetchval("select run_media_maintenance()"))

    assert done["pruned_quarantine"] == 1
    assert await removals(db) == [(BUCKET, begun["storage_path"])]
    assert await kept(db) is None
    (claimed,) = await db.fetch("select * from claim_media_deletions($1, 9)", POLLER)
    assert claimed["bucket_name"] == BUCKET


@pytest.mark.usefixtures("quarantine")
async def test_with_its_attachment_the_file_goes(db: Any) -> None:
    media, token, begun = await refuse(db)
    await settle(db, media, token, begun["storage_path"])

    await db.execute("delete from media where id = $1", media)

    assert await removals(db) == [(BUCKET, begun["storage_path"])]
    assert await kept(db) is None


@pytest.mark.usefixtures("quarantine")
async def test_a_poller_that_dies_at_the_upload_leaves_one_file_at_most(db: Any) -> None:
    media, _, begun = await refuse(db)
    await expire_lease(db, media)
    token = (await claim(db))[media]

    again = await begin(db, media, token, ["html"])

    assert (again["verdict"], again["storage_path"]) == ("quarantine", begun["storage_path"])
    await settle(db, media, token, again["storage_path"])
    assert (await status(db, media))["status"] == "failed"


@pytest.mark.usefixtures("quarantine")
async def test_a_place_that_is_gone_meanwhile_is_cleared_and_taken_anew(db: Any) -> None:
    """The same bytes came with another attachment, which was then deleted."""
    media, token, begun = await refuse(db)
    other, _, _ = await refuse(db)
    await db.execute("delete from media where id = $1", other)

    assert await settle(db, media, token, begun["storage_path"]) == "retry"

    assert await removals(db) == [(BUCKET, begun["storage_path"])]
    assert (await status(db, media))["error_code"] == "quarantine_lost"


@pytest.mark.usefixtures("quarantine")
async def test_without_the_lease_nothing_is_settled(db: Any) -> None:
    media, token, begun = await refuse(db)
    await expire_lease(db, media)
    await claim(db, poller="poller-2")

    with refused("MD001"):
        await settle(db, media, token, begun["storage_path"])


@pytest.mark.usefixtures("quarantine")
async def test_no_client_reaches_it(db: Any, connect: Connect) -> None:
    media, token, begun = await refuse(db)
    await settle(db, media, token, begun["storage_path"])
    client = await connect("media_client")

    with refused("42501"):
        await client.fetch("select * from media_quarantine")
    with refused("MD019"):
        await client.fetch("select * from get_media_url_policy($1)", media)
    assert not await client.fetch("select * from check_media_exists($1)", HASH)
    told = await client.fetch("select detail from get_media_audit_trail($1)", media)
    assert begun["storage_path"] not in str([row[0] for row in told])
    row = await client.fetchrow("select * from get_media_status($1)", media)
    assert begun["storage_path"] not in str(row)


async def test_no_bucket_of_media_may_have_its_name(db: Any) -> None:
    with refused("23514"):
        await db.execute(
            "insert into media_buckets (bucket_name, media_types, is_public)"
            " values ('media-quarantine', '{x}', true)"
        )
