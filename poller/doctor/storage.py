"""Is Storage there, open to the key, and do its buckets follow the policy and work?"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from poller.buckets import sync_buckets
from poller.config import Settings
from poller.doctor.access import check_access
from poller.doctor.findings import Findings
from poller.doctor.round_trip import round_trip
from poller.http import open_client
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
    async with open_client({host}, settings.pgmedia_timeout_seconds, 4) as client:
        if not await check_access(client, settings, findings):
            findings.skipped("buckets", "storage cannot be used")
        elif policy is None:
            findings.skipped("buckets", "the database did not say what they should be")
        else:
            for one in policy:
                await _check_bucket(client, settings, one, findings)


async def _check_bucket(
    client: httpx.AsyncClient, settings: Settings, policy: BucketPolicy, findings: Findings
) -> None:
    check, trial = f"bucket {policy.bucket_name}", f"round trip in {policy.bucket_name}"
    try:
        (change,) = await sync_buckets(settings, [policy], check=True)
    except SupabaseError as error:
        findings.wrong(check, str(error))
        findings.skipped(trial, "the bucket cannot be looked at")
        return
    if change.action == "right":
        findings.ok(check, f"as the policy has it, {'public' if policy.is_public else 'private'}")
    else:
        differences = "; ".join(change.differences)
        findings.wrong(check, f"{differences}: run pgmedia buckets")
    if change.action == "created":
        findings.skipped(trial, "the bucket does not exist")
        return
    problems = await round_trip(client, settings, policy)
    if problems:
        findings.wrong(trial, "; ".join(problems))
    else:
        read = "signed and public URL" if policy.is_public else "signed URL, nothing without a key"
        findings.ok(trial, f"a file was stored, read by {read}, and removed")
