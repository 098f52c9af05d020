"""Is Storage where SUPABASE_URL says, and is the key that of the service role?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import jwt

from poller.config import Settings
from poller.doctor.clock import compare_clocks
from poller.doctor.findings import Findings
from poller.http import NETWORK_ERRORS, describe_error, json_object, plain

NEEDED = "SUPABASE_SERVICE_KEY must be a secret key (sb_secret_...) or that of service_role"
REFUSED = {"401", "403"}


async def check_access(client: httpx.AsyncClient, settings: Settings, findings: Findings) -> bool:
    """Ask for the list of buckets; true if Storage answers and the key is good."""
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    key = settings.supabase_service_key.get_secret_value()
    problem = judge_key(key, datetime.now(UTC))
    try:
        answer = await client.get(
            f"{settings.supabase_url}/storage/v1/bucket",
            headers={"Authorization": f"Bearer {key}", "apikey": key},
        )
    except NETWORK_ERRORS as error:
        findings.wrong(
            "storage",
            f"no answer from {settings.supabase_url}: {describe_error(error)}; see SUPABASE_URL",
        )
        _tell_key(problem, findings)
        return False
    refusal = json_object(answer.content)
    status = str(refusal.get("statusCode") or answer.status_code)
    if status in REFUSED:
        said = plain(refusal.get("message") or f"HTTP {status}")
        problem = problem or f"refused ({said}): is it of the project at {settings.supabase_url}?"
    elif fault := _fault(answer, refusal, settings.supabase_url):
        findings.wrong("storage", fault)
        _tell_key(problem, findings)
        return False
    findings.ok("storage", f"answers at {settings.supabase_url}")
    _compare_clocks(answer, findings)
    if problem is None:
        findings.ok("storage key", "accepted, with all rights")
    else:
        findings.wrong("storage key", problem)
    return problem is None


def judge_key(key: str, now: datetime) -> str | None:
    """What is wrong with a key by itself; None if Storage has to be asked.

    Storage answers the key of `anon` with an empty list of buckets, as if there were none.
    """
    if key.startswith("sb_secret_"):
        return None
    if key.startswith("sb_publishable_"):
        return f"a publishable key: {NEEDED}"
    try:
        claims = jwt.decode(key, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return f"malformed: {NEEDED}"
    role, ends = claims.get("role"), claims.get("exp")
    if role != "service_role":
        return f"the key of the role {plain(role)}: {NEEDED}"
    if isinstance(ends, int | float) and ends <= now.timestamp():
        return f"expired {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC: {NEEDED}"
    return None


def _tell_key(problem: str | None, findings: Findings) -> None:
    if problem is None:
        findings.skipped("storage key", "storage cannot be asked")
    else:
        findings.wrong("storage key", problem)


def _fault(answer: httpx.Response, refusal: dict[str, object], url: str) -> str | None:
    """Why this is no list of buckets."""
    if refusal.get("message"):
        return f"{url} said: {plain(refusal['message'])} (HTTP {answer.status_code})"
    try:
        buckets: object = json.loads(answer.content)
    except ValueError:
        buckets = None
    if answer.is_success and isinstance(buckets, list):
        return None
    if answer.is_server_error:
        return f"{url} answered HTTP {answer.status_code}: it is down or paused"
    return (
        f"{url} answered HTTP {answer.status_code} with what is none of Supabase's; SUPABASE_URL"
        " must be the project URL, such as https://example.supabase.co"
    )


def _compare_clocks(answer: httpx.Response, findings: Findings) -> None:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return
    compare_clocks(findings, "storage", theirs.replace(tzinfo=UTC), datetime.now(UTC))
