"""`pgmedia doctor`: is everything there that pgmedia needs, and does it work?

Each part goes on as far as it can, whatever is wrong elsewhere.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from poller.config import examine_settings
from poller.doctor.database import DATABASE_CHECKS, check_database
from poller.doctor.findings import Finding, Findings
from poller.doctor.storage import check_storage
from poller.doctor.whatsapp import check_whatsapp

__all__ = ["LONGEST", "Finding", "Findings", "examine"]

LONGEST = timedelta(minutes=5)
NEEDED_TO_POLL = ("supabase_url", "supabase_service_key", "whatsapp_token")


async def examine(findings: Findings, seconds: float = LONGEST.total_seconds()) -> None:
    """Check all there is, or as much as can be in that time.

    In each bucket a small file is made and removed again.
    """
    try:
        async with asyncio.timeout(seconds):
            await _examine(findings)
    except TimeoutError:
        findings.wrong(
            "time",
            f"not done in {seconds:g} s, as there are slow answers: the rest was not checked;"
            " --within gives it longer",
        )


async def _examine(findings: Findings) -> None:
    settings, problems = examine_settings()
    for name in NEEDED_TO_POLL:
        if name not in problems and getattr(settings, name) is None:
            problems[name] = f"{name.upper()} is not set"
    for line in problems.values():
        findings.wrong("settings", line)
    if not problems:
        findings.ok("settings", "all there that pgmedia poll needs")

    policy = None
    if "database_url" in problems:
        for check in ("database", *DATABASE_CHECKS):
            findings.skipped(check, "DATABASE_URL is missing or malformed")
    else:
        policy = await check_database(settings, findings)
    await check_whatsapp(settings, findings)
    await check_storage(settings, policy, findings)
