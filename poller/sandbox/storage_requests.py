"""What comes in with a request to Supabase Storage: json fields, and bodies of objects."""

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict, TypeGuard, cast

from aiohttp import BodyPartReader, web

from poller.sandbox.faults import PIECE_BYTES
from poller.sandbox.storage_errors import Reason, StorageError
from poller.sandbox.storage_files import Bucket
from poller.sandbox.storage_rules import check_allowed_mime_type, check_mime_type, parse_size

CONTENT_TYPE = re.compile(r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+ *(;[^\t]*)?")

SORT_COLUMNS = ("name", "updated_at", "created_at", "last_accessed_at")

Json = dict[str, object]


class BucketSettings(TypedDict, total=False):
    """The settings of a bucket that a request sets; a limit of None clears the one there is."""

    public: bool
    file_size_limit: int | None
    allowed_mime_types: list[str] | None


@dataclass(frozen=True, slots=True)
class Upload:
    """The body of an object on its way in.

    `limit` is the number of bytes after which the body turns out to be too large; None where
    that is not looked at any more.
    """

    mime_type: str
    cache_control: str
    user_metadata: Json
    limit: int | None
    chunks: AsyncIterator[bytes]


class Receiving:
    """How many bodies of objects are on their way in, by "bucket/name"."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._changed = asyncio.Event()

    @contextmanager
    def one(self, path: str) -> Generator[None]:
        """Count a body for `path` as long as this is open."""
        self._count(path, 1)
        try:
            yield
        finally:
            self._count(path, -1)

    async def wait_for(self, path: str, count: int) -> None:
        """Return once there are `count` bodies for `path` on their way in."""
        while self._counts[path] != count:
            await self._changed.wait()

    def _count(self, path: str, change: int) -> None:
        self._counts[path] += change
        self._changed.set()
        self._changed = asyncio.Event()


async def read_json(request: web.Request) -> Json:
    """The json object that is the body of the request."""
    try:
        body: object = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise StorageError(Reason.SCHEMA, "body must be object")
    return cast("Json", body)


def read_integer(body: Json, name: str, default: int | None = None, least: int = 0) -> int:
    """The integer, or the text of one, under `name`; without a default it has to be there."""
    value = _required(body, name) if default is None else body.get(name, default)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not _is_integer(value):
        raise StorageError(Reason.SCHEMA, f"body/{name} must be integer")
    if value < least:
        raise StorageError(Reason.SCHEMA, f"body/{name} must be >= {least}")
    return value


def read_text(body: Json, name: str, default: str | None = None) -> str:
    """The text under `name`; without a default it has to be there."""
    value = _required(body, name) if default is None else body.get(name, default)
    if not isinstance(value, str):
        raise StorageError(Reason.SCHEMA, f"body/{name} must be string")
    return value


def read_texts(body: Json, name: str) -> list[str]:
    """The texts under `name`, at least one."""
    value = _required(body, name)
    if not _is_texts(value):
        raise StorageError(Reason.SCHEMA, f"body/{name} must be array")
    if not value:
        raise StorageError(Reason.SCHEMA, f"body/{name} must NOT have fewer than 1 items")
    return value


def read_sort(body: Json) -> tuple[str, str]:
    """The column and the order, "asc" or "desc", under `sortBy`; by name without."""
    sort = body.get("sortBy", {"column": "name"})
    if not isinstance(sort, dict):
        raise StorageError(Reason.SCHEMA, "body/sortBy must be object")
    column = read_text(cast("Json", sort), "column")
    order = read_text(cast("Json", sort), "order", "asc")
    if column not in SORT_COLUMNS or order not in ("asc", "desc"):
        message = "body/sortBy/column must be equal to one of the allowed values"
        raise StorageError(Reason.SCHEMA, message)
    return column, order


def read_settings(body: Json, global_limit: int) -> BucketSettings:
    """The settings that are there; a size may be text like "50MB", `global_limit` at most."""
    settings = BucketSettings()
    if "public" in body:
        if not isinstance(body["public"], bool):
            raise StorageError(Reason.SCHEMA, "body/public must be boolean")
        settings["public"] = body["public"]
    if "file_size_limit" in body:
        settings["file_size_limit"] = _size(body["file_size_limit"], global_limit)
    if "allowed_mime_types" in body:
        settings["allowed_mime_types"] = _mime_types(body["allowed_mime_types"])
    return settings


async def read_upload(request: web.Request, bucket: Bucket, global_limit: int) -> Upload:
    """The object in the body of the request, once its type and declared size are found good.

    A multipart body is cut off when it turns out too large; a raw one is believed, and may be of
    any size if it does not say which.
    """
    limit = global_limit
    if bucket.file_size_limit is not None:
        limit = min(limit, bucket.file_size_limit)
    content_type = request.headers.get("Content-Type", "application/octet-stream")
    if content_type.startswith("multipart/form-data"):
        return await _multipart(request, bucket, limit)

    if not CONTENT_TYPE.fullmatch(content_type):
        raise StorageError(Reason.CONTENT_TYPE)
    check_mime_type(content_type, bucket.allowed_mime_types)
    if (request.content_length or 0) > limit:
        raise StorageError(Reason.TOO_LARGE)
    return Upload(
        mime_type=content_type,
        cache_control=request.headers.get("Cache-Control", "no-cache"),
        user_metadata=_metadata(_decode(request.headers.get("x-metadata", ""))),
        limit=None,
        chunks=request.content.iter_chunked(PIECE_BYTES),
    )


async def _multipart(request: web.Request, bucket: Bucket, limit: int) -> Upload:
    fields: dict[str, str] = {}
    try:
        reader = await request.multipart()
        while isinstance(part := await reader.next(), BodyPartReader) and not part.filename:
            fields[part.name or ""] = await part.text()
    except (ValueError, AssertionError) as error:
        raise StorageError(Reason.REQUEST, str(error)) from error
    if not isinstance(part, BodyPartReader):
        raise StorageError(Reason.REQUEST, "No content provided")

    declared = part.headers.get("Content-Type", "text/plain").partition(";")[0].strip().lower()
    mime_type = fields.get("contentType") or declared
    check_mime_type(mime_type, bucket.allowed_mime_types)
    seconds = fields.get("cacheControl")
    return Upload(
        mime_type=mime_type,
        cache_control=f"max-age={seconds}" if seconds else "no-cache",
        user_metadata=_metadata(fields.get("metadata", "")),
        limit=limit,
        chunks=_chunks(part),
    )


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(PIECE_BYTES):
        yield bytes(chunk)


def _decode(header: str) -> str:
    try:
        return base64.b64decode(header).decode()
    except ValueError:
        return ""


def _metadata(text: str) -> Json:
    try:
        value: object = json.loads(text)
    except ValueError:
        return {}
    return cast("Json", value) if isinstance(value, dict) else {}


def _size(value: object, global_limit: int) -> int | None:
    if value is None:
        return None
    size = parse_size(value) if isinstance(value, str) else value
    if not _is_integer(size) or size < 0:
        raise StorageError(Reason.SCHEMA, "body/file_size_limit must match a schema in anyOf")
    if size > global_limit:
        raise StorageError(Reason.TOO_LARGE)
    return size


def _mime_types(value: object) -> list[str] | None:
    if value is None:
        return None
    if not _is_texts(value):
        raise StorageError(Reason.SCHEMA, "body/allowed_mime_types must be array")
    mime_types = [mime_type for mime_type in value if mime_type]
    for mime_type in mime_types:
        check_allowed_mime_type(mime_type)
    return mime_types


def _required(body: Json, name: str) -> object:
    if name not in body:
        raise StorageError(Reason.SCHEMA, f"body must have required property '{name}'")
    return body[name]


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: object) -> TypeGuard[list[str]]:
    if not isinstance(value, list):
        return False
    return all(isinstance(item, str) for item in cast("list[object]", value))
