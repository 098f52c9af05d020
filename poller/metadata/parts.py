"""A file in parts, and EXIF, which several formats have in them."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

from PIL import ExifTags, Image

Buffer = bytes | mmap.mmap

MOST_PARTS = 100_000
"""A PNG of 50 MB in chunks of 8 KB has 6,000; more is made by nobody but to do harm."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file as it stays, `kept`, and the kinds of metadata that go with the rest."""

    kept: bytes | memoryview
    kinds: frozenset[str] = frozenset()


class Parts(list[Part]):
    """The parts of a file in order: never so many that a small file takes all of the memory."""

    def append(self, part: Part, /) -> None:
        """Raises ValueError past MOST_PARTS."""
        if len(self) >= MOST_PARTS:
            raise ValueError(f"more than {MOST_PARTS} parts")
        super().append(part)


def dropped(*kinds: str, kept: bytes = b"") -> Part:
    return Part(kept, frozenset(kinds))


def needed_exif(exif: bytes) -> tuple[bytes, set[str]]:
    """Of an EXIF block (TIFF header first): what an image needs of it, and the kinds of the rest.

    That is its orientation, and nothing where it is upright, or where nobody can read it.
    """
    kinds = {"exif"}
    read = Image.Exif()
    try:
        read.load(exif)
        if ExifTags.IFD.GPSInfo in read:
            kinds.add("gps")
        orientation = read.get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - whatever Pillow makes of a bad block
        return b"", kinds
    if orientation not in range(2, 9):
        return b"", kinds
    needed = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return needed, kinds if exif != needed else set()
