"""One attempt at an attachment: what it is at, for the audit trail, the metrics and `status`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from poller.metrics import PollerMetrics, Step
from poller.records import Job

GIVEN_BACK = "given back"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: the verdict, and the failure code if there is one."""

    verdict: str
    code: str | None = None

    def __str__(self) -> str:
        return self.verdict if self.code is None else f"{self.verdict}, {self.code}"


@dataclass(slots=True)
class Attempt:
    """Times by step in milliseconds, and how many bytes of how many are done in this step."""

    job: Job
    metrics: PollerMetrics
    stored: Callable[[], None]
    """Called when its bytes are stored and let go."""
    step: Step = "describe"
    bytes_done: int = 0
    bytes_total: int | None = None
    is_granted: bool = False
    """The file is coming: WhatsApp has refused nothing."""
    timings: dict[str, int] = field(default_factory=dict[str, int])
    began: float = field(default_factory=time.monotonic)
    _since: float = field(default_factory=time.monotonic)

    def ends_step(self, following: Step | None, bytes_total: int | None = None) -> None:
        """A step is done and the next one begins, in which there are so many bytes to do."""
        now = time.monotonic()
        self.timings[f"{self.step}_ms"] = round((now - self._since) * 1000)
        self.metrics.step.labels(self.step).observe(now - self._since)
        self._since = now
        if following is not None:
            self.step, self.bytes_done, self.bytes_total = following, 0, bytes_total

    def uploads(self, size: int) -> None:
        """So many more bytes are handed to storage."""
        self.bytes_done += size

    def progress(self) -> dict[str, Any]:
        """As heartbeat_media_poller takes it."""
        return {
            "id": str(self.job.id),
            "step": self.step,
            "bytes_done": self.bytes_done,
            "bytes_total": self.bytes_total,
            "seconds": round(time.monotonic() - self.began, 1),
        }
