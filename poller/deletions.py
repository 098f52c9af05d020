"""Remove files from storage that nothing refers to any more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from prometheus_client import Counter

from poller.db import Database
from poller.http import ProviderError
from poller.records import Deletion
from poller.storage import REMOVE_AT_MOST, Storage, is_of_one_file

log = logging.getLogger(__name__)


async def remove_files(database: Database, storage: Storage, removals: Counter) -> int:
    """Remove one batch of files, in one call per bucket; returns how many were claimed.

    `removals` counts them by outcome.
    """
    claimed = await database.claim_deletions(REMOVE_AT_MOST)
    by_bucket = attrgetter("bucket_name")
    for bucket, group in groupby(sorted(claimed, key=by_bucket), key=by_bucket):
        await _remove(database, storage, removals, bucket, list(group))
    return len(claimed)


async def _remove(
    database: Database,
    storage: Storage,
    removals: Counter,
    bucket: str,
    deletions: Sequence[Deletion],
) -> None:
    """Remove files in one call; when one of them is refused, by halves, until it stands alone."""
    try:
        await storage.remove(bucket, [one.storage_path for one in deletions])
    except ProviderError as error:
        half = len(deletions) // 2
        if half and is_of_one_file(error):
            await _remove(database, storage, removals, bucket, deletions[:half])
            await _remove(database, storage, removals, bucket, deletions[half:])
            return
        code = await database.fail_deletions(deletions, error.failure)
        removals.labels("failed").inc(len(deletions))
        log.warning("%s files of %s not removed: %s", len(deletions), bucket, code)
    else:
        await database.finish_deletions(deletions)
        removals.labels("removed").inc(len(deletions))
        log.info("%s files of %s removed", len(deletions), bucket)
