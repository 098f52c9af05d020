"""Group commit: calls of one kind that wait at the same moment go to the database as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import asyncpg

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST_TOGETHER = 32
PATIENCE_SECONDS = 1.0
"""How long a group may take, be it that one of it waits for somebody's lock."""


class GroupedCalls(Generic[Item, Answer]):
    """A call that is made at once while none of its kind is under way, else with the next group.

    One transaction, one round trip and one flush of the log serve a whole group, and nothing waits
    for others to come. When a group fails or is slow, it has changed nothing, and each of it is
    called alone: so nobody gets another's error, and nobody waits for another's lock for long.
    """

    def __init__(
        self,
        one: Callable[[Item], Awaitable[Answer]],
        together: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        order: Callable[[Item], str],
    ) -> None:
        """`together` answers in the order of its items, which come sorted by `order`.

        Groups that lock rows of the same things so lock them in the same order.
        """
        self._one = one
        self._together = together
        self._order = order
        self._waiting: list[_Call[Item, Answer]] = []
        self._sender: asyncio.Task[None] | None = None
        self._alone: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> Answer:
        """Whoever is cancelled no longer hears the answer; a call under way goes on."""
        call = _Call(item, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await call.answer

    async def _send(self) -> None:
        try:
            await self._send_all()
        finally:
            self._sender = None  # at once: the next call may be the next thing that happens

    async def _send_all(self) -> None:
        while waiting := [call for call in self._waiting if not call.answer.done()]:
            group, self._waiting = waiting[:MOST_TOGETHER], waiting[MOST_TOGETHER:]
            if len(group) == 1 or not await self._call_together(group):
                alone = [asyncio.create_task(self._call_alone(call)) for call in group]
                self._alone.update(alone)
                for task in alone:
                    task.add_done_callback(self._alone.discard)
                await asyncio.wait(
                    alone, timeout=PATIENCE_SECONDS
                )  # the next need not wait for a lock

    async def _call_together(self, group: list[_Call[Item, Answer]]) -> bool:
        """False when nothing came of it but that it is to be tried one by one."""
        group.sort(key=lambda call: self._order(call.item))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answers = list(await self._together([call.item for call in group]))
        except (asyncpg.PostgresError, TimeoutError):
            return False
        except BaseException as error:
            for call in group:
                call.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            if len(answers) != len(group):
                return False
            for call, answer in zip(group, answers, strict=True):
                if not call.answer.done():
                    call.answer.set_result(answer)
        return True

    async def _call_alone(self, call: _Call[Item, Answer]) -> None:
        try:
            answer = await self._one(call.item)
        except BaseException as error:
            call.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            if not call.answer.done():
                call.answer.set_result(answer)


@dataclass(frozen=True, slots=True)
class _Call(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]

    def fail(self, error: BaseException) -> None:
        if self.answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(error)
