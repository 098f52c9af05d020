"""Nothing is lost and nothing doubled while everything goes wrong at once.

Real pollers, killed, stopped and frozen; a real Postgres, crashed; providers with faults;
operators who delete and cancel. `make chaos` is the long version. What the dice decide comes from
the seed, which is printed and can be given again as PGMEDIA_CHAOS_SEED; when it happens is the
machine's.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from poller.sandbox.postgres import PostgresServer
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi
from tests.chaos.attachments import Sizes, make_attachments
from tests.chaos.end_state import check_end_state
from tests.chaos.storm import Storm, connected
from tests.conftest import StartPoller

SIZES = Sizes.from_env()
REFUSALS_PER_HOUR = 19
"""The default of media_settings."""


@pytest.mark.timeout(120 + 3 * SIZES.seconds + SIZES.attachments / 10)
async def test_nothing_is_lost_and_nothing_doubled(
    own_server: PostgresServer, whatsapp: WhatsAppApi, storage: StorageApi, files: Path,
    tmp_path: Path, start_poller: StartPoller,
) -> None:  # fmt: skip
    print(f"\nPGMEDIA_CHAOS_SEED={SIZES.seed}")  # noqa: T201 - shown when it fails
    attachments = make_attachments(whatsapp, SIZES)
    storm = Storm(SIZES, attachments, own_server, whatsapp, storage, start_poller)

    await storm.rage()
    await storm.calm()

    async with connected(own_server.dsn()) as db:
        happened = await what_happened(db)
        print(  # noqa: T201
            f"{storm.killed} pollers killed, {storm.stopped} stopped,"
            f" {storm.frozen} frozen; Postgres crashed"
            f" {storm.crashes} times; {storm.left} left for good pollers;"
            f" {storm.refused} requests refused;"
            f" {whatsapp.downloads.total()} downloads, {storage.uploads.total()} uploads;"
            f" {dict(happened)}\n"
            f"faults given: {storm.faults}"
        )
        await check_end_state(db, attachments, files, logs_in(tmp_path))
    errors = unexpected_errors(own_server)
    assert not errors, "".join(errors)
    assert list((tmp_path / "spool").iterdir()) == []
    assert storm.crashes == 2
    for refused in storm.refused.values():
        assert 0 < refused <= REFUSALS_PER_HOUR, storm.refused
    for event in ("claimed", "lease expired", "attempt failed", "stored", "deduplicated", "joined"):
        assert happened[event], (event, happened)
    for provider in ("whatsapp", "storage"):
        assert any(times for kind, times in storm.faults.items() if kind.startswith(provider))
    if SIZES.are_long:
        assert all(storm.faults.values()), storm.faults
        assert happened["media_url_expired"], happened


def unexpected_errors(server: PostgresServer) -> list[str]:
    """What Postgres logged as an error, a deadlock above all, or as the end of its own processes.

    But for the fence at its work, what yoyo tries out, and a crash that was asked for. Each with
    the lines that follow it, which tell how it came about. A poller that drops work whose lease it
    lost cancels the call that is under way, too.
    """
    expected = re.compile(
        "no longer holds media|yoyo_tmp|canceling statement due to user request"
        "|the database system is (starting up|shutting down|in recovery mode|not yet accepting)"
        "|terminating connection (because of|due to) |connection to client lost"
    )
    wrong = re.compile("(ERROR|FATAL|PANIC): |was terminated by signal")
    begins = re.compile(r"^(?=\d{4}-\S+ \S+ \S+ \[\d+\] (?:ERROR|LOG|FATAL|PANIC|WARNING): )", re.M)
    entries = begins.split(server.log.read_text())
    return [
        one
        for one in entries
        if wrong.search(first := one.partition("\n")[0]) and not expected.search(first)
    ]


def logs_in(folder: Path) -> list[Path]:
    return list(folder.glob("poller-*.log"))


async def what_happened(db: Any) -> Counter[str]:
    """Events of all audit trails, and failures by their codes."""
    rows = await db.fetch(
        "select unnest(array[event, detail ->> 'code']) as what, count(*) as number"
        " from media_audit_log group by what"
    )
    return Counter({row["what"]: row["number"] for row in rows if row["what"]})
