"""Everything pgmedia makes, tried through PostgREST by the API roles of a Supabase project.

The project is of the older kind, in which every new table, function and sequence is granted to all
of them, and its owner is no superuser.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.storage_keys import SIGNING_KEY, Keys
from tests.access import (
    CREATE_API_ROLES,
    DEFAULT_PRIVILEGES,
    OPERATOR,
    POLLER,
    Function,
    functions,
    relations,
)
from tests.helpers import as_user, everything, queue_media, sha256, store
from tests.system.postgrest import serving
from tests.webhook.payloads import APP_SECRET, VERIFY_TOKEN, message, received, signature

OWNER, AUTHENTICATOR = "pgmedia_test_postgres", "pgmedia_test_supabase_authenticator"
PASSWORD = "pgmedia-test-password"
REFUSED = {401, 403, 404}
DOOR = "whatsapp_webhook"

CREATE_PROJECT = f"""
do $$
declare
    v_role text;
begin
    foreach v_role in array array[
        '{OWNER} login createrole createdb bypassrls password ''{PASSWORD}''',
        '{AUTHENTICATOR} login noinherit password ''{PASSWORD}'''
    ] loop
        begin
            execute 'create role ' || v_role;
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
    execute format('alter database %I owner to {OWNER}', current_database());
end $$;
grant anon, authenticated, service_role to {AUTHENTICATOR};
"""

BOT_TABLE = """
create table notes (id integer primary key, media_id uuid references media, text text);
insert into notes select 1, m.id, 'a note' from media m limit 1;
"""


@pytest.fixture
async def db(empty_database: str) -> AsyncIterator[Any]:
    """A project with pgmedia, a stored attachment, one in work and one that failed."""
    connection: Any = await asyncpg.connect(empty_database)
    await connection.execute(CREATE_API_ROLES + CREATE_PROJECT)
    url = as_user(empty_database, OWNER, PASSWORD)
    owner: Any = await asyncpg.connect(url)
    await owner.execute(DEFAULT_PRIVILEGES)
    assert (await asyncio.to_thread(migrate, SecretStr(url))).differences == []
    await store(owner, sha256(b"stored"))
    await queue_media(owner, phone_number_id="1")
    await owner.execute("select cancel_media($1)", await queue_media(owner, phone_number_id="1"))
    await owner.execute(BOT_TABLE)
    await owner.close()
    yield connection
    connection.terminate()


@pytest.fixture
async def api(
    db: Any, empty_database: str, http: httpx.AsyncClient, tmp_path: Path
) -> AsyncIterator[Api]:
    del db
    dsn = as_user(empty_database, AUTHENTICATOR, PASSWORD)
    log = tmp_path / "postgrest.log"
    async with serving(dsn, log, PGRST_JWT_SECRET=SIGNING_KEY) as url:
        yield Api(http, url)


class Api:
    """The data API, called as one of its roles."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def call(
        self, role: str, method: str, path: str, body: object = None, **headers: str
    ) -> httpx.Response:
        """Send a request with a key of the role, or as anon without any."""
        key = Keys(SIGNING_KEY, "").make_key(role)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role != "anon":
            sent["Authorization"] = f"Bearer {key}"
        return await self._http.request(method, f"{self._url}/{path}", json=body, headers=sent)

    async def run(self, role: str, name: str, function: Function) -> list[httpx.Response]:
        """Call a function with nulls in each way there is; the POST comes first."""
        path = f"rpc/{name.partition('(')[0]}"
        body: object = dict.fromkeys(function.arguments) if function.arguments != [""] else {}
        return [
            await self.call(role, "POST", path, body),
            await self.call(role, "POST", path, body, Prefer="params=single-object"),
            await self.call(role, "GET", path),
        ]


def code(answer: httpx.Response) -> str:
    return answer.json().get("code") if answer.content.startswith(b"{") else ""


async def columns(db: Any, table: str) -> list[str]:
    rows = await db.fetch(
        "select attname from pg_attribute"
        " where attrelid = format('public.%I', $1::text)::regclass and attnum > 0"
        " and not attisdropped and attidentity = ''",
        table,
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_no_table_is_read_or_written(db: Any, api: Api, role: str) -> None:
    before = await everything(db)
    assert all(before[table] for table in ("messages", "media", "media_objects"))

    for table in await relations(db, "rpfvm"):
        if table == "notes":
            continue
        column = (await columns(db, table))[0]
        values = {column: None}
        every = f"{table}?{column}=not.is.null"
        representation = "return=representation"
        answers = [
            await api.call(role, "GET", table),
            await api.call(role, "GET", f"{table}?select={column}&limit=1"),
            await api.call(role, "GET", table, Prefer="count=exact"),
            await api.call(role, "POST", table, {}),
            await api.call(role, "POST", table, [values], Prefer=representation),
            await api.call(role, "POST", table, [values], Prefer="resolution=merge-duplicates"),
            await api.call(role, "PATCH", every, values),
            await api.call(role, "PATCH", every, values, Prefer=representation),
            await api.call(role, "DELETE", every),
            await api.call(role, "DELETE", every, Prefer=representation),
        ]
        if table in await relations(db, "v"):
            # Postgres looks at rights last: 55000 is a view that nobody can write to
            assert {code(answer) for answer in answers if answer.content} == {"42501", "55000"}
            assert all(answer.is_error for answer in answers), table
            continue
        assert {answer.status_code for answer in answers} <= REFUSED, table
        assert {code(answer) for answer in answers if answer.content} == {"42501"}, table
    assert await everything(db) == before


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_no_function_is_carried_out(db: Any, api: Api, role: str) -> None:
    before = await everything(db)
    all_functions = await functions(db)

    for name, function in all_functions.items():
        answers = await api.run(role, name, function)
        assert {answer.status_code for answer in answers} <= REFUSED, name
        if name in OPERATOR | POLLER:  # it was found, and refused
            assert code(answers[0]) == "42501", (name, answers[0].text)
    assert await everything(db) == before


async def test_service_role_calls_what_operators_call(db: Any, api: Api) -> None:
    for name, function in (await functions(db)).items():
        answer = (await api.run("service_role", name, function))[0]
        if name in OPERATOR:
            assert answer.status_code not in REFUSED or code(answer).startswith("MD"), name
            assert code(answer) != "42501", (name, answer.text)
        else:
            assert answer.status_code in REFUSED, (name, answer.text)


async def test_service_role_takes_an_attachment_through_its_life(db: Any, api: Api) -> None:
    message_id = await db.fetchval("select id from messages limit 1")

    async def call(name: str, **arguments: Any) -> Any:
        answer = await api.call("service_role", "POST", f"rpc/{name}", arguments)
        assert answer.is_success, answer.text
        return answer.json()

    media = await call(
        "queue_media_processing", message_id=str(message_id), whatsapp_media_id="123"
    )
    assert (await call("get_media_status", id=media))[0]["status"] == "pending"
    assert (await call("get_media_storage_stats"))["files"] == 1
    assert await call("cancel_media", id=media) is True
    assert await call("retry_media", id=media) is True
    assert await call("delete_media", id=media) is True
    assert await db.fetchval("select count(*) from media where id = $1", UUID(media)) == 0


async def test_the_open_door_is_all_that_opens(db: Any, api: Api) -> None:
    await db.execute("select set_whatsapp_secrets($1, $2)", APP_SECRET, VERIFY_TOKEN)
    await db.execute("select open_whatsapp_webhook()")
    before = await everything(db)
    body = json.dumps(received(message())).encode()

    for role in ("anon", "authenticated"):
        for name, function in (await functions(db)).items():
            answers = await api.run(role, name, function)
            assert {answer.status_code for answer in answers} <= REFUSED, name
    for headers in ({}, {"X_Hub_Signature_256": signature(body, "another secret")}):
        answer = await api.call("anon", "POST", f"rpc/{DOOR}", json.loads(body), **headers)
        assert answer.status_code == 403
    after = await everything(db)  # what is refused is counted, and that is all
    assert after.pop("whatsapp_webhook_refusals")
    assert after == {name: rows for name, rows in before.items() if name in after}

    compact = httpx.Request("POST", "http://x", json=json.loads(body)).content
    signed = {"X_Hub_Signature_256": signature(compact)}
    answer = await api.call("anon", "POST", f"rpc/{DOOR}", json.loads(body), **signed)
    assert answer.status_code == 200
    queued = await db.fetchval("select count(*) from media_processing_queue")
    assert queued == len(before["media_processing_queue"]) + 1
    answer = await api.call("authenticated", "POST", f"rpc/{DOOR}", json.loads(body), **signed)
    assert (answer.status_code, code(answer)) == (403, "42501")


async def test_the_listing_of_the_api_shows_a_role_only_what_it_may_call(db: Any, api: Api) -> None:
    async def listed(role: str) -> set[str]:
        answer = await api.call(role, "GET", "")
        assert answer.status_code == 200
        return set(answer.json()["paths"])

    own = {"/", "/notes"}
    for role in ("anon", "authenticated"):
        assert await listed(role) == own
    assert await listed("service_role") == own | {f"/rpc/{name}" for name in OPERATOR}
    assert "media_audit_log" not in (await api.call("anon", "GET", "")).text

    for path in ("", "media", "media_secrets"):  # PostgREST says which exist, and nothing of them
        assert (await api.call("anon", "OPTIONS", path)).content == b""

    await db.execute("select set_whatsapp_secrets($1, $2)", APP_SECRET, VERIFY_TOKEN)
    await db.execute("select open_whatsapp_webhook()")
    assert await listed("anon") <= own | {f"/rpc/{DOOR}"}
    assert await listed("authenticated") == own


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_a_table_of_the_bot_is_no_way_to_media(db: Any, api: Api, role: str) -> None:
    """A bot's own open table refers to media, so PostgREST would embed them."""
    assert (await api.call(role, "GET", "notes")).json()[0]["text"] == "a note"
    before = await everything(db)

    note, representation = {"id": 2, "text": "x"}, "return=representation"
    for shape in ("*,media(*)", "...media(public_url)", "media(messages(*))", "media(count)"):
        path = f"notes?select={shape}"
        answers = [
            await api.call(role, "GET", path),
            await api.call(role, "POST", path, note, Prefer=representation),
            await api.call(role, "PATCH", f"{path}&id=eq.1", {"text": "y"}, Prefer=representation),
            await api.call(role, "DELETE", f"{path}&id=eq.1", Prefer=representation),
        ]
        assert {code(answer) for answer in answers} == {"42501"}, (shape, answers[0].text)
    answers = [
        await api.call(role, "GET", "notes?select=id,media()&media.processed=is.true"),
        await api.call(role, "GET", "notes?select=id,media!inner()&media=not.is.null"),
        await api.call(role, "GET", "notes?select=id,media()&order=media(created_at)"),
    ]
    assert {answer.status_code for answer in answers} <= REFUSED
    assert await everything(db) == before
