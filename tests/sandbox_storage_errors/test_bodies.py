"""How the Supabase Storage of the sandbox refuses: bodies that miss something."""

from typing import Any

import httpx
import pytest

from tests.sandbox_storage_errors.conftest import (
    invalid,
    refusal,
)


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
