"""How the Supabase Storage of the sandbox refuses: objects and buckets."""

import httpx
import pytest

from tests.sandbox_storage_errors.conftest import (
    DUPLICATE,
    NO_BUCKET,
    NO_OBJECT,
    TOO_LARGE,
    refusal,
    with_key,
)


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
