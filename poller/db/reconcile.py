"""The calls of `pgmedia reconcile`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from poller.db.pool import Pool
from poller.records import Difference, Fix, ReconcileRun, StoredFile


class Reconcile(Pool):
    """One run after another; each step is bounded."""

    async def begin_reconcile(self, project_url: str, bucket_name: str | None) -> ReconcileRun:
        (row,) = await self._rows(
            "select * from public.begin_media_reconcile($1, $2)", project_url, bucket_name
        )
        return ReconcileRun(**row)

    async def copy_listing(
        self, run: ReconcileRun, bucket_name: str, after: str, limit: int
    ) -> tuple[int, str | None]:
        """List files by the storage server's own tables: how many, and the last path, if any."""
        (row,) = await self._rows(
            "select files, last_path from public.copy_media_listing($1, $2, $3, $4)",
            run.run_id, bucket_name, after, limit,
        )  # fmt: skip
        return row["files"], row["last_path"]

    async def add_listing(self, run: ReconcileRun, files: Sequence[StoredFile]) -> int:
        """Returns how many of the files count, being in folders of pgmedia."""
        return await self._value(
            "select public.add_media_listing($1, $2)", run.run_id, _json(files)
        )

    async def compare_storage(
        self, run: ReconcileRun, bucket_name: str, after: str, limit: int
    ) -> tuple[str | None, int]:
        """Compare the next paths after this one.

        Returns the last of them, None at the end, and how many files are none of pgmedia's.
        """
        (row,) = await self._rows(
            "select last_path, foreign_files from public.compare_media_storage($1, $2, $3, $4)",
            run.run_id, bucket_name, after, limit,
        )  # fmt: skip
        return row["last_path"], row["foreign_files"]

    async def list_differences(
        self, run: ReconcileRun, status: Literal["found", "confirmed"], limit: int
    ) -> list[tuple[str, str]]:
        """Bucket and path of the next differences to confirm, or to fix."""
        rows = await self._rows(
            "select bucket_name, storage_path from public.list_media_differences($1, $2, $3)",
            run.run_id, status, limit,
        )  # fmt: skip
        return [(row["bucket_name"], row["storage_path"]) for row in rows]

    async def confirm_differences(
        self, run: ReconcileRun, files: Sequence[StoredFile]
    ) -> list[Difference]:
        """Those at these paths that are left, now that storage was asked."""
        rows = await self._rows(
            "select * from public.confirm_media_differences($1, $2)", run.run_id, _json(files)
        )
        return [Difference(**row) for row in rows]

    async def fix_differences(self, run: ReconcileRun, files: Sequence[StoredFile]) -> list[Fix]:
        rows = await self._rows(
            "select * from public.fix_media_differences($1, $2)", run.run_id, _json(files)
        )
        return [Fix(**row) for row in rows]

    async def end_reconcile(self, run: ReconcileRun) -> None:
        await self._value("select public.end_media_reconcile($1)", run.run_id)


def _json(files: Sequence[StoredFile]) -> str:
    return json.dumps([asdict(one) for one in files], default=str)
