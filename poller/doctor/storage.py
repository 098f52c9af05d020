"""Is Storage there, open to the key, and do its buckets follow the policy and work?"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from poller.buckets import sync_buckets
from poller.config import Settings
from poller.doctor.access import check_access, check_anon_key
from poller.doctor.findings import Findings
from poller.doctor.round_trip import round_trip, sweep
from poller.http import open_session
from poller.records import BucketPolicy
from poller.supabase_client import SupabaseError


async def check_storage(
    settings: Settings, policy: Sequence[BucketPolicy] | None, findings: Findings
) -> None:
    """Check address and key, then each bucket: its settings, and a round trip of a file."""
    if settings.supabase_url is None or settings.supabase_service_key is None:
        missing = "SUPABASE_SERVICE_KEY" if settings.supabase_url else "SUPABASE_URL"
        for check in ("storage", "storage key", "buckets"):
            findings.skipped(check, f"{missing} is missing or malformed")
        return
    host = urlsplit(settings.supabase_url).hostname or ""
    async with open_session({host}, settings.pgmedia_timeout_seconds, 4) as session:
        if not await check_access(session, settings, findings):
            findings.skipped("buckets", "storage cannot be used")
        elif policy is None:
            findings.skipped("buckets", "the database did not say what they should be")
        else:
            anon = await check_anon_key(session, settings, findings)
            for one in policy:
                await _check_bucket(session, settings, one, anon, findings)


async def _check_bucket(
    session: aiohttp.ClientSession,
    settings: Settings,
    policy: BucketPolicy,
    anon: SecretStr | None,
    findings: Findings,
) -> None:
    check, trial = f"bucket {policy.bucket_name}", f"round trip in {policy.bucket_name}"
    try:
        (change,) = [one async for one in sync_buckets(settings, [policy], check=True)]
        if change.action == "created":
            swept = 0
        else:
            swept = await sweep(session, settings, policy.bucket_name)
    except SupabaseError as error:
        findings.wrong(check, str(error))
        findings.skipped(trial, "the bucket cannot be looked at")
        return
    if change.action == "right":
        findings.ok(check, f"as the policy has it, {'public' if policy.is_public else 'private'}")
    elif change.action == "failed":
        findings.wrong(check, "; ".join(change.differences))
    else:
        findings.wrong(check, f"{'; '.join(change.differences)}: run pgmedia buckets")
    if swept:
        findings.note(f"old trials in {policy.bucket_name}", f"{swept} removed")
    if change.action == "created" or not policy.mime_types:
        why = "the bucket does not exist" if policy.mime_types else "it may hold no format"
        findings.skipped(trial, why)
        return
    problems = await round_trip(session, settings, policy, anon)
    if problems:
        findings.wrong(trial, "; ".join(problems))
    else:
        findings.ok(trial, _done(policy, anon))


def _done(policy: BucketPolicy, anon: SecretStr | None) -> str:
    read = "signed and public URL" if policy.is_public else "signed URL, nothing without a key"
    if anon is not None:
        read += ", no file from anon" if policy.is_public else " nor with that of anon"
    return f"a file was stored, read by {read}, and removed"
