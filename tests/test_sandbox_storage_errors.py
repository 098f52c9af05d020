"""How the Supabase Storage of the sandbox refuses: the table of measured errors, row by row."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import (
    bad_gateway,
    database_timeout,
    dropped,
    gateway_denial,
    internal_error,
    read_only,
    stalled,
    too_many_connections,
)

DUPLICATE = ("409", "Duplicate", "The resource already exists")
TOO_LARGE = (
    "413",
    "Payload too large",
    "The object exceeded the maximum allowed size",
    "EntityTooLarge",
)
NO_OBJECT = ("404", "not_found", "Object not found", "NoSuchKey")
NO_BUCKET = ("404", "Bucket not found", "Bucket not found", "NoSuchBucket")
DENIED = "new row violates row-level security policy"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[StorageApi]:
    async with StorageApi(tmp_path, file_size_limit=1000) as api:
        yield api


@pytest.fixture
async def client(api: StorageApi) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the service key, of the buckets "open" and "closed" with an object each."""
    async with httpx.AsyncClient(
        base_url=f"{api.url}/storage/v1/",
        headers={"Authorization": f"Bearer {api.service_key}"},
        trust_env=False,
    ) as client:
        for bucket, public in (("open", True), ("closed", False)):
            await client.post("bucket", json={"name": bucket, "public": public})
            answer = await client.post(f"object/{bucket}/a.txt", content=b"hello")
            assert answer.status_code == 200
        yield client


def refusal(answer: httpx.Response, status: int = 400) -> tuple[Any, ...]:
    """The body of an error, which has exactly these fields, all of them text."""
    assert answer.status_code == status
    body = answer.json()
    assert list(body) == ["statusCode", "error", "message", "code"]
    assert all(isinstance(value, str) for value in body.values())
    return tuple(body.values())


def with_key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def denied(message: str) -> tuple[str, ...]:
    return ("403", "Unauthorized", message, "AccessDenied")


def invalid(message: str) -> tuple[str, ...]:
    return ("400", "Error", message, "InvalidRequest")


# Objects and buckets


async def test_an_object_that_exists(client: httpx.AsyncClient):
    answer = await client.post("object/open/a.txt", content=b"again")
    assert refusal(answer) == (*DUPLICATE, "KeyAlreadyExists")


async def test_a_bucket_that_exists(client: httpx.AsyncClient):
    answer = await client.post("bucket", json={"name": "open"})
    assert refusal(answer) == (*DUPLICATE, "BucketAlreadyExists")


async def test_an_object_that_is_too_large(client: httpx.AsyncClient):
    answer = await client.post("object/open/b.txt", content=bytes(1001))
    assert refusal(answer) == TOO_LARGE


async def test_a_bucket_limit_above_the_global_one(client: httpx.AsyncClient):
    created = await client.post("bucket", json={"name": "large", "file_size_limit": 1001})
    updated = await client.put("bucket/open", json={"file_size_limit": "2KB"})
    assert refusal(created) == refusal(updated) == TOO_LARGE


async def test_a_mime_type_that_is_not_allowed(client: httpx.AsyncClient):
    await client.put("bucket/open", json={"allowed_mime_types": ["image/png"]})
    answer = await client.post(
        "object/open/b.mp4", content=b"b", headers={"Content-Type": "video/mp4"}
    )
    message = "mime type video/mp4 is not supported"
    assert refusal(answer) == ("415", "invalid_mime_type", message, "InvalidMimeType")


@pytest.mark.parametrize("content_type", ["nonsense", "image/png\t; a=b"])
async def test_a_content_type_that_is_none(client: httpx.AsyncClient, content_type: str):
    answer = await client.post(
        "object/open/b.png", content=b"b", headers={"Content-Type": content_type}
    )
    message = "Invalid Content-Type header"
    assert refusal(answer) == ("415", "invalid_mime_type", message, "InvalidMimeType")


@pytest.mark.parametrize(
    "path",
    [
        "object/open/b.txt",
        "object/closed/b.txt",
        "object/authenticated/closed/b.txt",
        "object/public/open/b.txt",
        "object/info/closed/b.txt",
    ],
)
async def test_an_object_that_is_missing(client: httpx.AsyncClient, path: str):
    assert refusal(await client.get(path)) == NO_OBJECT


@pytest.mark.parametrize(
    "path",
    [
        "object/none/a.txt",
        "object/authenticated/none/a.txt",
        "object/public/none/a.txt",
        "object/info/none/a.txt",
        "bucket/none",
    ],
)
async def test_a_bucket_that_is_missing(client: httpx.AsyncClient, path: str):
    assert refusal(await client.get(path)) == NO_BUCKET


async def test_changes_to_a_bucket_that_is_missing(client: httpx.AsyncClient):
    answers = [
        await client.post("object/none/a.txt", content=b"a"),
        await client.put("object/none/a.txt", content=b"a"),
        await client.put("bucket/none", json={"public": True}),
        await client.delete("bucket/none"),
        await client.post("bucket/none/empty", json={}),
    ]
    assert [refusal(answer) for answer in answers] == [NO_BUCKET] * 5


async def test_signing_an_object_that_is_missing(client: httpx.AsyncClient):
    answer = await client.post("object/sign/none/a.txt", json={"expiresIn": 60})
    assert refusal(answer) == NO_OBJECT


async def test_a_private_bucket_through_the_public_url(client: httpx.AsyncClient):
    assert refusal(await client.get("object/public/closed/a.txt")) == NO_BUCKET


@pytest.mark.parametrize("headers", [{}, with_key("nonsense")])
async def test_a_private_object_without_a_good_key(
    client: httpx.AsyncClient, headers: dict[str, str]
):
    del client.headers["Authorization"]
    assert refusal(await client.get("object/closed/a.txt", headers=headers)) == NO_BUCKET


@pytest.mark.parametrize(
    "name", ["a~b", "a%23b", "a%5Bb%5D", "a%25b", "a%5Cb", "f%C3%BCr", "a%0Ab"]
)
async def test_a_bad_character_in_a_name(client: httpx.AsyncClient, name: str):
    answer = await client.post(f"object/open/{name}", content=b"a")
    statuscode, error, message, code = refusal(answer)
    assert (statuscode, error, code) == ("400", "InvalidKey", "InvalidKey")
    assert message == f"Invalid key: {httpx.URL(f'/{name}').path[1:]}"


@pytest.mark.parametrize("name", ["a/b", "a~b", "", "für", "a" * 101, " a", "..", ".metadata"])
async def test_a_bad_bucket_name(client: httpx.AsyncClient, name: str):
    answer = await client.post("bucket", json={"name": name})
    bad_name = ("400", "Invalid Input", "Bucket name invalid", "InvalidBucketName")
    assert refusal(answer) == bad_name


async def test_an_upload_to_a_bad_bucket_name(client: httpx.AsyncClient):
    answer = await client.post("object/a~b/a.txt", content=b"a")
    assert refusal(answer)[-1] == "InvalidBucketName"


async def test_the_deletion_of_a_bucket_that_is_not_empty(client: httpx.AsyncClient):
    code = "ResourceNotEmpty"
    message = "The bucket you tried to delete is not empty"
    assert refusal(await client.delete("bucket/open")) == ("409", code, message, code)


@pytest.mark.parametrize("asked", ["bytes=5-", "bytes=3-2", "bytes=-", "bytes=0-1,3-4", "lines=1-"])
async def test_a_range_that_is_not_there(client: httpx.AsyncClient, asked: str):
    answer = await client.get("object/public/open/a.txt", headers={"Range": asked})
    wrong = ("416", "invalid_range", "invalid range provided", "InvalidRange")
    assert refusal(answer, 416) == wrong


# Keys


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


# Signed urls


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


# Bodies that miss something


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "bucket", {}, "body must have required property 'name'"),
        ("POST", "bucket", [], "body must be object"),
        ("POST", "bucket", {"name": 1}, "body/name must be string"),
        ("PUT", "bucket/open", {"id": "open"}, "body must match a schema in anyOf"),
        ("PUT", "bucket/open", {"public": "yes"}, "body/public must be boolean"),
        ("DELETE", "object/open", {}, "body must have required property 'prefixes'"),
        ("DELETE", "object/open", {"prefixes": "a.txt"}, "body/prefixes must be array"),
        (
            "DELETE",
            "object/open",
            {"prefixes": []},
            "body/prefixes must NOT have fewer than 1 items",
        ),
        ("POST", "object/list/open", {}, "body must have required property 'prefix'"),
        ("POST", "object/list/open", {"prefix": "", "limit": 0}, "body/limit must be >= 1"),
        ("POST", "object/list/open", {"prefix": "", "offset": -1}, "body/offset must be >= 0"),
        ("POST", "object/list/open", {"prefix": "", "sortBy": 1}, "body/sortBy must be object"),
        (
            "POST",
            "object/list/open",
            {"prefix": "", "sortBy": {"column": "size"}},
            "body/sortBy/column must be equal to one of the allowed values",
        ),
        (
            "POST",
            "object/sign/open/a.txt",
            {},
            "body must have required property 'expiresIn'",
        ),
        (
            "POST",
            "object/sign/open/a.txt",
            {"expiresIn": "soon"},
            "body/expiresIn must be integer",
        ),
        ("POST", "object/sign/open/a.txt", {"expiresIn": "0"}, "body/expiresIn must be >= 1"),
    ],
)
async def test_a_body_that_does_not_fit(
    client: httpx.AsyncClient, method: str, path: str, body: Any, message: str
):
    assert refusal(await client.request(method, path, json=body)) == invalid(message)


@pytest.mark.parametrize("limit", [-1, 1.5, True, "much", "10", "1KiB"])
async def test_a_size_limit_that_is_none(client: httpx.AsyncClient, limit: Any):
    answer = await client.put("bucket/open", json={"file_size_limit": limit})
    assert refusal(answer) == invalid("body/file_size_limit must match a schema in anyOf")


async def test_json_that_is_none(client: httpx.AsyncClient):
    answer = await client.post("bucket", content=b"{")
    assert refusal(answer) == invalid("body must be object")


async def test_more_than_a_thousand_names_to_remove(client: httpx.AsyncClient):
    names = ["a.txt", *(f"{number}.txt" for number in range(1000))]
    answer = await client.request("DELETE", "object/open", json={"prefixes": names})
    message = "Bulk object requests are limited to 1000 objects per request."
    assert refusal(answer) == ("400", "InvalidRequest", message, "InvalidRequest")
    assert (await client.get("object/open/a.txt")).text == "hello"


@pytest.mark.parametrize("mime_types", ["image/png", [1]])
async def test_mime_types_that_are_no_list_of_texts(client: httpx.AsyncClient, mime_types: Any):
    answer = await client.put("bucket/open", json={"allowed_mime_types": mime_types})
    assert refusal(answer) == invalid("body/allowed_mime_types must be array")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"nothing", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="cacheControl"\r\n\r\n60\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
async def test_a_multipart_body_without_a_file(
    client: httpx.AsyncClient, content: bytes, content_type: str
):
    headers = {"Content-Type": content_type}
    answer = await client.post("object/open/b.txt", content=content, headers=headers)
    statuscode, error, _, code = refusal(answer)
    assert (statuscode, error, code) == ("400", "InvalidRequest", "InvalidRequest")


# Staged faults


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (
            read_only(),
            400,
            (
                "503",
                "DatabaseReadOnly",
                "The database is currently in read-only mode. Please try again later.",
                "DatabaseReadOnly",
            ),
        ),
        (internal_error(), 500, ("500", "Internal", "Internal Server Error", "InternalError")),
        (
            database_timeout(),
            544,
            (
                "544",
                "DatabaseTimeout",
                "The connection to the database timed out",
                "DatabaseTimeout",
            ),
        ),
        (
            too_many_connections(),
            429,
            (
                "429",
                "too_many_connections",
                "Too many connections issued to the database",
                "SlowDown",
            ),
        ),
    ],
)
async def test_a_fault_of_the_database_changes_nothing(
    api: StorageApi,
    client: httpx.AsyncClient,
    fault: Fault,
    status: int,
    body: tuple[str, ...],
):
    api.faults.once("upload", fault)
    answer = await client.put("object/open/a.txt", content=b"new")
    assert refusal(answer, status) == body
    assert (await client.get("object/open/a.txt")).text == "hello"

    assert (await client.put("object/open/a.txt", content=b"new")).status_code == 200


async def test_a_fault_of_a_gateway_is_no_json(api: StorageApi, client: httpx.AsyncClient):
    api.faults.once("bucket", bad_gateway())
    api.faults.once("bucket", gateway_denial())

    page, bare = await client.get("bucket"), await client.get("bucket")

    assert page.status_code == 502
    assert page.headers["Content-Type"].startswith("text/html")
    assert "502 Bad Gateway" in page.text
    assert (bare.status_code, bare.content) == (401, b"")


async def test_a_dropped_upload_is_not_stored(api: StorageApi, client: httpx.AsyncClient):
    api.faults.once("upload", dropped())

    with pytest.raises(httpx.TransportError):
        await client.post("object/open/b.txt", content=b"b")

    assert refusal(await client.get("object/open/b.txt")) == NO_OBJECT
    assert api.uploads["open/b.txt"] == 0


async def test_a_disconnect_loses_the_answer_only(api: StorageApi, client: httpx.AsyncClient):
    api.faults.once("upload", Fault.disconnect())

    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("object/open/b.txt", content=b"b")

    assert (await client.get("object/open/b.txt")).text == "b"
    assert api.uploads["open/b.txt"] == 1


async def test_a_stalled_upload_is_not_stored(api: StorageApi, client: httpx.AsyncClient):
    fault = stalled()
    api.faults.once("upload", fault)

    with pytest.raises(httpx.ReadTimeout):
        await client.post("object/open/b.txt", content=b"b", timeout=0.1)

    assert fault.reached.is_set()
    assert refusal(await client.get("object/open/b.txt")) == NO_OBJECT


@pytest.mark.parametrize("fault", [internal_error(), bad_gateway(), gateway_denial()])
async def test_a_fault_does_not_wait_for_the_body(
    api: StorageApi, client: httpx.AsyncClient, fault: Fault
):
    api.faults.once("upload", fault)
    answer = await client.post("object/open/b.txt", content=bytes(5_000_000))
    assert answer.status_code == fault.status
    assert refusal(await client.get("object/open/b.txt")) == NO_OBJECT


async def test_a_head_request_has_no_body_whatever_the_fault(
    api: StorageApi, client: httpx.AsyncClient
):
    api.faults.once("public", internal_error())
    assert (await client.head("object/public/open/a.txt")).status_code == 500
    assert (await client.head("object/public/open/a.txt")).status_code == 200


async def test_faults_of_one_route_leave_the_others_alone(
    api: StorageApi, client: httpx.AsyncClient
):
    api.faults.always("remove", internal_error())
    assert (await client.put("object/open/a.txt", content=b"new")).status_code == 200
    api.faults.always("*", internal_error())
    assert (await client.put("object/open/a.txt", content=b"new")).status_code == 500
    api.faults.clear()
    assert (await client.put("object/open/a.txt", content=b"new")).status_code == 200
