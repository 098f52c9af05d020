"""Is Storage where SUPABASE_URL says, and are the keys what they should be?"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import jwt
from pydantic import SecretStr

from poller.config import Settings
from poller.doctor.asking import Answer, ask
from poller.doctor.clock import compare_clocks
from poller.doctor.findings import Findings
from poller.http import NETWORK_ERRORS, json_list
from poller.service_key import judge_service_key
from poller.text import describe_error, plain

REFUSED = {"401", "403"}


async def check_access(
    session: aiohttp.ClientSession, settings: Settings, findings: Findings
) -> bool:
    """Ask for the list of buckets; true if Storage answers and the key is good."""
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    key = settings.supabase_service_key
    problem = judge_service_key(key.get_secret_value(), datetime.now(UTC))
    try:
        answer = await _list_buckets(session, settings, key)
    except NETWORK_ERRORS as error:
        findings.wrong(
            "storage",
            f"no answer from {settings.supabase_url}: {describe_error(error)}; see SUPABASE_URL",
        )
        _tell_key(problem, findings)
        return False
    if answer.code in REFUSED:
        problem = problem or _refused(answer, settings)
    elif fault := _fault(answer, settings.supabase_url):
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


async def check_anon_key(
    session: aiohttp.ClientSession, settings: Settings, findings: Findings
) -> SecretStr | None:
    """The key that everybody may have, if it is set and Storage accepts it: only then does a
    refusal of it mean anything."""
    key = settings.supabase_anon_key
    if key is None:
        return None
    problem = _judge_anon_key(key.get_secret_value())
    try:
        if problem is None:
            answer = await _list_buckets(session, settings, key)
            if answer.code in REFUSED:
                problem = _refused(answer, settings)
            else:
                problem = _fault(answer, str(settings.supabase_url))
    except NETWORK_ERRORS as error:
        problem = f"not tried: {describe_error(error)}"
    if problem is not None:
        findings.wrong("anon key", f"SUPABASE_ANON_KEY is {problem}")
        return None
    findings.ok("anon key", "accepted")
    return key


def _judge_anon_key(key: str) -> str | None:
    if key.startswith("sb_publishable_"):
        return None
    needed = "it must be a publishable key (sb_publishable_...) or that of anon"
    if key.startswith("sb_secret_"):
        return f"a secret key: {needed}"
    try:
        role = jwt.decode(key, options={"verify_signature": False}).get("role")
    except jwt.InvalidTokenError:
        return f"malformed: {needed}"
    return None if role == "anon" else f"the key of the role {plain(role)}: {needed}"


async def _list_buckets(
    session: aiohttp.ClientSession, settings: Settings, key: SecretStr
) -> Answer:
    url = f"{settings.supabase_url}/storage/v1/bucket"
    return await ask(session, "GET", url, settings.pgmedia_timeout_seconds, key=key)


def _refused(answer: Answer, settings: Settings) -> str:
    said = plain(answer.refusal.get("message") or f"HTTP {answer.code}")
    return f"refused ({said}): is it of the project at {settings.supabase_url}?"


def _tell_key(problem: str | None, findings: Findings) -> None:
    if problem is None:
        findings.skipped("storage key", "storage cannot be asked")
    else:
        findings.wrong("storage key", problem)


def _fault(answer: Answer, url: str) -> str | None:
    """Why this is no list of buckets."""
    if answer.refusal.get("message"):
        return f"{url} said: {plain(answer.refusal['message'])} (HTTP {answer.status})"
    if answer.is_success and json_list(answer.body) is not None:
        return None
    if answer.status >= 500:
        return f"{url} answered HTTP {answer.status}: it is down or paused"
    return (
        f"{url} answered HTTP {answer.status} with what is none of Supabase's; SUPABASE_URL"
        " must be the project URL, such as https://example.supabase.co"
    )


def _compare_clocks(answer: Answer, findings: Findings) -> None:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return
    compare_clocks(findings, "storage", theirs.replace(tzinfo=UTC), datetime.now(UTC))
