"""docs/sql-api.md is what the functions say of themselves, and every error is in the reference."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

from tests.access import CLIENT, OPERATOR, POLLER, SHARED
from tests.write_sql_api import FILE, describe_sql_api

CHECKOUT = Path(__file__).parents[2]
REFERENCE = CHECKOUT / "docs" / "reference.md"


def test_the_document_is_current(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert FILE.read_text("utf-8") == describe_sql_api(connection), "run make sql-api"


def test_it_has_all_that_anybody_may_call() -> None:
    named = set(re.findall(r"^### (\w+)$", FILE.read_text("utf-8"), re.MULTILINE))
    views = {"media_daily_report", "media_queue_health", "media_failures"}

    assert named == CLIENT | OPERATOR | POLLER | SHARED | views | {"whatsapp_webhook"}


def test_every_error_of_the_functions_is_in_the_reference() -> None:
    raised = {
        code
        for file in (CHECKOUT / "db").rglob("*.sql")
        for code in re.findall(r"errcode = '((?:MD|PT)\w{3})'", file.read_text("utf-8"))
    }
    table = REFERENCE.read_text("utf-8").partition("| SQLSTATE |")[2].partition("\n\n")[0]
    explained = {
        code
        for row in table.splitlines()[2:]
        for code in re.findall(r"\b(?:MD|PT)\d{3}\b", row.split("|")[1])
    }

    assert raised == explained
