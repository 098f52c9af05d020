"""Clocks that disagree: the end of a key or of a signed URL is seen at another time."""

from __future__ import annotations

from datetime import datetime

from poller.doctor.findings import Findings

NOTABLE_SECONDS = 60


def compare_clocks(findings: Findings, whose: str, theirs: datetime, ours: datetime) -> None:
    """Say so if this machine's clock and another one differ by more than a minute."""
    ahead = (ours - theirs).total_seconds()
    if abs(ahead) > NOTABLE_SECONDS:
        where = "ahead of" if ahead > 0 else "behind"
        findings.note(
            "clock",
            f"this machine is {abs(ahead):.0f} s {where} {whose}: keys and signed URLs seem to end"
            " at another time; set the clock",
        )
