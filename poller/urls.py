"""The URL of a stored file: the database says how it is served, Storage signs what is private."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

import asyncpg
from storage3.exceptions import StorageApiError
from storage3.types import URLOptions

from poller.config import Settings
from poller.db import Database
from poller.errors import OperatorError
from poller.records import UrlPolicy
from poller.supabase_client import NOT_FOUND, open_storage

UNKNOWN, NOT_STORED, BAD_EXPIRY = "MD016", "MD019", "MD020"


class UrlError(OperatorError):
    """There is no URL to be had."""


class ExpiryError(UrlError):
    """A signed URL may not expire in that time."""


@dataclass(frozen=True, slots=True)
class MediaUrl:
    """A URL that gives the file to whoever has it, for `expires_in` or, public, for ever (None).

    Served as an attachment of `attachment_name`, or to be shown by a browser (None).
    """

    media_id: UUID
    url: str
    expires_in: timedelta | None
    attachment_name: str | None


async def get_media_url(
    settings: Settings,
    database: Database,
    media_id: UUID,
    *,
    expires_in: timedelta | None = None,
    download: bool = False,
    record_access: bool = True,
) -> MediaUrl:
    """The URL of a stored file, absolute; a private one is signed with the service key.

    Whoever asks for a URL is about to look, so the access is recorded (as touch_media does, to the
    hour), and a cleanup that keeps what is used keeps it; unless `record_access` is false.

    `expires_in`: from a second to media_settings.url_expires_most; by default
    media_settings.url_expires. `download`: as an attachment also where a browser may show the file.

    Raises UrlError when the media id is unknown or its file is not stored, ExpiryError,
    SupabaseError when Storage refused or did not answer, and asyncpg's errors and one of
    poller.db.DATABASE_AWAY for the database; its login must be in media_client or media_admin.
    """
    try:
        policy = await database.url_policy(media_id, expires_in, download)
    except asyncpg.PostgresError as error:
        if error.sqlstate == BAD_EXPIRY:
            raise ExpiryError(error.args[0]) from None
        if error.sqlstate in {UNKNOWN, NOT_STORED}:
            raise UrlError(f"{error.args[0]}. {error.hint}") from None
        raise
    url, lasts = policy.public_url, None
    if url is None:
        assert policy.expires_seconds is not None  # noqa: S101 - without a public URL there is one
        url = await _sign(settings, policy, policy.expires_seconds)
        lasts = timedelta(seconds=policy.expires_seconds)
    if record_access:
        with contextlib.suppress(asyncpg.ReadOnlySQLTransactionError):  # a standby has URLs, too
            await database.touch(media_id)
    return MediaUrl(media_id, url, lasts, policy.attachment_name)


async def _sign(settings: Settings, policy: UrlPolicy, seconds: int) -> str:
    if {"", ".", ".."} & set(policy.storage_path.split("/")):
        raise UrlError(
            f"media {policy.media_id} is stored as {policy.bucket_name}/{policy.storage_path}: no"
            " URL leads there"
        )
    options: URLOptions = {}
    if policy.attachment_name is not None:
        options["download"] = policy.attachment_name
    async with open_storage(settings) as storage:
        bucket = storage.from_(policy.bucket_name)
        try:
            path = quote(policy.storage_path)  # as the client undoes it
            signed = await bucket.create_signed_url(path, seconds, options)
        except StorageApiError as error:
            if error.status in NOT_FOUND:
                raise UrlError(
                    f"media {policy.media_id} is stored as {policy.bucket_name}/"
                    f"{policy.storage_path}, but storage at {settings.supabase_url} has no such"
                    " file, or does not show it to this key: pgmedia doctor checks the key"
                ) from None
            raise
        if not signed["signedURL"]:
            raise ValueError(signed)
        return signed["signedURL"]
