"""What /metrics has before anything has happened, what it has no room for, and its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

from prometheus_client import CollectorRegistry

from poller import webhook
from poller.attempt import GIVEN_BACK
from poller.metrics import MOST_CODES, OUTCOMES, WEBHOOK_RESULTS, PollerMetrics, WebhookMetrics
from poller.pipeline import LEASE_LOST
from poller.records import FailureVerdict, SourceVerdict, UploadVerdict

OBSERVABILITY = (Path(__file__).parents[1] / "docs" / "observability.md").read_text("utf-8")
ON_THE_WAY = {"download", "encode", "quarantine", "upload"}
"""Verdicts with which an attempt goes on."""


def values(registry: CollectorRegistry, name: str, label: str) -> dict[str, float]:
    """A sample's values by one of its labels."""
    return {
        one.labels[label]: one.value
        for family in registry.collect() for one in family.samples if one.name == name
    }  # fmt: skip


def test_what_has_never_happened_is_there_at_zero() -> None:
    """A rate knows no first time: a series that begins at 1 has not grown."""
    poller, door = PollerMetrics().registry, WebhookMetrics().registry
    nothing = dict.fromkeys(OUTCOMES, 0)

    assert values(poller, "pgmedia_attempts_total", "outcome") == nothing
    assert values(poller, "pgmedia_attempt_duration_seconds_count", "outcome") == nothing
    assert values(poller, "pgmedia_file_removals_total", "outcome") == {"removed": 0, "failed": 0}
    results = dict.fromkeys(WEBHOOK_RESULTS, 0)
    assert values(door, "pgmedia_webhook_requests_total", "result") == results
    assert values(door, "pgmedia_webhook_messages_total", "kind") == {"new": 0, "duplicate": 0}
    outcomes = {"queued": 0, "failed": 0, "deleted": 0}
    assert values(door, "pgmedia_webhook_media_total", "outcome") == outcomes
    for registry in (poller, door):
        for family in registry.collect():
            assert family.samples or family.name == "pgmedia_queue_jobs", family.name


def test_every_end_of_an_attempt_is_known() -> None:
    verdicts = {"stored", LEASE_LOST, GIVEN_BACK}
    for record in (SourceVerdict, UploadVerdict, FailureVerdict):
        verdicts |= set(get_args(get_type_hints(record)["verdict"]))

    assert {one.replace(" ", "_") for one in verdicts - ON_THE_WAY} == set(OUTCOMES)
    assert ", ".join(OUTCOMES) in OBSERVABILITY


def test_every_answer_of_the_door_is_known() -> None:
    source = Path(webhook.__file__).read_text("utf-8")
    source = source[source.index("class Door") : source.index("async def read_body")]
    written = set(
        re.findall(r'(?:return|labels\(|result =|result, \w+ = time.*,) ?"(\w+)"', source)
    )

    assert {"stored", "too_large", "verified"} <= written <= set(WEBHOOK_RESULTS)
    assert ", ".join(WEBHOOK_RESULTS) in OBSERVABILITY


def test_the_documentation_has_every_metric_and_no_other() -> None:
    documented = {
        name.removesuffix("_total").removesuffix("_info")
        for name in re.findall(r"`(pgmedia_[a-z_]+)[{`]", OBSERVABILITY)
    }
    made = {
        family.name
        for found in (PollerMetrics(), WebhookMetrics())
        for family in found.registry.collect()
        if family.name.startswith("pgmedia_")
    }

    assert documented == made


def test_codes_are_bounded() -> None:
    """Failure codes are rows: anybody may add some."""
    found = PollerMetrics()
    for number in range(2 * MOST_CODES):
        found.ended("failed", f"code_{number}", 1)

    totals = values(found.registry, "pgmedia_attempts_total", "code")

    assert len(totals) == MOST_CODES + 2  # those without a code, and `other`
    assert totals["other"] == MOST_CODES
