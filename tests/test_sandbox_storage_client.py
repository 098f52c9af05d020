"""The Supabase Storage of the sandbox, used through the client of Supabase."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from storage3 import AsyncStorageClient
from storage3.exceptions import StorageApiError
from storage3.types import CreateOrUpdateBucketOptions, FileOptions
from supabase import AsyncClientOptions, acreate_client

from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import bad_gateway, read_only


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[StorageApi]:
    async with StorageApi(tmp_path / "stored") as api:
        yield api


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http


@pytest.fixture
async def storage(api: StorageApi, http: httpx.AsyncClient) -> AsyncStorageClient:
    """The storage of a client with the service key and the bucket "media"."""
    options = AsyncClientOptions(httpx_client=http)
    client = await acreate_client(api.url, api.service_key, options)
    await client.storage.create_bucket("media")
    return client.storage


async def test_buckets(storage: AsyncStorageClient):
    options: CreateOrUpdateBucketOptions = {
        "public": True,
        "file_size_limit": 1000,
        "allowed_mime_types": ["image/png"],
    }
    await storage.create_bucket("photos", options=options)
    await storage.update_bucket("photos", {"public": False})

    bucket = await storage.get_bucket("photos")
    assert (bucket.public, bucket.file_size_limit) == (False, 1000)
    assert bucket.allowed_mime_types == ["image/png"]
    assert [bucket.id for bucket in await storage.list_buckets()] == ["media", "photos"]

    await storage.empty_bucket("photos")
    await storage.delete_bucket("photos")
    with pytest.raises(StorageApiError) as missing:
        await storage.get_bucket("photos")
    assert (missing.value.status, missing.value.code) == ("404", "Bucket not found")


async def test_an_object_from_upload_to_removal(storage: AsyncStorageClient, api: StorageApi):
    media = storage.from_("media")
    options: FileOptions = {
        "content-type": "image/png",
        "cache-control": "60",
        "metadata": {"of": "a test"},
    }
    uploaded = await media.upload("2025/01/a.png", b"hello", options)

    assert uploaded.full_path == "media/2025/01/a.png"
    assert await media.download("2025/01/a.png") == b"hello"
    assert await media.exists("2025/01/a.png")
    assert not await media.exists("2025/01/b.png")
    info = await media.info("2025/01/a.png")
    assert (info["size"], info["content_type"]) == (5, "image/png")
    assert (info["cache_control"], info["metadata"]) == ("max-age=60", {"of": "a test"})
    assert [entry["name"] for entry in await media.list("2025/01")] == ["a.png"]
    removed = await media.remove(["2025/01/a.png", "2025/01/b.png"])
    assert [row["name"] for row in removed] == ["2025/01/a.png"]
    assert api.removed == {"media/2025/01/a.png": 1}


async def test_uploads_of_paths_and_open_files(storage: AsyncStorageClient, tmp_path: Path):
    media = storage.from_("media")
    path = tmp_path / "a.bin"
    path.write_bytes(b"from a file")

    await media.upload("path", path)
    with path.open("rb") as file:
        await media.upload("file", file)

    assert await media.download("path") == await media.download("file") == b"from a file"


async def test_replacing(storage: AsyncStorageClient):
    media = storage.from_("media")
    await media.upload("a", b"first")

    with pytest.raises(StorageApiError) as duplicate:
        await media.upload("a", b"second")
    assert (duplicate.value.status, duplicate.value.code) == ("409", "Duplicate")

    await media.upload("a", b"third", {"upsert": "true"})
    assert await media.download("a") == b"third"
    await media.update("a", b"fourth")
    assert await media.download("a") == b"fourth"


async def test_listing_by_pages(storage: AsyncStorageClient):
    media = storage.from_("media")
    for name in ("c", "a/1", "b/2/x", "a/2"):
        await media.upload(name, b"12345", {"content-type": "image/png"})

    first = await media.list_v2({"limit": 3})

    assert [one.name for one in first.objects] == ["a/1", "a/2", "b/2/x"]
    assert first.objects[0].metadata
    assert first.objects[0].metadata["size"] == 5
    assert (first.hasNext, first.folders) == (True, [])
    await media.remove(["a/1"])  # which does not move the second page
    second = await media.list_v2({"limit": 3, "cursor": first.nextCursor or ""})
    assert [one.name for one in second.objects] == ["c"]
    assert (second.hasNext, second.nextCursor) == (False, None)
    assert [one.name for one in (await media.list_v2({"prefix": "a/"})).objects] == ["a/2"]


async def test_urls(storage: AsyncStorageClient, http: httpx.AsyncClient):
    media = storage.from_("media")
    await media.upload("a b.txt", b"hello")

    signed = await media.create_signed_url("a b.txt", 60)
    many = await media.create_signed_urls(["a b.txt", "none"], 60, {"download": "c.txt"})
    public = await media.get_public_url("a b.txt")

    assert (await http.get(signed["signedURL"] or "")).text == "hello"
    downloaded = await http.get(many[0]["signedURL"] or "")
    assert "filename=c.txt" in downloaded.headers["Content-Disposition"]
    assert many[1]["signedURL"] is None
    assert (await http.get(public)).status_code == 400
    await storage.update_bucket("media", {"public": True})
    assert (await http.get(public)).text == "hello"


async def test_a_secret_key(api: StorageApi, http: httpx.AsyncClient):
    options = AsyncClientOptions(httpx_client=http)
    client = await acreate_client(api.url, api.secret_key, options)
    await client.storage.create_bucket("media")
    assert [bucket.id for bucket in await client.storage.list_buckets()] == ["media"]


async def test_errors(storage: AsyncStorageClient, api: StorageApi):
    api.faults.once("upload", read_only())
    api.faults.once("upload", bad_gateway())

    with pytest.raises(StorageApiError) as written:
        await storage.from_("media").upload("a", b"a")
    with pytest.raises(StorageApiError) as unparsed:
        await storage.from_("media").upload("a", b"a")

    assert (written.value.status, written.value.code) == ("503", "DatabaseReadOnly")
    assert (unparsed.value.status, unparsed.value.code) == (502, "InternalError")
