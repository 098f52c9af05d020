"""Faults that the sandbox servers can be told to have.

A server asks `Faults.take` on each call of a route and hands what it gets, with the answer it
would have given, to `play`. What a fault does is in `Fault`; when it happens is in `Faults`.
"""

import asyncio
import contextlib
import json
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from aiohttp import web
from multidict import CIMultiDict

Body = bytes | str | Mapping[str, object] | Sequence[object]
"""the body of an answer: bytes and text as they are, anything else as json."""

PIECE_BYTES = 64 * 1024
PIECES_PER_SECOND = 20
"""how finely a slow body is cut."""


@dataclass(frozen=True, slots=True)
class Answer:
    """an answer of a server: a status, headers and `length` bytes of body, in pieces."""

    status: int
    headers: Mapping[str, str]
    length: int
    pieces: Iterable[bytes]

    @classmethod
    def of(
        cls, body: Body = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> "Answer":
        """an answer whose body is at hand; `headers` go before the content type of `body`."""
        data, content_type = _encode(body)
        return cls(status, _merge({"Content-Type": content_type}, headers or {}), len(data), [data])


@dataclass(frozen=True, slots=True)
class Fault:
    """one answer that differs from the real one.

    `status`, `body` and `headers` replace the real ones; what is left out stays as it is, except
    that a new status without a body has an empty one. The interruption comes before the status
    line, or after `after` bytes of the body, but before its last one in any case.
    `bytes_per_second` slows the body down, and `chunked` sends it without a Content-Length.
    `Fault()` changes nothing, which lets a script say "the second call fails".
    """

    status: int | None = None
    body: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    interruption: Literal["disconnect", "stall"] | None = None
    after: int | None = None
    bytes_per_second: int | None = None
    chunked: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)
    """set once the interruption has happened to a request."""
    released: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)
    """set it to let stalled requests go on, now and later."""

    @classmethod
    def disconnect(cls, after: int | None = None) -> "Fault":
        """close the connection without an answer, or after `after` bytes of the body."""
        return cls(interruption="disconnect", after=after)

    @classmethod
    def stall(cls, after: int | None = None) -> "Fault":
        """say nothing, or nothing more after the headers and `after` bytes of the body.

        The rest follows when `released` is set; until then the client may leave.
        """
        return cls(interruption="stall", after=after)

    @classmethod
    def slow(cls, bytes_per_second: int) -> "Fault":
        """send the real body at this speed."""
        return cls(bytes_per_second=bytes_per_second)

    def change(self, answer: Answer) -> Answer:
        """the answer with the status, the body and the headers of this fault."""
        changed = answer
        if self.status is not None:
            changed = Answer.of(b"" if self.body is None else self.body, self.status)
        elif self.body is not None:
            data, _ = _encode(self.body)
            changed = replace(answer, length=len(data), pieces=[data])
        return replace(changed, headers=_merge(changed.headers, self.headers))


class Faults:
    """the faults waiting to happen, by route; the route "*" stands for all of them.

    A scripted fault goes before a random one, and that before a standing one; the faults of a
    route go before those of "*". The random ones repeat with the state of `chance`.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random(0)  # noqa: S311 - it decides on staged faults only
        self._scripted: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._random: defaultdict[str, list[tuple[Fault, float]]] = defaultdict(list)
        self._standing: dict[str, Fault] = {}

    def once(self, route: str, fault: Fault, times: int = 1) -> None:
        """let `fault` happen on the next `times` calls, after those scripted already."""
        self._scripted[route].extend([fault] * times)

    def always(self, route: str, fault: Fault) -> None:
        """let `fault` happen on each call until `clear`, in place of an earlier standing one."""
        self._standing[route] = fault

    def randomly(self, route: str, fault: Fault, probability: float) -> None:
        """let `fault` happen on a part of the calls, 0 for none and 1 for all, until `clear`."""
        self._random[route].append((fault, probability))

    def clear(self) -> None:
        """forget all faults; requests that are stalled stay so until they are released."""
        self._scripted.clear()
        self._random.clear()
        self._standing.clear()

    def take(self, route: str) -> Fault | None:
        """the fault of this call of `route`, or None if the real answer is due."""
        names = (route, "*")
        for name in names:
            if self._scripted[name]:
                return self._scripted[name].popleft()
        for name in names:
            for fault, probability in self._random[name]:
                if self._chance.random() < probability:
                    return fault
        return self._standing.get(route, self._standing.get("*"))


async def play(
    request: web.Request, answer: Answer, fault: Fault | None = None
) -> web.StreamResponse:
    """answer `request` with `answer`, or with what `fault` makes of it.

    Return what comes back from the handler, whatever happened to the connection.
    """
    fault = fault or Fault()
    answer = fault.change(answer)
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    if not fault.chunked:
        response.content_length = answer.length
    with contextlib.suppress(ConnectionError):  # the client left, or was left
        await _send(request, response, answer, fault)
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, answer: Answer, fault: Fault
) -> None:
    if fault.after is None:
        await _interrupt(request, fault)
    await response.prepare(request)

    after = None if fault.after is None else min(fault.after, max(0, answer.length - 1))
    rate = fault.bytes_per_second
    size = PIECE_BYTES if rate is None else max(1, rate // PIECES_PER_SECOND)
    sent = 0
    for piece in _cut(answer.pieces, size, after or 0):
        if sent == after:
            await _interrupt(request, fault)
        if rate is not None:
            await asyncio.sleep(len(piece) / rate)
        await response.write(piece)
        sent += len(piece)
    if sent == after:  # the body is empty
        await _interrupt(request, fault)


async def _interrupt(request: web.Request, fault: Fault) -> None:
    if fault.interruption == "disconnect":
        if request.transport is not None:
            request.transport.close()  # after what is written already
        fault.reached.set()
        raise ConnectionResetError("a staged disconnect")
    if fault.interruption == "stall":
        fault.reached.set()
        await fault.released.wait()


def _cut(pieces: Iterable[bytes], size: int, at: int) -> Iterator[memoryview]:
    """the pieces, none larger than `size` bytes and one of them ending at byte `at`."""
    done = 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            step = min(size, at - done) if done < at else size
            yield rest[:step]
            done += len(rest[:step])
            rest = rest[step:]


def _merge(headers: Mapping[str, str], others: Mapping[str, str]) -> Mapping[str, str]:
    merged = CIMultiDict(headers)
    merged.update(others)
    return merged


def _encode(body: Body) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/html; charset=utf-8"
    return json.dumps(body).encode(), "application/json; charset=utf-8"
