"""Remove files from storage that nothing refers to any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from prometheus_client import Counter

from poller.db import Database
from poller.http import ProviderError
from poller.records import Deletion
from poller.storage import REMOVE_AT_MOST, Storage, is_of_one_file
from poller.text import counted

log = logging.getLogger(__name__)


class Remover:
    """Removes a batch of files at a time, in one call per bucket, until it is told to stop.

    `removals` counts them by outcome.
    """

    def __init__(self, database: Database, storage: Storage, removals: Counter) -> None:
        self._database = database
        self._storage = storage
        self._removals = removals
        self._stopping = False
        self._batch: asyncio.Task[int] | None = None
        self._held: dict[UUID, Deletion] = {}
        self._begun: set[UUID] = set()

    @property
    def at_work(self) -> list[asyncio.Task[int]]:
        """The batch under way, if there is one."""
        return [] if self._batch is None or self._batch.done() else [self._batch]

    def stop(self) -> None:
        """Begin no other call; the batch ends with the one under way."""
        self._stopping = True

    def stop_now(self) -> None:
        self.stop()
        for batch in self.at_work:
            batch.cancel()

    async def remove(self) -> int:
        """Remove one batch; returns how many were claimed, 0 when it is to stop."""
        if self._stopping:
            return 0
        self._batch = asyncio.create_task(self._remove_batch())
        await asyncio.wait([self._batch])
        return 0 if self._batch.cancelled() else self._batch.result()

    async def give_back(self) -> None:
        """What was claimed and not reported is due for others at once."""
        if self._held:
            log.info("giving back %s to remove", counted(len(self._held), "file"))
            held = list(self._held.values())
            await self._database.release_deletions(held, [one.id in self._begun for one in held])
            self._held = {}

    async def _remove_batch(self) -> int:
        claimed = await self._database.claim_deletions(REMOVE_AT_MOST)
        self._held, self._begun = {one.id: one for one in claimed}, set()
        by_bucket = attrgetter("bucket_name")
        for bucket, group in groupby(sorted(claimed, key=by_bucket), key=by_bucket):
            await self._remove(bucket, list(group))
        return len(claimed)

    async def _remove(self, bucket: str, deletions: Sequence[Deletion]) -> None:
        """Remove files in one call; when one is refused, by halves, until it stands alone."""
        if self._stopping:
            return
        self._begun.update(one.id for one in deletions)
        try:
            await self._storage.remove(bucket, [one.storage_path for one in deletions])
        except ProviderError as error:
            half = len(deletions) // 2
            if half and is_of_one_file(error):
                await self._remove(bucket, deletions[:half])
                await self._remove(bucket, deletions[half:])
                return
            code = await self._database.fail_deletions(deletions, error.failure)
            self._removals.labels("failed").inc(len(deletions))
            log.warning("%s of %s not removed: %s", counted(len(deletions), "file"), bucket, code)
        else:
            await self._database.finish_deletions(deletions)
            self._removals.labels("removed").inc(len(deletions))
            log.info("%s of %s removed", counted(len(deletions), "file"), bucket)
        for one in deletions:
            del self._held[one.id]
