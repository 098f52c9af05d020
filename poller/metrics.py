"""What Prometheus reads: how many, how long, how large. No label has ids or foreign words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

from poller import __version__

Step = Literal["describe", "download", "check", "encode", "upload"]
STEPS: tuple[Step, ...] = ("describe", "download", "check", "encode", "upload")
STATUSES = ("pending", "processing", "waiting", "failed", "cancelled")
OUTCOMES = (
    "stored", "deduplicated", "joined", "rejected", "retry", "failed", "paused", "lease_lost",
    "given_back",
)  # fmt: skip
WEBHOOK_RESULTS = (
    "stored", "bad_signature", "not_json", "too_deep", "too_large", "unavailable", "disconnected",
    "error", "verified", "not_verified",
)  # fmt: skip
WEBHOOK_KINDS = {"new": "new", "duplicate": "duplicates"}
WEBHOOK_OUTCOMES = ("queued", "failed", "deleted")
"""What labels are known is there from the start, at 0: a rate knows no first time."""
MOST_CODES = 100
"""Failure codes are rows, so there may be any number; from here on they are counted as `other`."""
STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
WAIT_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)
CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
FILE_BYTES = tuple(4.0**power * 1024 for power in range(10))
"""1 KiB to 256 MiB."""


def new_registry() -> CollectorRegistry:
    """With what is true of any process: memory, CPU, open files, Python, pgmedia's version."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Info("pgmedia_build", "The version of pgmedia.", registry=registry).info(
        {"version": __version__}
    )
    return registry


class PollerMetrics:
    """What a poller counts and measures; one for each poller."""

    def __init__(self) -> None:
        self.registry = registry = new_registry()
        self._codes: set[str] = set()
        self.attempts = Counter(
            "pgmedia_attempts", "Attempts by how they ended, and the failure code if there is one.",
            ["outcome", "code"], registry=registry,
        )  # fmt: skip
        self.queue_wait = Histogram(
            "pgmedia_queue_wait_seconds", "From when an attachment was due to its claim.",
            buckets=WAIT_SECONDS, registry=registry,
        )  # fmt: skip
        self.step = Histogram(
            "pgmedia_step_duration_seconds", "Time of the steps of an attempt.",
            ["step"], buckets=STEP_SECONDS, registry=registry,
        )  # fmt: skip
        self.attempt = Histogram(
            "pgmedia_attempt_duration_seconds", "From the claim of an attachment to its end.",
            ["outcome"], buckets=STEP_SECONDS, registry=registry,
        )  # fmt: skip
        self.file_size = Histogram(
            "pgmedia_file_size_bytes", "Size of the files that were stored.",
            buckets=FILE_BYTES, registry=registry,
        )  # fmt: skip
        self.downloaded = Counter(
            "pgmedia_downloaded_bytes", "Received from WhatsApp.", registry=registry
        )
        self.uploaded = Counter("pgmedia_uploaded_bytes", "Sent to storage.", registry=registry)
        self.removals = Counter(
            "pgmedia_file_removals", "Files removed from storage, or not, by outcome.",
            ["outcome"], registry=registry,
        )  # fmt: skip
        self.slots = Gauge(
            "pgmedia_slots",
            "Attachments whose bytes it may have in hand at once.",
            registry=registry,
        )
        self.slots_in_use = Gauge(
            "pgmedia_slots_in_use", "How many it has in hand now.", registry=registry
        )
        self.listening = Gauge(
            "pgmedia_listener_connected", "1 when woken by LISTEN, 0 when polling.",
            registry=registry,
        )  # fmt: skip
        self.database_errors = Counter(
            "pgmedia_database_errors", "Calls that met a database that was away.", registry=registry
        )
        self.queue = QueueGauges(registry)
        for step in STEPS:
            self.step.labels(step)
        for outcome in OUTCOMES:
            self.attempts.labels(outcome, "")
            self.attempt.labels(outcome)
        for outcome in ("removed", "failed"):
            self.removals.labels(outcome)

    def ended(self, outcome: str, code: str | None, seconds: float) -> None:
        """An attempt has ended."""
        outcome = outcome.replace(" ", "_")
        self.attempts.labels(outcome, self._bounded(code)).inc()
        self.attempt.labels(outcome).observe(seconds)

    def _bounded(self, code: str | None) -> str:
        if code is None:
            return ""
        if code not in self._codes:
            if len(self._codes) >= MOST_CODES:
                return "other"
            self._codes.add(code)
        return code


class QueueGauges:
    """The whole queue, as every poller tells it: take the largest, not the sum."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "pgmedia_database_up", "1 when the database answered for this very page.",
            registry=registry,
        )  # fmt: skip
        self._jobs = Gauge(
            "pgmedia_queue_jobs", "Attachments in the queue by status; failed up to 10000 a code.",
            ["status"], registry=registry,
        )  # fmt: skip
        self._oldest = Gauge(
            "pgmedia_queue_oldest_due_seconds", "For how long the oldest has been due.",
            registry=registry,
        )  # fmt: skip
        self._removals = Gauge(
            "pgmedia_file_removals_pending", "Files that are to be removed from storage by now.",
            registry=registry,
        )  # fmt: skip
        pauses = Gauge(
            "pgmedia_paused_sources", "Sources that are paused, by what paused them.",
            ["by"], registry=registry,
        )  # fmt: skip
        self._pauses = {by: pauses.labels(by) for by in ("fault", "operator")}

    def show(self, figures: Mapping[str, Any] | None) -> None:
        """`figures`: as get_media_queue_figures answers; None when the database did not."""
        self._up.set(figures is not None)
        if figures is None:  # no figure is better than an old one
            self._jobs.clear()
            for gauge in (self._oldest, self._removals, *self._pauses.values()):
                gauge.set(float("nan"))
            return
        for status in STATUSES:
            self._jobs.labels(status).set(figures["queue"].get(status, 0))
        self._oldest.set(figures["oldest_due_seconds"])
        self._removals.set(figures["deletions"])
        for by, gauge in self._pauses.items():
            gauge.set(figures["paused_sources"][by])


class WebhookMetrics:
    """What the webhook's door counts and measures."""

    def __init__(self) -> None:
        self.registry = registry = new_registry()
        self.requests = Counter(
            "pgmedia_webhook_requests", "Requests by how they were answered.",
            ["result"], registry=registry,
        )  # fmt: skip
        self.duration = Histogram(
            "pgmedia_webhook_duration_seconds", "From the head of a call to its answer.",
            buckets=CALL_SECONDS, registry=registry,
        )  # fmt: skip
        self.messages = Counter(
            "pgmedia_webhook_messages", "Messages in calls: new ones, and repeats.",
            ["kind"], registry=registry,
        )  # fmt: skip
        self.media = Counter(
            "pgmedia_webhook_media", "New media in calls: queued, lost by WhatsApp, or deleted"
            " earlier by somebody.", ["outcome"], registry=registry,
        )  # fmt: skip
        self.unusable = Counter(
            "pgmedia_webhook_unusable", "Parts of calls that could not be used.", registry=registry
        )
        self.database_up = Gauge(
            "pgmedia_database_up", "1 when the database answered for this very page.",
            registry=registry,
        )  # fmt: skip
        for result in WEBHOOK_RESULTS:
            self.requests.labels(result)
        for kind in WEBHOOK_KINDS:
            self.messages.labels(kind)
        for outcome in WEBHOOK_OUTCOMES:
            self.media.labels(outcome)

    def stored(self, summary: Mapping[str, Any]) -> None:
        """`summary`: as receive_whatsapp_webhook answers."""
        for kind, field in WEBHOOK_KINDS.items():
            self.messages.labels(kind).inc(summary[field])
        for outcome in WEBHOOK_OUTCOMES:
            self.media.labels(outcome).inc(summary[f"media_{outcome}"])
        self.unusable.inc(sum(summary["errors"].values()))
