"""The Supabase Storage of the sandbox, used through the client of Supabase."""

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import httpx
import pytest
from storage3 import AsyncStorageClient
from storage3.exceptions import StorageApiError
from storage3.types import CreateOrUpdateBucketOptions, FileOptions
from supabase import AsyncClientOptions, acreate_client

from poller.sandbox.faults import Fault
from poller.sandbox.storage import StorageApi
from poller.sandbox.storage_errors import bad_gateway, dropped, read_only


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


async def refused(awaitable: Awaitable[object]) -> tuple[object, object]:
    """The status and the code with which Storage refuses, as the client has them."""
    with pytest.raises(StorageApiError) as error:
        await awaitable
    return error.value.status, error.value.code


async def test_limits_are_inclusive(storage: AsyncStorageClient):
    await storage.update_bucket("media", {"file_size_limit": 10})
    media = storage.from_("media")

    await media.upload("a", b"x" * 10)

    assert await refused(media.upload("b", b"x" * 11)) == ("413", "Payload too large")
    assert not await media.exists("b")


async def test_types_of_forms_are_compared_without_parameters(storage: AsyncStorageClient):
    await storage.update_bucket("media", {"allowed_mime_types": ["audio/ogg"]})
    media = storage.from_("media")

    await media.upload("a", b"a", {"content-type": "audio/ogg; codecs=opus"})

    assert await refused(media.upload("b", b"b", {"content-type": "video/mp4"})) == (
        "415", "invalid_mime_type",
    )  # fmt: skip


async def test_names(storage: AsyncStorageClient):
    media = storage.from_("media")
    await media.upload("2025/01/a b&c=d+(e)'!;f.png", b"a")

    assert [one["name"] for one in await media.list("2025/01")] == ["a b&c=d+(e)'!;f.png"]
    assert await refused(media.upload("für.png", b"a")) == ("400", "InvalidKey")
    assert await refused(storage.from_("none").upload("a", b"a")) == ("404", "Bucket not found")


async def test_what_each_key_may(
    storage: AsyncStorageClient, api: StorageApi, http: httpx.AsyncClient
):
    await storage.from_("media").upload("a", b"a")

    async def with_key(key: str) -> AsyncStorageClient:
        return (await acreate_client(api.url, key, AsyncClientOptions(httpx_client=http))).storage

    anon = await with_key(api.anon_key)
    expired = await with_key(api.make_key("service_role", expires_in=-1))
    foreign = await with_key(api.make_key("service_role", secret="x" * 32))
    denied = ("403", "Unauthorized")

    assert await refused(anon.from_("media").upload("b", b"b")) == denied
    assert await refused(anon.create_bucket("new")) == denied
    assert await anon.from_("media").remove(["a"]) == []
    assert await anon.list_buckets() == []
    assert await refused(anon.from_("media").download("a")) == ("404", "not_found")
    for refusing in (expired, foreign):
        assert await refused(refusing.from_("media").upload("b", b"b")) == denied
        assert await refused(refusing.list_buckets()) == denied
    assert await storage.from_("media").download("a") == b"a"


async def test_a_signed_url_is_bound_to_its_path_and_time(
    storage: AsyncStorageClient, api: StorageApi, http: httpx.AsyncClient
):
    media = storage.from_("media")
    for name in ("a", "b"):
        await media.upload(name, name.encode())
    signed = (await media.create_signed_url("a", 60))["signedURL"] or ""
    expired = f"{api.url}/storage/v1{api.sign_path('media', 'a', -1)}"

    answers = [
        await http.get(url)
        for url in (signed, signed.replace("/media/a?", "/media/b?"), signed[:-3], expired)
    ]

    codes = [answer.json()["code"] if answer.is_error else answer.text for answer in answers]
    assert codes == ["a", "InvalidSignature", "InvalidJWT", "InvalidJWT"]


async def test_a_listing_in_pages(storage: AsyncStorageClient):
    media = storage.from_("media")
    for number in range(5):
        await media.upload(f"2025/{number}.png", b"a")

    pages = [await media.list("2025", {"limit": 2, "offset": offset}) for offset in (0, 2, 4, 6)]
    found = await media.list("2025", {"search": "3"})

    names = [[one["name"] for one in page] for page in pages]
    assert names == [["0.png", "1.png"], ["2.png", "3.png"], ["4.png"], []]
    assert [one["name"] for one in found] == ["3.png"]


async def test_how_many_names_are_removed_at_once(storage: AsyncStorageClient):
    media = storage.from_("media")

    assert await media.remove([str(number) for number in range(1000)]) == []
    for wrong in ([], [str(number) for number in range(1001)]):
        assert (await refused(media.remove(wrong)))[0] == "400"


async def test_a_connection_that_breaks(storage: AsyncStorageClient, api: StorageApi):
    api.faults.once("upload", dropped())
    with pytest.raises(httpx.TransportError):
        await storage.from_("media").upload("a", b"a")
    assert not await storage.from_("media").exists("a")

    api.faults.once("upload", Fault.disconnect())
    with pytest.raises(httpx.TransportError):
        await storage.from_("media").upload("a", b"a")
    assert await storage.from_("media").exists("a")  # only the answer was lost
