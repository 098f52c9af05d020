"""What a file goes through in a bucket, tried out with a tiny one."""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

import httpx

from poller.config import Settings
from poller.http import NETWORK_ERRORS, ProviderError, describe_error, json_object, plain
from poller.records import BucketPolicy
from poller.storage import Storage
from poller.supabase_client import SupabaseError, open_storage

log = logging.getLogger(__name__)

FOLDER = "doctor"
"""Outside of the year folders, so that nothing takes the file for one of an attachment."""
SIGNED_SECONDS = 60


class _StepError(Exception):
    """A step did not go as it should."""


async def round_trip(
    client: httpx.AsyncClient, settings: Settings, policy: BucketPolicy
) -> list[str]:
    """Store a file, read it in every way, remove it; what went wrong.

    It is removed also when a step failed or the task is cancelled.
    """
    trial = _Trial(client, settings, policy)
    problems: list[str] = []
    try:
        try:
            await trial.store_and_read()
        except _StepError as error:
            problems.append(str(error))
        left = await trial.remove()
    except asyncio.CancelledError:
        if left := await trial.remove():
            log.warning("%s", left)
        raise
    return problems + ([left] if left else [])


class _Trial:
    """One file in one bucket."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings, policy: BucketPolicy) -> None:
        assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
        self._client = client
        self._settings = settings
        self._policy = policy
        self._path = f"{FOLDER}/{uuid4()}"
        self._content = f"pgmedia doctor was here: {self._path}".encode()
        self._storage = Storage(
            client,
            settings.supabase_url,
            settings.supabase_service_key,
            settings.pgmedia_timeout_seconds,
        )
        self._url = f"{settings.supabase_url}/storage/v1/object"
        self._place = f"{policy.bucket_name}/{self._path}"
        key = settings.supabase_service_key.get_secret_value()
        self._key = {"Authorization": f"Bearer {key}", "apikey": key}

    async def store_and_read(self) -> None:
        """Raises _StepError at the first step that fails."""
        await self._upload()
        await self._expect(f"{self._url}/{self._place}", "download", self._key)
        await self._expect(await self._sign(), "signed URL")
        public_url = f"{self._url}/public/{self._place}"
        if self._policy.is_public:
            await self._expect(public_url, "public URL")
        else:
            await self._expect_refusal(public_url)
            await self._expect_refusal(f"{self._url}/{self._place}")

    async def remove(self) -> str | None:
        """Remove the file and see that it is gone; else what is to be done about it."""
        try:
            await self._storage.remove(self._policy.bucket_name, [self._path])
            answer = await self._get(
                f"{self._url}/info/{self._place}", "look for the removed file", self._key
            )
            if json_object(answer.content).get("statusCode") == "404":
                return None
            what = f"it still answers HTTP {answer.status_code}"
        except (ProviderError, _StepError) as error:
            what = str(error)
        return f"remove: {what}; remove the file {self._place} by hand"

    async def _upload(self) -> None:
        try:
            await self._storage.upload(
                self._policy.bucket_name,
                self._path,
                self._content,
                size=len(self._content),
                content_type=self._policy.mime_types[0],
                cache_control="no-store",
            )
        except ProviderError as error:
            raise _StepError(f"upload: {error}") from None

    async def _sign(self) -> str:
        try:
            async with open_storage(self._settings) as storage:
                bucket = storage.from_(self._policy.bucket_name)
                signed = await bucket.create_signed_url(self._path, SIGNED_SECONDS)
        except SupabaseError as error:
            raise _StepError(f"sign a URL: {error}") from None
        return signed["signedURL"] or ""

    async def _expect(self, url: str, step: str, headers: dict[str, str] | None = None) -> None:
        """The URL must give the file."""
        answer = await self._get(url, step, headers)
        if answer.is_success and answer.content == self._content:
            return
        said = json_object(answer.content).get("message")
        if answer.is_success:
            raise _StepError(f"{step}: other bytes came than were stored")
        raise _StepError(f"{step}: {plain(said or f'HTTP {answer.status_code}')}")

    async def _expect_refusal(self, url: str) -> None:
        """The URL must give the file to nobody without a key."""
        answer = await self._get(url, "read without a key", None)
        if answer.is_success:
            raise _StepError(
                "read without a key: the file was handed out, though the bucket is private"
            )

    async def _get(self, url: str, step: str, headers: dict[str, str] | None) -> httpx.Response:
        try:
            async with asyncio.timeout(self._settings.pgmedia_timeout_seconds):
                return await self._client.get(url, headers=headers)
        except (*NETWORK_ERRORS, httpx.InvalidURL) as error:
            raise _StepError(f"{step}: {describe_error(error)}") from None
