"""Compare storage with the rows, and put right what differs. The decisions are SQL.

A run lists the files into the database, compares there, asks storage for each file that seems to
differ, and only then believes it. Memory stays the same however many files there are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from storage3 import AsyncStorageClient
from storage3.exceptions import StorageApiError
from storage3.types import SearchV2Options

from poller.config import Settings
from poller.db import DATABASE_AWAY, Database
from poller.figures import Pace
from poller.http import NO_CONNECTION, ProviderError, open_session
from poller.records import Difference, Fix, ReconcileRun, StoredFile
from poller.storage import Storage, is_of_one_file
from poller.supabase_client import NOT_FOUND, SupabaseError, open_storage

Result = TypeVar("Result")

FILES_A_PAGE = 1000
"""The most that storage lists in one answer."""
PATHS_AT_ONCE = 20_000
"""What one call makes the database copy or compare: a second or two of work."""
ASKED_AT_ONCE = 32
"""Files that storage is asked for at the same time."""
RETRY_SECONDS = (0.5, 1.0, 2.0)
"""Waits before a request to storage is repeated."""
PASSES_BY_ITSELF = {"429", "500", "502", "503", "504", "544"}


@asynccontextmanager
async def reconciling(
    settings: Settings, database: Database, bucket_name: str | None, progress: Callable[[str], None]
) -> AsyncGenerator[Reconciliation]:
    """A run over one bucket or, with None, all of them; what it found is forgotten at the end.

    `progress` is told how far it is. What storage does not do in the block is a SupabaseError.
    """
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    host = urlsplit(settings.supabase_url).hostname or ""
    run = await database.begin_reconcile(settings.supabase_url, bucket_name)
    try:
        async with (
            open_session({host}, settings.pgmedia_timeout_seconds, ASKED_AT_ONCE) as session,
            open_storage(settings) as storage,
        ):
            files = Storage(
                session,
                settings.supabase_url,
                settings.supabase_service_key,
                settings.pgmedia_timeout_seconds,
            )
            yield Reconciliation(database, storage, files, run, progress)
    finally:
        with contextlib.suppress(*DATABASE_AWAY):  # the next run then forgets this one
            await database.end_reconcile(run)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The steps of a run, in their order."""

    database: Database
    storage: AsyncStorageClient
    files: Storage
    run: ReconcileRun
    progress: Callable[[str], None]

    async def list_files(self, expected: int | None = None) -> int:
        """List what is in storage; returns how many files are in folders of pgmedia.

        `expected`: about how many there are, for who wants to know how long it takes.
        """
        files, pace = 0, Pace()
        for bucket in self.run.bucket_names:
            await self._check_bucket(bucket)
            pages = self._copy_pages(bucket) if self.run.from_tables else self._list_pages(bucket)
            async for added in pages:
                files += added
                self.progress(pace.words(files, expected, "files listed"))
        return files

    async def compare(self) -> int:
        """Find what differs; returns how many files are none of pgmedia's and left alone."""
        foreign = 0
        for bucket in self.run.bucket_names:
            after: str | None = ""
            while after is not None:
                self.progress(f"comparing {bucket} {after}")
                after, number = await self.database.compare_storage(
                    self.run, bucket, after, PATHS_AT_ONCE
                )
                foreign += number
        return foreign

    async def confirmed(self) -> AsyncGenerator[Difference | StoredFile]:
        """The differences, each after its file was asked for; or the file, if that cannot be."""
        while paths := await self.database.list_differences(self.run, "found", ASKED_AT_ONCE):
            files = await self._ask(paths)
            for one in await self.database.confirm_differences(self.run, files):
                yield one
            for one in files:
                if one.is_there is None:
                    yield one

    async def fix(self) -> AsyncGenerator[Fix]:
        """Fix what was confirmed, and still is when asked again."""
        while paths := await self.database.list_differences(self.run, "confirmed", ASKED_AT_ONCE):
            for one in await self.database.fix_differences(self.run, await self._ask(paths)):
                yield one

    async def _check_bucket(self, bucket: str) -> None:
        """Storage lists a missing bucket as an empty one: all its files would seem to be lost."""
        try:
            await patiently(lambda: self.storage.get_bucket(bucket))
        except StorageApiError as error:
            if error.status in NOT_FOUND:
                raise SupabaseError(
                    f"bucket {bucket} does not exist: run pgmedia buckets"
                ) from None
            raise

    async def _copy_pages(self, bucket: str) -> AsyncGenerator[int]:
        after: str | None = ""
        while after is not None:
            files, after = await self.database.copy_listing(self.run, bucket, after, PATHS_AT_ONCE)
            yield files

    async def _list_pages(self, bucket: str) -> AsyncGenerator[int]:
        """All files in the order of their names, each page from where the last one ended.

        So no file is missed because others come and go meanwhile, and the last page costs what
        the first one did.
        """
        options: SearchV2Options = {"limit": FILES_A_PAGE}
        while True:
            page = await patiently(lambda: self.storage.from_(bucket).list_v2(options))  # noqa: B023
            files = [
                StoredFile.read(
                    bucket, one.name, (one.metadata or {}).get("size"),
                    (one.metadata or {}).get("mimetype"), one.created_at, one.updated_at,
                )
                for one in page.objects
            ]  # fmt: skip
            yield await self.database.add_listing(self.run, files)
            if not page.hasNext:
                return
            if page.nextCursor is None or page.nextCursor == options.get("cursor"):
                raise ValueError(page.nextCursor)  # no page would be the last one
            options = {"limit": FILES_A_PAGE, "cursor": page.nextCursor}

    async def _ask(self, paths: Sequence[tuple[str, str]]) -> list[StoredFile]:
        return await asyncio.gather(*(self._ask_for_one(bucket, path) for bucket, path in paths))

    async def _ask_for_one(self, bucket: str, path: str) -> StoredFile:
        try:
            return await patiently(lambda: self.files.info(bucket, path))
        except ProviderError as error:
            if not is_of_one_file(error):
                raise
            return StoredFile(bucket, path, is_there=None, problem=error.failure.text)


async def patiently(request: Callable[[], Awaitable[Result]]) -> Result:
    """Make a request to storage, again after a while when it failed in a way that passes."""
    for wait in RETRY_SECONDS:
        try:
            return await request()
        except StorageApiError as error:
            if str(error.status) not in PASSES_BY_ITSELF:
                raise
        except ProviderError as error:
            failure = error.failure
            if failure.provider_code not in NO_CONNECTION and (
                str(failure.http_status) not in PASSES_BY_ITSELF
            ):
                raise
        except httpx.TransportError:
            pass
        await asyncio.sleep(wait)
    return await request()
