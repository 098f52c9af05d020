"""What goes wrong at WhatsApp and at Storage, and how often each of it did."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from poller.sandbox.faults import Fault, Faults
from poller.sandbox.storage_errors import (
    dropped,
    internal_error,
    stalled,
    too_many_connections,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to go wrong, and the part of a route's calls that do so."""

    name: str
    part: float
    make: Callable[[], Fault]
    route: str = "*"


WHATSAPP = (
    Kind("whatsapp 500", 0.05, partial(Fault, 500, "<html>oops")),
    Kind("whatsapp disconnect mid-body", 0.02, partial(Fault.disconnect, after=100)),
    Kind("whatsapp stall", 0.01, Fault.stall),
    Kind("whatsapp stall mid-body", 0.01, partial(Fault.stall, after=100)),
    Kind("whatsapp 429", 0.01, partial(Fault, 429, {"error": {"message": "slow down"}})),
    Kind("whatsapp slow", 0.2, partial(Fault.slow, bytes_per_second=5_000), "download"),
    Kind(
        "whatsapp wrong bytes", 0.02,
        partial(Fault, body=b"\xff\xd8\xff\xe0 these are not the bytes"), "download",
    ),
)  # fmt: skip
STORAGE = (
    Kind("storage 500", 0.05, internal_error),
    Kind("storage disconnect, done", 0.01, Fault.disconnect),
    Kind("storage disconnect, not done", 0.01, dropped),
    Kind("storage stall, done", 0.01, Fault.stall),
    Kind("storage stall, not done", 0.01, stalled),
    Kind("storage 429", 0.01, too_many_connections),
)
"""Before Storage has done its part, or after it."""


class StagedFaults(Faults):
    """Faults of these kinds, by the dice; one that has not happened yet happens next."""

    def __init__(self, kinds: tuple[Kind, ...], chance: random.Random) -> None:
        super().__init__(chance)
        self.given = {kind.name: 0 for kind in kinds}
        """How many calls had to bear each kind."""
        self._kinds = kinds
        self._staged: list[tuple[Kind, Fault]] = []

    def stage(self) -> list[Fault]:
        """Have all kinds happen until `clear`; returns the stalls."""
        self._staged = [(kind, kind.make()) for kind in self._kinds]
        for kind, fault in self._staged:
            self.randomly(kind.route, fault, kind.part)
            if not self.given[kind.name]:
                self.once(kind.route, fault)
        return [fault for _, fault in self._staged if fault.interruption == "stall"]

    def take(self, route: str) -> Fault | None:
        taken = super().take(route)
        for kind, fault in self._staged:
            if fault is taken:
                self.given[kind.name] += 1
        return taken
