"""How the Supabase Storage of the sandbox fails when it is told to."""

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
from tests.sandbox_storage_errors.conftest import (
    NO_OBJECT,
    refusal,
)


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
        await client.post("object/open/b.txt", content=b"b", timeout=1)

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
