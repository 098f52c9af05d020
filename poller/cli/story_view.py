"""One attachment as a person reads it: where it is, and its audit trail as a story."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any
from uuid import UUID

STORY = {
    "queued": "queued",
    "joined": "waits for {waiting_for}, which has the same content",
    "freed": "goes on by itself: {waited_for} did not store the content",
    "claimed": "attempt {attempt} begun by {poller}",
    "released": "attempt {attempt} given back by {poller}, not counted",
    "attempt failed": "attempt {attempt} failed: {code}: {text}",
    "lease expired": "attempt {attempt} ended without a word from {poller}",
    "stored": "stored by {poller}{timings}",
    "deduplicated": "linked to the same content, which is stored already",
    "quarantined": "refused, and kept in {bucket_name} until {keep_until}",
    "failed": "failed for good: {code}: {text}",
    "retried": "queued again, with all its attempts",
    "cancelled": "cancelled",
    "deleted": "deleted",
    "file removed": "file {bucket_name}/{storage_path} removed from storage by {poller}",
}
"""An event in words; any other is shown by its name and detail."""

STEPS = ("describe", "download", "check", "encode", "upload")
"""Of an attempt, one after the other; jsonb does not keep their order."""


def story_view(
    media_id: UUID,
    found: dict[str, Any] | None,
    trail: list[dict[str, Any]],
    words: tuple[str, str] | None = None,
) -> Iterator[str]:
    """Lines as long as they must be, so that what is copied from them is whole.

    `words`: what its error means, and what to do.
    """
    facts = [("media", str(media_id)), *_facts(found or {"status": "deleted"})]
    if words is not None:
        facts += zip(("means", "to do"), words, strict=True)
    for name, value in facts:
        yield f"{name:10}{value}"
    yield ""
    day = ""
    for event in trail:
        at = event["at"].astimezone(UTC)
        new_day = f"{at:%Y-%m-%d}"
        date, day = "" if day == new_day else new_day, new_day
        yield f"{date:10} {at:%H:%M:%S}.{at.microsecond // 1000:03}  {_words(event)}"


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [("status", str(found["status"]))]
    if found.get("attempts") is not None:
        facts.append(("attempts", f"{found['attempts']} of {found['max_attempts']}"))
    if found["status"] == "pending":
        facts.append(("due", f"{found['due_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}"))
    if found.get("poller"):
        facts.append(("poller", found["poller"]))
    if found.get("error_code"):
        facts.append(("error", f"{found['error_code']}: {found['error_text'] or ''}".rstrip(": ")))
    if found.get("storage_path"):
        facts.append(("file", f"{found['bucket_name']}/{found['storage_path']}"))
    if found.get("public_url"):
        facts.append(("url", found["public_url"]))
    return facts


def _place(step: str) -> int:
    return STEPS.index(step) if step in STEPS else len(STEPS)


def _words(event: dict[str, Any]) -> str:
    detail: dict[str, Any] = event["detail"] or {}
    taken = [name.removesuffix("_ms") for name in detail if name.endswith("_ms")]
    steps = [f"{name} {detail[f'{name}_ms']} ms" for name in sorted(taken, key=_place)]
    known: dict[str, Any] = {
        **event, **detail, "timings": f": {', '.join(steps)}" if steps else ""
    }  # fmt: skip
    try:
        return STORY[event["event"]].format_map(known)
    except KeyError:
        return " ".join([event["event"], *(f"{name}={value}" for name, value in detail.items())])
