"""Is the database reachable, of this version, and open to what a poller does?"""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg

from poller import __version__
from poller.config import Settings
from poller.db import DATABASE_AWAY, Database, Server, has_own_session, read_server
from poller.doctor.clock import compare_clocks
from poller.doctor.findings import Findings
from poller.figures import webhook_lines
from poller.migrate import schema_differences
from poller.records import BucketPolicy
from poller.text import all_plain, counted, describe_error, plain
from poller.troubles import troubles

DATABASE_CHECKS = ("role", "listen", "pg_cron", "schema", "pollers", "public URLs")
"""Those of a database that can be reached."""
OLDEST, NEWEST = 15, 18
MOST_NAMED = 3
ERRORS = (*DATABASE_AWAY, asyncpg.PostgresError, asyncpg.ClientConfigurationError)
MISSING = (asyncpg.UndefinedFunctionError, asyncpg.UndefinedTableError)
REFUSED = asyncpg.InsufficientPrivilegeError


async def check_database(settings: Settings, findings: Findings) -> list[BucketPolicy] | None:
    """Check it; the policy of the buckets, if it has one."""
    dsn = settings.database_url.get_secret_value()
    try:
        server = await read_server(dsn)
    except ERRORS as error:
        findings.wrong("database", f"{_said(error)}: see DATABASE_URL")
        for check in DATABASE_CHECKS:
            findings.skipped(check, "the database cannot be used")
        return None
    _check_version(server, findings)
    compare_clocks(findings, "the database", server.clock, datetime.now(UTC))
    _check_role(server, findings)
    own_session = await _check_listen(dsn, settings, findings)
    cron = {
        "here": "installed",
        "available": "not installed, but could be: create extension pg_cron",
        "absent": "not on this server; pgmedia works without it",
    }
    findings.note("pg_cron", cron[server.pg_cron])

    database = await Database.connect(
        dsn, settings.pgmedia_poller_name, 1, own_session=own_session, connect_now=False
    )
    try:
        await _check_schema(database, findings)
        await _tell_stats(database, findings)
        return await _check_policy(database, settings, findings)
    finally:
        await database.close()


def _check_version(server: Server, findings: Findings) -> None:
    if server.major_version < OLDEST:
        findings.wrong("database", f"PostgreSQL {server.version}: pgmedia needs {OLDEST} or newer")
    elif server.only_reads:
        findings.wrong(
            "database",
            f"PostgreSQL {server.version} takes no writes: is it a standby, or made read-only, as"
            " by a host whose disk is full?",
        )
    else:
        tested = "" if server.major_version <= NEWEST else f", newer than pgmedia knows ({NEWEST})"
        findings.ok("database", f"PostgreSQL {server.version}{tested}")


def _check_role(server: Server, findings: Findings) -> None:
    login, roles = plain(server.login), ", ".join(server.roles) or "no role of pgmedia"
    if not server.of_pollers:
        findings.skipped("role", "there are no functions to be called")
    elif server.refused:
        named = _few(server.refused)
        findings.wrong(
            "role",
            f"{login} ({roles}) may not call {len(server.refused)} of {server.of_pollers} functions"
            f" of the poller ({named}): grant media_poller to {login}",
        )
    else:
        findings.ok("role", f"{login} ({roles}) may call all that pgmedia poll calls")


async def _check_listen(dsn: str, settings: Settings, findings: Findings) -> bool:
    try:
        own_session = await has_own_session(dsn)
    except ERRORS as error:
        findings.wrong("listen", _said(error))
        return False
    if own_session:
        findings.ok("listen", "notifications of new work arrive")
    else:
        findings.note(
            "listen",
            "no notifications arrive, as behind a transaction pooler: pollers look every"
            f" {settings.pgmedia_poll_seconds:g} s. A direct or session connection is faster",
        )
    return own_session


async def _check_schema(database: Database, findings: Findings) -> None:
    try:
        differences = schema_differences(await database.schema())
    except MISSING:
        findings.wrong("schema", "pgmedia's is not there, or an older one: run pgmedia migrate")
    except REFUSED:
        findings.skipped("schema", "this login may not look at it")
    except ERRORS as error:
        findings.wrong("schema", _said(error))
    else:
        if differences:
            findings.wrong(
                "schema",
                f"differs from version {__version__} in {counted(len(differences), 'place')}"
                f" ({_few(differences)}): run pgmedia migrate",
            )
        else:
            findings.ok("schema", f"that of version {__version__}")


async def _tell_stats(database: Database, findings: Findings) -> None:
    try:
        stats = await database.storage_stats()
    except ERRORS:
        findings.skipped("pollers", "the database did not say")
        return
    found = troubles(all_plain(stats)) if "codes" in stats else []  # not in an older schema
    if not any(one.is_grave and one.check == "pollers" for one in found):
        queue = ", ".join(f"{number} {status}" for status, number in stats["queue"].items())
        findings.note("pollers", f"{stats['pollers'] or 'none'} at work; queue: {queue or 'empty'}")
    if "webhook" in stats and (lines := webhook_lines(stats["webhook"])):
        findings.note("webhook", "; ".join(lines))
    for one in found:  # what somebody wanted, or what is over, is not wrong
        if one.is_grave:
            findings.wrong(one.check, f"{one.what}; {one.do}")
        elif one.check not in ("pollers", "webhook"):
            findings.note(one.check, f"{one.what}; {one.do}")


async def _check_policy(
    database: Database, settings: Settings, findings: Findings
) -> list[BucketPolicy] | None:
    try:
        policy = await database.bucket_policy()
        project_url = await database.project_url()
    except ERRORS:
        findings.skipped("public URLs", "the database did not say where they lead to")
        return None
    if settings.supabase_url is None:
        findings.skipped("public URLs", "SUPABASE_URL is missing or malformed")
    elif project_url == settings.supabase_url:
        findings.ok("public URLs", f"lead to {project_url}")
    else:
        findings.wrong(
            "public URLs",
            f"lead to {project_url or 'nowhere'}, not to {settings.supabase_url}: run"
            " pgmedia buckets",
        )
    return policy


def _few(lines: list[str]) -> str:
    """The first of many, each cut."""
    shown = [plain(line) if len(line) <= 100 else f"{plain(line)[:97]}..." for line in lines]
    return "; ".join(shown[:MOST_NAMED]) + ("; ..." if len(lines) > MOST_NAMED else "")


def _said(error: BaseException) -> str:
    if isinstance(error, asyncpg.PostgresError):
        return f"the database refused: {plain(error.args[0])}"
    return f"no connection: {describe_error(error)}"
