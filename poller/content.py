"""A download in hand: in memory or on disk, hashed as it arrives, its type read from its bytes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Self, cast

from poller.libmagic import libmagic_type

PIECE_BYTES = 262_144

ISO_MEDIA = {"video/mp4", "video/quicktime", "video/3gpp", "audio/x-m4a", "audio/mp4"}
HANDLER = re.compile(rb"hdlr.{8}(vide|soun)", re.DOTALL)
"""The handler box of a track in an ISO media file: picture or sound."""

OOXML = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class Spool:
    """The bytes of one download, in memory up to `memory_bytes` and in an unnamed file beyond."""

    def __init__(self, memory_bytes: int, folder: Path | None) -> None:
        self._file = cast(
            "IO[bytes]",
            tempfile.SpooledTemporaryFile(max_size=memory_bytes, dir=folder and str(folder)),  # noqa: SIM115
        )
        self._memory_bytes = memory_bytes
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    @property
    def sha256(self) -> str:
        """SHA-256 of all that was written, lowercase hex."""
        return self._hash.hexdigest()

    @property
    def in_memory(self) -> bool:
        return self.size <= self._memory_bytes

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The body of an upload: the bytes themselves when they are in memory, else in pieces."""
        self._file.seek(0)
        return self._file.read() if self.in_memory else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := self._file.read(PIECE_BYTES):
            yield piece

    async def detect_type(self) -> str:
        """The MIME type of the bytes, as libmagic and a look inside name it."""
        self._file.seek(0)
        if self.in_memory:
            return detect_bytes(self._file.read())
        return await asyncio.to_thread(self._detect_on_disk)

    def _detect_on_disk(self) -> str:
        return detect_bytes(os.pread(self._file.fileno(), self.size, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def detect_bytes(content: bytes) -> str:
    """The MIME type of a whole file. libmagic answers first; containers are told apart inside."""
    mime_type = libmagic_type(content)
    if mime_type in ISO_MEDIA and set(HANDLER.findall(content)) == {b"soun"}:
        return "audio/mp4"  # sound only, whatever the brand says
    if mime_type in {"application/zip", "application/octet-stream"}:
        return _ooxml_type(content) or mime_type
    return mime_type


def _ooxml_type(content: bytes) -> str | None:
    """The Office type of a zip whose parts libmagic did not find in their usual order."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError):
        return None
    if "[Content_Types].xml" in names:
        for folder, mime_type in OOXML.items():
            if any(name.startswith(folder) for name in names):
                return mime_type
    return None
