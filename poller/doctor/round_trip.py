"""What a file goes through in a bucket, tried out with a tiny one."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiohttp
from pydantic import SecretStr

from poller.config import Settings
from poller.doctor.asking import Answer, ask
from poller.http import NETWORK_ERRORS, ProviderError, json_object
from poller.records import BucketPolicy
from poller.storage import Storage
from poller.supabase_client import SupabaseError, open_storage
from poller.text import describe_error, plain

log = logging.getLogger(__name__)

FOLDER = "doctor"
"""Outside of the year folders, so that nothing takes the file for one of an attachment."""
OWN_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LEFT_BEHIND = timedelta(hours=1)
"""A trial file older than this is of a run that was killed."""
SIGNED_SECONDS = 60
REFUSALS = {"400", "403", "404"}
"""How Storage itself keeps a file from somebody; anything else proves nothing."""


class _StepError(Exception):
    """A step did not go as it should."""


async def round_trip(
    session: aiohttp.ClientSession, settings: Settings, policy: BucketPolicy, anon: SecretStr | None
) -> list[str]:
    """Store a file, read it in every way, remove it; what went wrong.

    It is removed also when a step failed or the task is cancelled. `anon`: the key to try to read
    and write it with, which must not work.
    """
    trial = _Trial(session, settings, policy, anon)
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


async def sweep(session: aiohttp.ClientSession, settings: Settings, bucket: str) -> int:
    """Remove the trial files that killed runs left in a bucket; how many. Raises SupabaseError."""
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    before = datetime.now(UTC) - LEFT_BEHIND
    async with open_storage(settings) as storage:
        names = [
            f"{FOLDER}/{one['name']}"
            for one in await storage.from_(bucket).list(FOLDER, {"limit": 1000})
            if OWN_NAME.fullmatch(one["name"])
            and one.get("created_at")
            and datetime.fromisoformat(one["created_at"]) < before
        ]
        if names:
            await _direct(session, settings).remove(bucket, names)
    return len(names)


def _direct(session: aiohttp.ClientSession, settings: Settings) -> Storage:
    assert settings.supabase_url and settings.supabase_service_key  # noqa: S101, PT018
    return Storage(
        session,
        settings.supabase_url,
        settings.supabase_service_key,
        settings.pgmedia_timeout_seconds,
    )


class _Trial:
    """One file in one bucket."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: Settings,
        policy: BucketPolicy,
        anon: SecretStr | None,
    ) -> None:
        self._session = session
        self._settings = settings
        self._policy = policy
        self._anon = anon
        self._path = f"{FOLDER}/{uuid4()}"
        self._paths = [self._path]
        self._content = f"pgmedia doctor was here: {self._path}".encode()
        self._storage = _direct(session, settings)
        self._url = f"{settings.supabase_url}/storage/v1/object"
        self._place = f"{policy.bucket_name}/{self._path}"
        self._key = settings.supabase_service_key

    async def store_and_read(self) -> None:
        """Raises _StepError at the first step that fails."""
        await self._upload()
        await self._expect(f"{self._url}/{self._place}", "download", self._key)
        await self._expect(await self._sign(), "signed URL")
        public_url = f"{self._url}/public/{self._place}"
        if self._policy.is_public:
            await self._expect(public_url, "public URL")
        else:
            await self._expect_refusal(public_url, "without a key")
            await self._expect_refusal(f"{self._url}/{self._place}", "without a key")
        if self._anon is not None:
            await self._try_as_anon(self._anon)

    async def remove(self) -> str | None:
        """Remove the file and see that it is gone; else what is to be done about it."""
        try:
            await self._storage.remove(self._policy.bucket_name, self._paths)
            answer = await self._ask(
                "GET", f"{self._url}/info/{self._place}", "look for the removed file", self._key
            )
            if json_object(answer.body).get("statusCode") == "404":
                return None
            what = f"it still answers HTTP {answer.status}"
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
                return signed["signedURL"] or ""
        except SupabaseError as error:
            raise _StepError(f"sign a URL: {error}") from None

    async def _try_as_anon(self, key: SecretStr) -> None:
        whose = "with the anon key"
        if not self._policy.is_public:
            await self._expect_refusal(f"{self._url}/authenticated/{self._place}", whose, key)
        path = f"{FOLDER}/{uuid4()}"
        self._paths.append(path)  # removed, whatever is answered
        url = f"{self._url}/{self._policy.bucket_name}/{path}"
        step = f"upload {whose}"
        answer = await self._ask("POST", url, step, key, self._policy.mime_types[0])
        if answer.is_success:
            raise _StepError(f"{step}: the file was stored; see the policies of storage.objects")
        self._check_refusal(answer, step)

    async def _expect(self, url: str, step: str, key: SecretStr | None = None) -> None:
        """The URL must give the file."""
        answer = await self._ask("GET", url, step, key)
        if answer.is_success and answer.body == self._content:
            return
        if answer.is_success:
            raise _StepError(f"{step}: other bytes came than were stored")
        said = answer.refusal.get("message") or f"HTTP {answer.status}"
        raise _StepError(f"{step}: {plain(said)}")

    async def _expect_refusal(self, url: str, whose: str, key: SecretStr | None = None) -> None:
        """The URL must give the file to nobody without the service key."""
        answer = await self._ask("GET", url, f"read {whose}", key)
        if answer.is_success:
            raise _StepError(f"read {whose}: the file was handed out, though the bucket is private")
        self._check_refusal(answer, f"read {whose}")

    def _check_refusal(self, answer: Answer, step: str) -> None:
        if answer.refusal.get("statusCode") not in REFUSALS:
            raise _StepError(f"{step}: HTTP {answer.status} is no refusal of Storage's")

    async def _ask(
        self,
        method: str,
        url: str,
        step: str,
        key: SecretStr | None,
        content_type: str | None = None,
    ) -> Answer:
        content = None if content_type is None else self._content
        try:
            return await ask(
                self._session, method, url, self._settings.pgmedia_timeout_seconds, key=key,
                content=content, content_type=content_type,
            )  # fmt: skip
        except NETWORK_ERRORS as error:
            raise _StepError(f"{step}: {describe_error(error)}") from None
