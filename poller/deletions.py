"""Remove files from storage that nothing refers to any more."""

from __future__ import annotations

import logging
from itertools import groupby
from operator import attrgetter

from poller.db import Database
from poller.http import ProviderError
from poller.storage import REMOVE_AT_MOST, Storage

log = logging.getLogger(__name__)


async def remove_files(database: Database, storage: Storage) -> int:
    """Remove one batch of files, in one call per bucket; returns how many were claimed."""
    claimed = await database.claim_deletions(REMOVE_AT_MOST)
    by_bucket = attrgetter("bucket_name")
    for bucket, group in groupby(sorted(claimed, key=by_bucket), key=by_bucket):
        deletions = list(group)
        try:
            await storage.remove(bucket, [one.storage_path for one in deletions])
        except ProviderError as error:
            code = await database.fail_deletions(deletions, error.failure)
            log.warning("%s files of %s not removed: %s", len(deletions), bucket, code)
        else:
            await database.finish_deletions(deletions)
            log.info("%s files of %s removed", len(deletions), bucket)
    return len(claimed)
