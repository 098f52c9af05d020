"""The Supabase Storage of the sandbox, asked over HTTP: listings."""

import httpx
import pytest

from poller.sandbox.storage import StorageApi
from tests.sandbox_storage_reading.conftest import (
    PHOTO,
    key_of,
    list_names,
    put,
)


@pytest.fixture
async def folders(client: httpx.AsyncClient, api: StorageApi) -> None:
    for name in ("2025/02/c.jpg", "2025/01/b.jpg", "2025/01/A.jpg", "2025.txt", "2024/x.jpg"):
        await put(client, api, f"open/{name}")


@pytest.mark.usefixtures("folders")
async def test_a_listing_shows_one_level(client: httpx.AsyncClient, api: StorageApi):
    assert await list_names(client, api) == ["2024/", "2025.txt", "2025/", "a photo.jpg"]
    assert await list_names(client, api, "2025") == ["01/", "02/"]
    assert await list_names(client, api, "2025/") == ["01/", "02/"]
    assert await list_names(client, api, "2025/01") == ["A.jpg", "b.jpg"]
    assert await list_names(client, api, "none") == []


@pytest.mark.usefixtures("folders")
async def test_a_listing_can_be_searched(client: httpx.AsyncClient, api: StorageApi):
    assert await list_names(client, api, search="2025") == ["2025.txt", "2025/"]
    assert await list_names(client, api, "2025/01", search="a") == ["A.jpg"]


@pytest.mark.usefixtures("folders")
async def test_a_listing_comes_in_pages(client: httpx.AsyncClient, api: StorageApi):
    assert await list_names(client, api, limit=2) == ["2024/", "2025.txt"]
    assert await list_names(client, api, limit=2, offset=2) == ["2025/", "a photo.jpg"]
    assert await list_names(client, api, offset=4) == []


@pytest.mark.usefixtures("folders")
async def test_the_order_of_a_listing(client: httpx.AsyncClient, api: StorageApi):
    by_name = {"column": "name", "order": "desc"}
    names = ["a photo.jpg", "2025/", "2025.txt", "2024/"]
    assert await list_names(client, api, sortBy=by_name) == names
    by_time = {"column": "updated_at", "order": "desc"}
    names = ["2025/", "2024/", "2025.txt", "a photo.jpg"]
    assert await list_names(client, api, sortBy=by_time) == names
    by_time = {"column": "created_at"}
    names = ["2024/", "2025/", "a photo.jpg", "2025.txt"]
    assert await list_names(client, api, sortBy=by_time) == names


@pytest.mark.usefixtures("folders")
async def test_the_entries_of_a_listing(client: httpx.AsyncClient, api: StorageApi):
    answer = await client.post("object/list/open", json={"prefix": ""}, headers=key_of(api))

    folder, *_, photo = answer.json()

    times = ("updated_at", "created_at", "last_accessed_at")
    nothing = dict.fromkeys(("id", *times, "metadata"))
    assert folder == {"name": "2024", **nothing}
    assert all(photo[time] for time in times)
    assert photo["metadata"]["size"] == photo["metadata"]["contentLength"] == len(PHOTO)
    assert photo["metadata"]["mimetype"] == "image/jpeg"
    assert photo["metadata"]["cacheControl"] == "max-age=3600"


async def test_names_that_differ_in_case_only(client: httpx.AsyncClient, api: StorageApi):
    await put(client, api, "open/x.jpg")
    await put(client, api, "open/X.jpg")
    assert sorted(await list_names(client, api, search="x")) == ["X.jpg", "x.jpg"]


async def test_a_listing_of_a_bucket_that_is_missing(client: httpx.AsyncClient, api: StorageApi):
    answer = await client.post("object/list/none", json={"prefix": ""}, headers=key_of(api))
    assert answer.json() == []
