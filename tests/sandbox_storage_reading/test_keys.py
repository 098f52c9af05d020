"""The Supabase Storage of the sandbox, asked over HTTP: private objects and signed URLs."""

import hashlib
from email.utils import parsedate_to_datetime

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage_reading.conftest import (
    PHOTO,
    key_of,
)


@pytest.mark.parametrize("route", ["object", "object/authenticated"])
async def test_a_private_object_with_a_key(client: httpx.AsyncClient, api: StorageApi, route: str):
    path = f"{route}/closed/a photo.jpg"
    get = await client.get(path, headers=key_of(api))
    head = await client.head(path, headers=key_of(api))

    assert get.content == PHOTO
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]
    missing = await client.head(f"{route}/closed/none.jpg", headers=key_of(api))
    assert missing.status_code == 400


async def test_a_public_object_needs_no_key(client: httpx.AsyncClient):
    assert (await client.get("object/open/a photo.jpg")).content == PHOTO
    headers = {"Authorization": "Bearer nonsense"}
    assert (await client.get("object/open/a photo.jpg", headers=headers)).content == PHOTO


async def test_the_info_of_an_object(client: httpx.AsyncClient, api: StorageApi):
    answer = await client.get("object/info/closed/a photo.jpg", headers=key_of(api))

    info = answer.json()

    for unpredictable in ("id", "version", "last_modified", "created_at"):
        assert info.pop(unpredictable)
    assert info == {
        "name": "a photo.jpg",
        "bucket_id": "closed",
        "size": len(PHOTO),
        "content_type": "image/jpeg",
        "cache_control": "max-age=3600",
        "etag": f'"{hashlib.md5(PHOTO, usedforsecurity=False).hexdigest()}"',
        "metadata": {},
    }


async def test_a_signed_url_opens_a_private_object(client: httpx.AsyncClient, api: StorageApi):
    path = "object/sign/closed/a photo.jpg"
    made = await client.post(path, json={"expiresIn": 60}, headers=key_of(api))
    signed = made.json()["signedURL"]

    answer = await client.get(signed.lstrip("/"))
    download = await client.get(signed.lstrip("/") + "&download=b.jpg")

    assert signed.startswith("/object/sign/closed/a photo.jpg?token=")
    assert answer.content == PHOTO
    assert parsedate_to_datetime(answer.headers["Expires"])
    assert "Cache-Control" not in answer.headers
    assert "filename=b.jpg" in download.headers["Content-Disposition"]


async def test_signing_many_says_which_are_missing(client: httpx.AsyncClient, api: StorageApi):
    body = {"expiresIn": "60", "paths": ["a photo.jpg", "none.jpg"]}
    made = await client.post("object/sign/closed", json=body, headers=key_of(api))

    signed, missing = made.json()

    assert (signed["error"], signed["path"]) == (None, "a photo.jpg")
    assert (await client.get(signed["signedURL"].lstrip("/"))).content == PHOTO
    assert missing == {
        "error": "Either the object does not exist or you do not have access to it",
        "path": "none.jpg",
        "signedURL": None,
    }


async def test_a_signed_url_of_an_object_that_was_removed(
    client: httpx.AsyncClient, api: StorageApi
):
    names = {"prefixes": ["a photo.jpg"]}
    await client.request("DELETE", "object/closed", json=names, headers=key_of(api))
    answer = await client.get(api.sign_path("closed", "a photo.jpg", 60).lstrip("/"))
    assert answer.json()["code"] == "NoSuchKey"
