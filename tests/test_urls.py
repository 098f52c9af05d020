"""`pgmedia url` and get_media_url, fetched from the stand-in as a browser would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import jwt
import pytest

from poller.config import Settings
from poller.db import Database
from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import bad_gateway
from poller.supabase_client import SupabaseError
from poller.urls import ExpiryError, MediaUrl, UrlError, get_media_url
from tests.helpers import as_user, claim, fail, pgmedia, queue_media, sha256

Run = Callable[..., Awaitable[tuple[int, list[str], list[str]]]]
StoreFile = Callable[..., Awaitable[UUID]]

PDF = b"%PDF-1.7 a contract"
PHOTO = b"a photo"
NAME = "Vertrag für Zoë & 50 % (2) a+b#c;d=e.pdf"


@pytest.fixture
def store_file(db: Any, buckets: None, storage: StorageApi) -> StoreFile:
    """An attachment that is stored, its file with it; returns the media id."""
    del buckets

    async def store_one(
        content: bytes, mime_type: str, media_type: str, file_name: str | None = None
    ) -> UUID:
        media = await queue_media(db, media_type=media_type, file_name=file_name)
        token = (await claim(db))[media]
        begun = await db.fetchrow(
            "select * from begin_media_upload($1, 'poller-1', $2, $3, $4, $5)",
            media, token, sha256(content), len(content), mime_type,
        )  # fmt: skip
        async with httpx.AsyncClient(base_url=storage.url) as client:
            answer = await client.post(
                f"/storage/v1/object/{begun['bucket_name']}/{begun['storage_path']}",
                content=content,
                headers={
                    "Authorization": f"Bearer {storage.service_key}", "Content-Type": mime_type,
                },
            )  # fmt: skip
        answer.raise_for_status()
        await db.execute(
            "select finish_media_upload($1, 'poller-1', $2, $3)", media, token, begun["object_id"]
        )
        return media

    return store_one


@pytest.fixture
def run(environment: dict[str, str], database: str, tmp_path: Path) -> Run:
    """Run `pgmedia url`, which never prints the key; its exit code and lines."""

    async def run_url(*arguments: object, **changes: str) -> tuple[int, list[str], list[str]]:
        settings: dict[str, Any] = environment | {"DATABASE_URL": database} | changes
        done = await asyncio.to_thread(
            pgmedia, "url", *map(str, arguments), cwd=tmp_path, **settings
        )
        for text in (done.stdout, done.stderr):
            assert settings["SUPABASE_SERVICE_KEY"] not in text
            assert "Traceback" not in text
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run_url


async def fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)


def token_in(url: str) -> dict[str, Any]:
    (token,) = parse_qs(urlsplit(url).query)["token"]
    return jwt.decode(token, options={"verify_signature": False})


async def test_a_signed_url_of_a_document(
    run: Run, store_file: StoreFile, storage: StorageApi
) -> None:
    media = await store_file(PDF, "application/pdf", "document", NAME)

    code, (url,), problems = await run(media)

    assert (code, problems) == (0, [])
    assert url.startswith(f"{storage.url}/storage/v1/object/sign/documents/")
    answer = await fetch(url)
    assert (answer.status_code, answer.content) == (200, PDF)
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert unquote(disposition.partition("filename*=UTF-8''")[2]) == NAME
    claims = token_in(url)
    assert claims["exp"] - claims["iat"] == 3600


async def test_what_a_browser_may_show_is_shown_unless_it_is_to_be_saved(
    run: Run, store_file: StoreFile
) -> None:
    media = await store_file(b"a song", "audio/mpeg", "audio")

    _, (shown,), _ = await run(media, "--expires", "90s")
    _, (saved,), _ = await run(media, "--expires", "7d", "--download")

    assert token_in(shown)["exp"] - token_in(shown)["iat"] == 90
    assert token_in(saved)["exp"] - token_in(saved)["iat"] == 604_800
    assert "Content-Disposition" not in (await fetch(shown)).headers
    assert (await fetch(saved)).headers["Content-Disposition"].endswith(f"''{media}.mp3")


@pytest.mark.parametrize("disposition", ["shown", "saved"])
async def test_a_public_file_needs_no_signature(
    run: Run, store_file: StoreFile, db: Any, disposition: str
) -> None:
    media = await store_file(PHOTO, "image/jpeg", "image", "für dich.jpg")
    saved = disposition == "saved"

    code, (url,), _ = await run(media, *(["--download"] if saved else []))

    plain = await db.fetchval("select public_url from media where id = $1", media)
    assert code == 0
    assert url == plain + (f"?download={quote('für dich.jpg')}" if saved else "")
    answer = await fetch(url)
    assert answer.content == PHOTO
    assert ("Content-Disposition" in answer.headers) == saved


async def test_the_answer_as_json(run: Run, store_file: StoreFile) -> None:
    document = await store_file(PDF, "application/pdf", "document", NAME)
    photo = await store_file(PHOTO, "image/jpeg", "image")

    _, (one,), _ = await run(document, "--json", "--expires", "30m")
    _, (other,), _ = await run(photo, "--json")

    signed = json.loads(one)
    assert (await fetch(signed.pop("url"))).content == PDF
    assert signed == {
        "media_id": str(document), "expires_in_seconds": 1800, "attachment_name": NAME,
    }  # fmt: skip
    public = json.loads(other)
    assert (public["expires_in_seconds"], public["attachment_name"]) == (None, None)


async def test_a_url_opens_one_file_for_a_time(
    run: Run, store_file: StoreFile, storage: StorageApi, db: Any
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    other = await store_file(b"%PDF-1.7 another", "application/pdf", "document")
    path, other_path = [
        await db.fetchval("select storage_path from media where id = $1", one)
        for one in (media, other)
    ]
    _, (url,), _ = await run(media)

    token = parse_qs(urlsplit(url).query)["token"][0]
    head, claims, signature = token.split(".")
    forged = url.replace(token, ".".join((head, claims, signature[::-1])))
    expired = f"{storage.url}/storage/v1{storage.sign_path('documents', path, -10)}"
    for refused, code in (
        (url.replace(path, other_path), "InvalidSignature"),
        (forged, "InvalidJWT"),
        (expired, "InvalidJWT"),
    ):
        answer = await fetch(refused)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await fetch(url.replace("/sign/", "/public/"))).status_code == 400


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
        (unknown, "does not exist"),
        (deleted, "was deleted at "),
        (pending, "is not stored: its status is pending"),
        (failed, "is not stored: its status is failed, message_type_unsupported (no such type"),
    ):
        code, said, (line,) = await run(media)
        assert (code, said) == (1, [])
        assert line.startswith(f"pgmedia: media {media} {words}")


async def test_a_storage_that_does_not_sign(
    run: Run, store_file: StoreFile, storage: StorageApi
) -> None:
    media = await store_file(PDF, "application/pdf", "document")
    nowhere = f"http://127.0.0.1:{free_port()}"
    other = storage.make_key("service_role", secret="another secret of 32 characters or more")
    expired = storage.make_key("service_role", expires_in=-60)

    for changes, words in (
        ({"SUPABASE_SERVICE_KEY": expired}, "the storage key is expired 20"),
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
        "pgmedia: the database refused: permission denied for function get_media_url_policy"
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
    with pytest.raises(UrlError, match="does not exist"):
        await get_media_url(settings, caller, uuid4())
    storage.faults.once("sign", bad_gateway())
    with pytest.raises(SupabaseError, match="answered HTTP 502"):
        await get_media_url(settings, caller, media)
    await caller.close()
    with pytest.raises(asyncpg.InterfaceError):
        await get_media_url(settings, caller, media)
