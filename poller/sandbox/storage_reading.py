"""How Supabase Storage hands out and lists what it has."""

import base64
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from poller.sandbox.faults import PIECE_BYTES, Answer
from poller.sandbox.storage_errors import Reason, StorageError
from poller.sandbox.storage_files import Stored

RANGE = re.compile(r"bytes=(\d*)-(\d*)")
LEFT_BY_ENCODE_URI_COMPONENT = "!'()*"
"""Characters that JavaScript's encodeURIComponent leaves as they are, and urllib's quote does not.

An apostrophe ends the value too early: https://github.com/supabase/storage/issues/1385.
"""


def hand_out(
    request: web.Request, stored: Stored, path: Path, expires: float | None = None
) -> Answer:
    """The object in the file `path`, or the part that is asked for, or only its headers.

    What comes through a signed URL has its end `expires`, in seconds since 1970, in place of
    a cache-control.
    """
    headers = _headers(stored)
    if expires is None:
        headers["Cache-Control"] = stored.cache_control
    else:
        headers["Expires"] = _http_date(datetime.fromtimestamp(expires, UTC))
    if "download" in request.query:
        headers["Content-Disposition"] = _attachment(request.query["download"])
    if request.method == "HEAD":
        return Answer(200, headers, stored.size, [])
    if request.headers.get("If-None-Match") == stored.etag:
        return Answer(304, headers, 0, [])
    if "Range" not in request.headers:
        return Answer(200, headers, stored.size, _pieces(path, 0, stored.size))

    start, end = parse_range(request.headers["Range"], stored.size)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
    return Answer(206, headers, end - start, _pieces(path, start, end))


def parse_range(header: str, size: int) -> tuple[int, int]:
    """The first byte and the one after the last that a Range header asks of `size` bytes."""
    match = RANGE.fullmatch(header)
    if match is None or match.groups() == ("", "") or size == 0:
        raise StorageError(Reason.RANGE)
    first, last = match.groups()
    if first:
        start, end = int(first), min(size, int(last) + 1) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise StorageError(Reason.RANGE)
    return start, end


def list_entries(
    objects: Iterable[Stored], folder: str, search: str, column: str, order: str
) -> list[dict[str, object]]:
    """What is right below `folder` and begins with `search`: objects, and folders with id null.

    `objects` are those whose names begin with `folder` and `search`. By name, folders are among
    the objects; by another column they come first.
    """
    start = len(folder) + len(search)
    folders: dict[str, dict[str, object]] = {}
    files: list[tuple[str, dict[str, object]]] = []
    for stored in objects:
        end = stored.name.find("/", start)
        if end < 0:
            files.append((stored.name.lower(), stored.entry(stored.name[len(folder) :])))
        else:
            name = stored.name[len(folder) : end]
            folders.setdefault(stored.name[: end + 1].lower(), _folder_entry(name))
    backwards = order == "desc"
    if column == "name":
        pairs = sorted([*folders.items(), *files], key=lambda pair: pair[0], reverse=backwards)
        return [entry for _, entry in pairs]
    first = [entry for _, entry in sorted(folders.items(), reverse=backwards)]
    rest = [entry for _, entry in files]
    return first + sorted(rest, key=lambda entry: str(entry[column]), reverse=backwards)


def list_page(objects: Iterable[Stored], cursor: str, limit: int) -> dict[str, object]:
    """Up to `limit` of `objects`, which are in the order of their names, after the cursor.

    An empty cursor is before all of them; others are only for the server to read.
    """
    after = base64.b64decode(cursor).decode()
    rest = [stored for stored in objects if stored.name > after]
    page: dict[str, object] = {
        "hasNext": len(rest) > limit,
        "folders": [],
        "objects": [stored.entry(stored.name) for stored in rest[:limit]],
    }
    if page["hasNext"]:
        page["nextCursor"] = base64.b64encode(rest[limit - 1].name.encode()).decode()
    return page


def _folder_entry(name: str) -> dict[str, object]:
    times = dict.fromkeys(("updated_at", "created_at", "last_accessed_at"))
    return {"name": name, "id": None, **times, "metadata": None}


def _headers(stored: Stored) -> dict[str, str]:
    html = "text/html" in stored.mime_type  # never shown as a page
    return {
        "Accept-Ranges": "bytes",
        "Content-Type": "text/plain" if html else stored.mime_type,
        "ETag": stored.etag,
        "Last-Modified": _http_date(datetime.fromisoformat(stored.updated_at)),
        "X-Robots-Tag": "none",
    }


def _attachment(file_name: str) -> str:
    if not file_name:
        return "attachment;"
    quoted = quote(file_name, safe=LEFT_BY_ENCODE_URI_COMPONENT)
    return f"attachment; filename={quoted}; filename*=UTF-8''{quoted}"


def _http_date(time: datetime) -> str:
    return format_datetime(time, usegmt=True)


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(min(PIECE_BYTES, end - file.tell())):
            yield piece
