"""A download in hand: in memory or on disk, hashed as it arrives, its type read from its bytes."""

from __future__ import annotations

import hashlib
import io
import mmap
import re
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Literal, Self, cast

from poller.libmagic import libmagic_type, libmagic_type_of_descriptor

PIECE_BYTES = 262_144

ISO_MEDIA = {"video/mp4", "video/quicktime", "video/3gpp", "audio/x-m4a", "audio/mp4"}
HANDLER = re.compile(rb"hdlr.{8}(vide|soun)", re.DOTALL)
"""The handler box of a track in an ISO media file: picture or sound."""

OOXML = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class SpoolError(Exception):
    """The download found no room, in memory or on disk, or was lost there; `code` says which."""

    def __init__(self, code: Literal["spool_full", "spool_lost"], text: str) -> None:
        super().__init__(text)
        self.code = code


class Spool:
    """The bytes of one download, in memory up to `memory_bytes` and in an unnamed file beyond."""

    def __init__(self, memory_bytes: int, folder: Path | None) -> None:
        self._file = cast(
            "IO[bytes]",
            tempfile.SpooledTemporaryFile(  # noqa: SIM115
                max_size=max(1, memory_bytes),  # 0 would be no limit at all
                dir=folder and str(folder),
            ),
        )
        self._memory_bytes = memory_bytes
        self._hash = hashlib.sha256()
        self.size = 0
        self.lost: SpoolError | None = None
        """Set when not all that was written could be read again."""

    def write(self, piece: bytes) -> None:
        """Add a piece. Raises SpoolError."""
        try:
            self._file.write(piece)
        except OSError as error:
            text = f"cannot hold the download: {error.strerror}"
            raise SpoolError("spool_full", text) from error
        self._hash.update(piece)
        self.size += len(piece)

    @property
    def sha256(self) -> str:
        """SHA-256 of all that was written, lowercase hex."""
        return self._hash.hexdigest()

    @property
    def in_memory(self) -> bool:
        return self.size <= self._memory_bytes

    @property
    def descriptor(self) -> int:
        """The open file, with all of it, when it is on disk."""
        self._file.flush()
        return self._file.fileno()

    def read(self) -> bytes:
        """All of it."""
        self._file.seek(0)
        return self._file.read()

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The body of an upload: the bytes themselves when they are in memory, else in pieces."""
        return self.read() if self.in_memory else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        self._file.seek(0)
        read = 0
        try:
            while piece := self._file.read(PIECE_BYTES):
                read += len(piece)
                yield piece
        except OSError as error:
            self.lost = SpoolError("spool_lost", f"cannot read the download: {error.strerror}")
            raise self.lost from error
        if read != self.size:
            text = f"{read} of the {self.size} bytes of the download are left"
            self.lost = SpoolError("spool_lost", text)
            raise self.lost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def detect_bytes(content: bytes) -> str:
    """The MIME type of a whole file. libmagic answers first; containers are told apart inside."""
    return _look_inside(libmagic_type(content), content, io.BytesIO(content))


def detect_file(file: IO[bytes]) -> str:
    """As detect_bytes, of a file on disk, without reading it into memory."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _look_inside(libmagic_type_of_descriptor(file.fileno()), content, file)


def _look_inside(mime_type: str, content: bytes | mmap.mmap, file: IO[bytes]) -> str:
    if mime_type in ISO_MEDIA and set(HANDLER.findall(content)) == {b"soun"}:
        return "audio/mp4"  # sound only, whatever the brand says
    if mime_type in {"application/zip", "application/octet-stream"}:
        return _ooxml_type(file) or mime_type
    return mime_type


def _ooxml_type(file: IO[bytes]) -> str | None:
    """The Office type of a zip whose parts libmagic did not find in their usual order."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError):
        return None
    if "[Content_Types].xml" in names:
        for folder, mime_type in OOXML.items():
            if any(name.startswith(folder) for name in names):
                return mime_type
    return None
