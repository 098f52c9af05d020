"""Figures of the webhook in words, for `pgmedia status` and `pgmedia doctor`."""

from __future__ import annotations

from typing import Any


def webhook_lines(webhook: dict[str, Any]) -> list[str]:
    """What was refused and what could not be used, a line each; none if all is well.

    `webhook`: as in get_media_storage_stats.
    """
    lines: list[str] = []
    if refusals := webhook["refusals"]:
        lines.append(
            f"{_calls(sum(refusals.values()))} refused since yesterday: {_counts(refusals)}"
        )
    if errors := webhook["errors"]:
        lines.append(
            f"{_calls(webhook['calls_with_errors'])} with errors since yesterday: {_counts(errors)}"
        )
    return lines


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
