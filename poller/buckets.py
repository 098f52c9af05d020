"""Bring the buckets of Supabase Storage to the policy in the database, and check that they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from storage3.exceptions import StorageApiError

from poller.config import Settings
from poller.records import BucketPolicy
from poller.supabase_client import NOT_FOUND, describe_refusal, open_storage

EXISTS = {"409", 409}
TOO_LARGE = {"413", 413}
OF_THE_KEY = {"401", "403", "429"}
"""Refusals that the next bucket would meet as well."""


class BucketError(Exception):
    """Storage refused, or a bucket is not what it was set to. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class BucketChange:
    """What was done about a bucket, or has to be: created, changed (and what) or right already.

    Or it failed, as `differences` says.
    """

    bucket_name: str
    action: Literal["created", "changed", "right", "failed"]
    differences: Sequence[str] = ()


async def sync_buckets(
    settings: Settings, policy: Sequence[BucketPolicy], *, check: bool = False
) -> AsyncGenerator[BucketChange]:
    """Create or update each bucket, then read it back and compare. With `check`, only compare.

    Where one fails, the others are still seen to. Raises SupabaseError when Storage does not
    answer, or refuses the key.
    """
    async with open_storage(settings) as storage:
        for one in policy:
            try:
                change = await _sync_bucket(storage, one, check=check)
            except BucketError as error:
                change = BucketChange(one.bucket_name, "failed", [str(error)])
            except StorageApiError as error:
                if not _is_of_one_bucket(error):
                    raise
                change = BucketChange(one.bucket_name, "failed", [describe_refusal(error)])
            yield change


def _is_of_one_bucket(error: StorageApiError) -> bool:
    """Would Storage answer for another bucket? A status that is a number was in no answer of it."""
    status = error.status
    return isinstance(status, str) and status.startswith("4") and status not in OF_THE_KEY


async def _sync_bucket(storage: Any, policy: BucketPolicy, *, check: bool) -> BucketChange:
    if not policy.mime_types:  # of which Storage would make a bucket for everything
        raise BucketError(
            "no format leads to it: add a row to media_formats, or remove that of media_buckets"
        )
    bucket = await _read(storage, policy.bucket_name)
    differences = _differences(bucket, policy)
    if bucket is None:
        change = BucketChange(policy.bucket_name, "created", ["it does not exist"])
    elif differences:
        change = BucketChange(policy.bucket_name, "changed", differences)
    else:
        return BucketChange(policy.bucket_name, "right")
    if check:
        return change
    await _write(storage, policy, create=bucket is None)
    if remaining := _differences(await _read(storage, policy.bucket_name), policy):
        raise BucketError(f"it did not take its settings: {'; '.join(remaining)}")
    return change


async def _read(storage: Any, name: str) -> dict[str, object] | None:
    try:
        bucket = await storage.get_bucket(name)
    except StorageApiError as error:
        if error.status in NOT_FOUND:
            return None
        raise
    return cast("dict[str, object]", vars(bucket))


async def _write(storage: Any, policy: BucketPolicy, *, create: bool) -> None:
    options = {
        "public": policy.is_public,
        "file_size_limit": policy.file_size_limit,
        "allowed_mime_types": policy.mime_types,
    }
    try:
        if create:
            try:
                await storage.create_bucket(policy.bucket_name, options=options)
            except StorageApiError as error:
                if error.status not in EXISTS:  # else another one was faster
                    raise
            else:
                return
        await storage.update_bucket(policy.bucket_name, options)
    except StorageApiError as error:
        if error.status in TOO_LARGE:
            raise BucketError(
                f"{policy.file_size_limit} bytes are more than the server's own limit;"
                " lower media_buckets.file_size_limit or raise the server's"
            ) from None
        raise


def _differences(bucket: dict[str, object] | None, policy: BucketPolicy) -> list[str]:
    if bucket is None:
        return ["it does not exist"]
    wanted = {
        "public": policy.is_public,
        "file_size_limit": policy.file_size_limit,
        "allowed_mime_types": sorted(policy.mime_types),
    }
    held = dict(bucket)
    held["allowed_mime_types"] = sorted(cast("list[str]", bucket.get("allowed_mime_types")) or [])
    return [
        f"{name} is {held.get(name)}, not {value}"
        for name, value in wanted.items()
        if held.get(name) != value
    ]
