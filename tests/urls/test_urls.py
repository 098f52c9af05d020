"""`pgmedia url`: who has the URL gets the file, for a time, and as what it is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from poller.sandbox.storage import StorageApi
from tests.urls.conftest import (
    NAME,
    PDF,
    PHOTO,
    Run,
    StoreFile,
    fetch,
    token_in,
)


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
