"""How the Supabase Storage of the sandbox refuses: keys and signed URLs."""

import base64
import json
from typing import Any

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage_errors.conftest import (
    DENIED,
    NO_BUCKET,
    NO_OBJECT,
    denied,
    invalid,
    refusal,
    with_key,
)


async def test_anon_may_not_create(api: StorageApi, client: httpx.AsyncClient):
    headers = with_key(api.anon_key)
    answers = [
        await client.post("object/open/b.txt", content=b"b", headers=headers),
        await client.post("object/open/a.txt", content=b"b", headers=headers),
        await client.put("object/open/a.txt", content=b"b", headers=headers),
        await client.post("bucket", json={"name": "new"}, headers=headers),
    ]
    assert [refusal(answer) for answer in answers] == [denied(DENIED)] * 4
    assert (await client.get("object/open/a.txt")).text == "hello"


async def test_anon_sees_what_is_public_and_nothing_else(
    api: StorageApi, client: httpx.AsyncClient
):
    client.headers.update(with_key(api.anon_key))

    assert (await client.get("object/open/a.txt")).text == "hello"
    assert (await client.get("object/info/open/a.txt")).status_code == 200
    assert refusal(await client.get("object/closed/a.txt")) == NO_OBJECT
    assert refusal(await client.get("object/info/closed/a.txt")) == NO_OBJECT
    assert refusal(await client.get("bucket/open")) == NO_BUCKET
    assert refusal(await client.put("bucket/open", json={"public": False})) == NO_BUCKET
    assert (await client.get("bucket")).json() == []
    assert (await client.post("object/list/open", json={"prefix": ""})).json() == []


async def test_anon_removes_and_signs_nothing(api: StorageApi, client: httpx.AsyncClient):
    headers = with_key(api.anon_key)

    names = {"prefixes": ["a.txt"]}
    removed = await client.request("DELETE", "object/open", json=names, headers=headers)
    signing = {"expiresIn": 60, "paths": ["a.txt"]}
    one = await client.post("object/sign/open/a.txt", json=signing, headers=headers)
    many = await client.post("object/sign/open", json=signing, headers=headers)

    assert removed.json() == []
    assert refusal(one) == NO_OBJECT
    assert many.json()[0]["signedURL"] is None
    assert (await client.get("object/open/a.txt")).text == "hello"


async def test_a_key_of_another_secret(api: StorageApi, client: httpx.AsyncClient):
    client.headers.update(with_key(api.make_key("service_role", secret="x" * 32)))
    answer = await client.post("object/open/b.txt", content=b"b")
    assert refusal(answer) == denied("signature verification failed")


async def test_an_expired_key(api: StorageApi, client: httpx.AsyncClient):
    client.headers.update(with_key(api.make_key("service_role", expires_in=-1)))
    answer = await client.post("object/open/b.txt", content=b"b")
    assert refusal(answer) == denied('"exp" claim timestamp check failed')


@pytest.mark.parametrize("key", ["nonsense", "a.b", "a.b.c", "sb_secret_sandbox"])
async def test_a_key_that_is_none(client: httpx.AsyncClient, key: str):
    client.headers.update(with_key(key))
    answer = await client.post("object/open/b.txt", content=b"b")
    assert refusal(answer) == denied("Invalid Compact JWS")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "object/open/b.txt", None),
        ("PUT", "object/open/b.txt", None),
        ("POST", "bucket", {"name": "new"}),
        ("GET", "bucket", None),
        ("GET", "bucket/open", None),
        ("PUT", "bucket/open", {"public": False}),
        ("DELETE", "bucket/open", None),
        ("POST", "bucket/open/empty", {}),
        ("DELETE", "object/open", {"prefixes": ["a.txt"]}),
        ("POST", "object/list/open", {"prefix": ""}),
        ("POST", "object/sign/open/a.txt", {"expiresIn": 60}),
        ("POST", "object/sign/open", {"expiresIn": 60, "paths": ["a.txt"]}),
        ("GET", "object/authenticated/open/a.txt", None),
    ],
)
async def test_no_key_at_all(client: httpx.AsyncClient, method: str, path: str, body: Any):
    del client.headers["Authorization"]
    answer = await client.request(method, path, json=body)
    assert refusal(answer) == invalid("headers must have required property 'authorization'")


async def test_a_secret_key_goes_into_apikey(api: StorageApi, client: httpx.AsyncClient):
    del client.headers["Authorization"]

    alone = await client.get("bucket/open", headers={"apikey": api.secret_key})
    headers = {"apikey": api.secret_key, **with_key(api.secret_key)}
    both = await client.get("bucket/open", headers=headers)
    headers = {"apikey": api.secret_key, **with_key(api.anon_key)}
    another = await client.get("bucket/open", headers=headers)
    wrong = await client.get("bucket/open", headers={"apikey": "sb_secret_other"})

    assert (alone.status_code, both.status_code) == (200, 200)
    assert refusal(another) == NO_BUCKET
    assert refusal(wrong) == invalid("headers must have required property 'authorization'")


async def test_a_signed_url_that_expired(api: StorageApi, client: httpx.AsyncClient):
    answer = await client.get(api.sign_path("closed", "a.txt", -1).lstrip("/"))
    message = '"exp" claim timestamp check failed'
    assert refusal(answer) == ("400", "InvalidJWT", message, "InvalidJWT")


async def test_a_signed_url_that_was_tampered_with(api: StorageApi, client: httpx.AsyncClient):
    path, token = api.sign_path("closed", "a.txt", 60).lstrip("/").split("?token=")
    head, claims, signature = token.split(".")
    changed = {**json.loads(base64.b64decode(claims + "==")), "exp": 4_000_000_000}
    claims = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")

    answer = await client.get(path, params={"token": f"{head}.{claims}.{signature}"})

    message = "signature verification failed"
    assert refusal(answer) == ("400", "InvalidJWT", message, "InvalidJWT")


@pytest.mark.parametrize("path", ["object/sign/closed/b.txt", "object/sign/open/a.txt"])
async def test_a_signed_url_for_another_path(api: StorageApi, client: httpx.AsyncClient, path: str):
    token = api.sign_path("closed", "a.txt", 60).partition("?token=")[2]
    answer = await client.get(path, params={"token": token})
    wrong = ("400", "InvalidSignature", "Invalid signature", "InvalidSignature")
    assert refusal(answer) == wrong


async def test_a_signed_url_without_its_token(client: httpx.AsyncClient):
    answer = await client.get("object/sign/closed/a.txt")
    assert refusal(answer) == invalid("querystring must have required property 'token'")


async def test_a_key_is_no_token_of_a_signed_url(api: StorageApi, client: httpx.AsyncClient):
    answer = await client.get("object/sign/closed/a.txt", params={"token": api.service_key})
    assert refusal(answer)[-1] == "InvalidSignature"
