"""The bytes of one file, and what is found out about them."""

from __future__ import annotations

import io
import math
import mmap
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Self

MOST_PROBLEM_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Content:
    """A file as a buffer, to search, and as a stream, to parse."""

    data: bytes | mmap.mmap
    stream: IO[bytes]

    @classmethod
    def of_bytes(cls, content: bytes) -> Self:
        return cls(content, io.BytesIO(content))

    @classmethod
    @contextmanager
    def of_file(cls, file: IO[bytes]) -> Generator[Self]:
        """A file on disk, without reading it into memory."""
        if file.seek(0, io.SEEK_END) == 0:
            yield cls(b"", file)  # nothing to map
            return
        file.seek(0)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield cls(data, file)

    def rewound(self) -> IO[bytes]:
        """The stream, at its beginning."""
        self.stream.seek(0)
        return self.stream


@dataclass(slots=True)
class Facts:
    """What was found in a file. `flags` are names in media_content_rules; `details` by class:

    images: width, height (pixels), frames, metadata (kinds of it); sound, film: brand, seconds,
    tracks, packets or frames; PDF: pages; Office: parts, unpacked_bytes; text: encoding.
    """

    mime_type: str
    libmagic: str
    """The type that libmagic told, before anything looked inside."""
    checked_by: str | None = None
    problem: str | None = None
    """What the parser said against the file, printable ASCII."""
    flags: set[str] = field(default_factory=set[str])
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def object_to(self, flag: str, problem: str) -> None:
        """Raise a flag, and say why; the first reason stays."""
        self.flags.add(flag)
        self.problem = self.problem or printable(problem)[:MOST_PROBLEM_LENGTH]

    def as_json(self) -> dict[str, Any]:
        """For jsonb, which holds neither NUL nor half of a surrogate pair, nor infinity."""
        known = {
            "mime_type": self.mime_type,
            "libmagic": self.libmagic,
            "checked_by": self.checked_by,
            "problem": self.problem,
            "flags": sorted(self.flags) or None,
            **self.details,
        }
        return {name: value for name, value in known.items() if value is not None}


def printable(text: str) -> str:
    """ASCII alone, whatever a file had the parser say."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in escaped)


def describe(error: Exception) -> str:
    """What a parser said, without the names of its objects."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return re.sub(r" ?<[^<>]*>", "", words)


def seconds(value: float | None) -> float | None:
    """A duration as JSON can hold it."""
    return round(value, 3) if value is not None and math.isfinite(value) and value >= 0 else None
