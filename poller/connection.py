"""A connection of the webhook's door, which has so long to say what it wants.

uvicorn waits for a request for ever, and once it has as many connections as it may, it answers 503
to whoever comes next: clients that say nothing, or a byte now and then, would keep Meta out. Here
a request must come in within a time, and where there are too many connections, the one that has
kept us waiting longest goes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any, ClassVar, Self, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 60


class GuardedConnection(H11Protocol):
    """An HTTP/1.1 connection of uvicorn that is closed when it keeps us waiting."""

    request_seconds: ClassVar[float]
    """How long a request may take to come in, to its last byte."""
    most_connections: ClassVar[int]
    _cut_off: ClassVar[int] = 0
    _quiet_until: ClassVar[float] = 0

    @classmethod
    def with_limits(cls, request_seconds: float, most_connections: int) -> type[Self]:
        """A class with these limits: uvicorn makes the connections itself, with arguments of its
        own.
        """
        limits = {"request_seconds": request_seconds, "most_connections": most_connections}
        return cast("type[Self]", type(cls.__name__, (cls,), limits))

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._start_clock()
        if len(self.connections) > self.most_connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look_at_the_clock()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look_at_the_clock()  # the next request may be here already, in part

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def _look_at_the_clock(self) -> None:
        """It runs from a request's first byte (a new connection's: at once) to its last."""
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._stop_clock()
        elif self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]:
            self._start_clock()

    def _start_clock(self) -> None:
        if self._deadline is None:
            # no farewell: it would wait for a client that does not read
            self._deadline = self.loop.call_later(self.request_seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _waiting_since(self) -> float:
        """Since when it has been the client's turn; infinity while it is ours."""
        if self._deadline is not None:
            return self._deadline.when() - self.request_seconds
        if self.timeout_keep_alive_task is not None:
            return self.timeout_keep_alive_task.when() - self.timeout_keep_alive
        return math.inf

    def _make_room(self) -> None:
        """Close the connection that has kept us waiting longest, if there are too many."""
        connections = cast("set[GuardedConnection]", self.connections)
        alive = [one for one in connections if not one.transport.is_closing()]
        longest = min(alive, key=GuardedConnection._waiting_since)
        if len(alive) > self.most_connections and longest is not self:
            longest.transport.abort()
            self._count_cut_off()

    @classmethod
    def _count_cut_off(cls) -> None:
        """Say so, once in a while: a flood must not flood the log as well."""
        cls._cut_off += 1
        if time.monotonic() >= cls._quiet_until:
            log.warning(
                "webhook: over %s connections at once: cut off %s that kept the door waiting"
                " longest; look for clients that connect and say nothing",
                cls.most_connections, cls._cut_off,
            )  # fmt: skip
            cls._cut_off, cls._quiet_until = 0, time.monotonic() + SECONDS_BETWEEN_LINES
