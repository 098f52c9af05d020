"""What is in an image besides it: found by the content check, dropped without touching a pixel.

Colour profile, orientation, resolution and what animations need stay. Of EXIF only the orientation
is needed: EXIF with nothing else is put in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module

from poller.metadata.parts import Buffer, Part

__all__ = ["UNREADABLE", "Buffer", "Part", "drop_metadata", "find_metadata"]

# By content type: the module with `split`, which gives the parts of a file in order.
WALKERS = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/tiff": "tiff",
    "image/bmp": "bmp",
}
UNREADABLE = "unreadable"


def find_metadata(data: Buffer, mime_type: str) -> list[str]:
    """The kinds of metadata in a file, sorted: exif, gps, xmp, comment and others.

    It is "unreadable" where an image has another structure than its format, as some decoders bear.
    """
    if mime_type not in WALKERS:
        return []
    try:
        return sorted({kind for part in _split(data, mime_type) for kind in part.kinds})
    except (ValueError, IndexError, struct.error):
        return [UNREADABLE]


def drop_metadata(data: Buffer, mime_type: str) -> bytes:
    """The image without its metadata; all that is left is as it was, but for lengths.

    Raises ValueError where that cannot be done.
    """
    if mime_type not in WALKERS:
        raise ValueError(f"no metadata is dropped from {mime_type}")
    try:
        return b"".join(part.kept for part in _split(data, mime_type))
    except (IndexError, struct.error) as error:
        raise ValueError(f"the file ends within its structure: {error}") from error


def _split(data: Buffer, mime_type: str) -> list[Part]:
    split: Callable[[Buffer], list[Part]] = import_module(f"{__name__}.{WALKERS[mime_type]}").split
    return split(data)
