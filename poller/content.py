"""A download in hand: in memory or on disk, hashed as it arrives."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Literal, Self

PIECE_BYTES = 262_144


class SpoolError(Exception):
    """The download found no room, in memory or on disk, or was lost there; `code` says which."""

    def __init__(self, code: Literal["spool_full", "spool_lost"], text: str) -> None:
        super().__init__(text)
        self.code = code


class Spool:
    """The bytes of one download, in memory up to `memory_bytes` and in an unnamed file beyond."""

    def __init__(self, memory_bytes: int, folder: Path | None) -> None:
        self._memory_bytes = memory_bytes
        self._folder = folder
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self.size = 0
        self.lost: SpoolError | None = None
        """Set when not all that was written could be read again."""

    def write(self, piece: bytes) -> None:
        """Add a piece. Raises SpoolError."""
        try:
            self._keep(piece)
        except OSError as error:
            text = f"cannot hold the download: {error.strerror}"
            raise SpoolError("spool_full", text) from error
        self._hash.update(piece)
        self.size += len(piece)

    def _keep(self, piece: bytes) -> None:
        if self._file is None and self.size + len(piece) <= self._memory_bytes:
            self._held += piece
            return
        if self._file is None:  # no buffer: what has no room is known now, not when it is read
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            _write_all(self._file, self._held)
            self._held = bytearray()
        _write_all(self._file, piece)

    @property
    def sha256(self) -> str:
        """SHA-256 of all that was written, lowercase hex."""
        return self._hash.hexdigest()

    @property
    def in_memory(self) -> bool:
        return self._file is None

    @property
    def descriptor(self) -> int:
        """The open file, with all of it, when it is on disk."""
        assert self._file is not None  # noqa: S101
        return self._file.fileno()

    def read(self) -> bytes | bytearray:
        """All of it, without a copy when it is in memory."""
        if self._file is None:
            return self._held
        self._file.seek(0)
        return self._file.read()

    def content(
        self, handed_out: Callable[[int], object] = lambda _: None
    ) -> bytes | bytearray | AsyncIterator[bytes]:
        """The body of an upload: the bytes themselves when they are in memory, else in pieces.

        `handed_out` is told the size of each piece.
        """
        return self._held if self._file is None else self._pieces(self._file, handed_out)

    async def _pieces(
        self, file: IO[bytes], handed_out: Callable[[int], object]
    ) -> AsyncIterator[bytes]:
        file.seek(0)
        read = 0
        try:
            while piece := file.read(PIECE_BYTES):
                read += len(piece)
                handed_out(len(piece))
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

    def close(self) -> None:
        """Forget it, and give its room on disk back."""
        self._held = bytearray()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(file: IO[bytes], content: bytes | bytearray) -> None:
    rest = memoryview(content)
    while rest:  # an unbuffered file may take a part
        rest = rest[file.write(rest) :]
