"""`pgmedia url` for what has no URL, and get_media_url in Python."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from poller.config import Settings
from poller.db import Database
from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import bad_gateway
from poller.supabase_client import SupabaseError
from poller.urls import ExpiryError, MediaUrl, UrlError, get_media_url
from tests.helpers import as_user, claim, fail, queue_media
from tests.urls.conftest import (
    NAME,
    PDF,
    Run,
    StoreFile,
    fetch,
)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-uuid"], "'no-uuid' is no UUID"),
        ([str(uuid4()), "--expires", "0s"], "between 00:00:01 and 7 days"),
        ([str(uuid4()), "--expires", "8d"], "between 00:00:01 and 7 days"),
        ([str(uuid4()), "--expires", "36500d"], "between 00:00:01 and 7 days"),
        ([str(uuid4()), "--expires", "1y"], "'1y' is no time such as 90s, 30m, 1h or 7d"),
        ([str(uuid4()), "--expires", "-1h"], "no time such as"),
        ([str(uuid4()), "--expires", ""], "no time such as"),
        ([], "Missing argument"),
    ],
)
async def test_wrong_arguments(
    run: Run, store_file: StoreFile, arguments: list[str], words: str
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    known = [str(media) if len(one) == 36 else one for one in arguments]

    code, said, problems = await run(*known)

    assert (code, said) == (2, [])
    assert words in problems[-1]


async def test_what_has_no_url(run: Run, store_file: StoreFile, db: Any) -> None:
    deleted = await store_file(PDF, "application/pdf", "document")
    await db.execute("select delete_media($1)", deleted)
    failed = await queue_media(db)
    await fail(db, failed, (await claim(db))[failed], code="131051", text="no such type")
    pending = await queue_media(db)
    unknown = uuid4()

    for media, words in (
        (deleted, "was deleted at "),
        (pending, "is not stored: its status is pending"),
        (failed, "is not stored: its status is failed, message_type_unsupported (no such type"),
    ):
        code, said, (line,) = await run(media)
        assert (code, said) == (1, [])
        assert line.startswith(f"pgmedia: media {media} {words}")
    code, said, (line,) = await run(unknown)
    assert (code, said) == (1, [])
    assert line.startswith(f"pgmedia: no media with id {unknown}. queue_media_processing returned")


async def test_a_storage_that_does_not_sign(
    run: Run, store_file: StoreFile, storage: StorageApi
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    nowhere = f"http://127.0.0.1:{free_port()}"
    other = storage.make_key("service_role", secret="another secret of 32 characters or more")
    expired = storage.make_key("service_role", expires_in=-60)

    for changes, words in (
        ({"SUPABASE_SERVICE_KEY": expired}, 'refused: "exp" claim timestamp check failed'),
        ({"SUPABASE_SERVICE_KEY": other}, "refused: signature verification failed"),
        (
            {"SUPABASE_SERVICE_KEY": storage.anon_key},
            "the storage key is the key of the role anon: SUPABASE_SERVICE_KEY must be",
        ),
        ({"SUPABASE_URL": nowhere}, "did not answer: ConnectError"),
    ):
        code, said, (line,) = await run(media, **changes)
        assert (code, said) == (1, [])
        assert words in line
    for fault, words in (
        (bad_gateway(), "answered HTTP 502"),
        (Fault(200, "<html>"), "gave an answer that is none of Supabase's"),
        (Fault(200, {"signedURL": None}), "gave an answer that is none of Supabase's"),
    ):
        storage.faults.once("sign", fault)
        code, said, (line,) = await run(media)
        assert (code, said) == (1, [])
        assert line == f"pgmedia: storage at {storage.url} {words}"


async def test_a_file_that_is_gone_from_storage(
    run: Run, store_file: StoreFile, storage: StorageApi, db: Any
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    path = await db.fetchval("select storage_path from media where id = $1", media)
    async with httpx.AsyncClient() as client:
        await client.request(
            "DELETE",
            f"{storage.url}/storage/v1/object/documents",
            json={"prefixes": [path]},
            headers={"Authorization": f"Bearer {storage.service_key}"},
        )

    code, said, (line,) = await run(media)

    assert (code, said) == (1, [])
    assert f"media {media} is stored as documents/{path}, but storage at" in line


async def test_the_role_media_client_is_enough(
    run: Run, store_file: StoreFile, database: str, environment: dict[str, str], db: Any
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    name = f"pgmedia_test_{uuid4().hex[:12]}"
    await db.execute(f"create role {name} login password 'hunter2' in role media_client")
    try:
        code, (url,), _ = await run(media, DATABASE_URL=as_user(database, name, "hunter2"))
    finally:
        await db.execute(f"drop role {name}")

    assert code == 0
    assert (await fetch(url)).content == PDF
    code, said, (line,) = await run(media, DATABASE_URL=environment["DATABASE_URL"])
    assert (code, said) == (1, [])
    assert line == (
        "pgmedia: the database refused: permission denied for function get_media_url_policy;"
        " the login pgmedia_test_poller needs the role media_client (or media_admin): run, as the"
        " owner of the database, grant media_client to pgmedia_test_poller"
    )


async def test_from_python(
    settings: Settings, store_file: StoreFile, storage: StorageApi, database: str
) -> None:
    media = await store_file(PDF, "application/pdf", "document", NAME)
    caller = await Database.connect(database, "test urls", 1)

    made = await get_media_url(settings, caller, media, expires_in=timedelta(minutes=5))

    assert made == MediaUrl(media, made.url, timedelta(minutes=5), NAME)
    assert (await fetch(made.url)).content == PDF
    with pytest.raises(ExpiryError, match="between 00:00:01 and 7 days"):
        await get_media_url(settings, caller, media, expires_in=timedelta(0))
    with pytest.raises(UrlError, match="no media with id"):
        await get_media_url(settings, caller, uuid4())
    storage.faults.once("sign", bad_gateway())
    with pytest.raises(SupabaseError, match="answered HTTP 502"):
        await get_media_url(settings, caller, media)
    await caller.close()
    with pytest.raises(asyncpg.InterfaceError):
        await get_media_url(settings, caller, media)
