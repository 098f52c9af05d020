"""Which errors are the server's own: WhatsApp sends a call again that failed for them."""

from __future__ import annotations

from typing import Any

import pytest

SERVER = {
    "08006": "connection_failure",
    "25006": "read_only_sql_transaction",
    "40001": "serialization_failure",
    "40P01": "deadlock_detected",
    "53100": "disk_full",
    "55P03": "lock_not_available",
    "57014": "query_canceled",
    "58030": "io_error",
    "XX000": "internal_error",
}

ROW = {
    "22P02": "invalid_text_representation",
    "23505": "unique_violation",
    "23514": "check_violation",
    "42501": "insufficient_privilege",
    "P0001": "raise_exception",
    "P0004": "assert_failure",
    "BOT01": "a bot's own",
    "55000": "object_not_in_prerequisite_state",
}


@pytest.mark.parametrize("sqlstate", SERVER)
async def test_a_fault_of_the_server(db: Any, sqlstate: str) -> None:
    assert await db.fetchval("select is_server_fault($1)", sqlstate) is True


@pytest.mark.parametrize("sqlstate", ROW)
async def test_a_refusal_of_the_row(db: Any, sqlstate: str) -> None:
    assert await db.fetchval("select is_server_fault($1)", sqlstate) is False
