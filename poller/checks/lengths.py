"""How long a container says that it is: what was cut off is shorter."""

from __future__ import annotations

import mmap
import struct

SLACK_BYTES = 8
"""Writers count their own header in, or do not."""

STREAMED_RIFF = 0x7FFFF000
"""Sizes from here on were written by programs that could not know the size, as was 0."""

MOST_BOXES = 10_000
FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def missing_bytes(data: bytes | mmap.mmap) -> int:
    """How many bytes fewer there are than a RIFF, an ISO media file or a WebM announces; else 0."""
    head = data[:12]
    if head[:4] == b"RIFF":
        (length,) = struct.unpack_from("<I", head, 4)
        end = 8 + length if 0 < length < STREAMED_RIFF else 0
    elif head[:4] == b"\x1aE\xdf\xa3":
        end = _end_of_segment(data)
    elif head[4:8] in FIRST_BOXES:
        end = _end_of_boxes(data)
    else:
        end = 0
    missing = end - len(data)
    return missing if missing > SLACK_BYTES else 0


def _end_of_boxes(data: bytes | mmap.mmap) -> int:
    """Where the last box at the top ends, following their lengths; 0 where they are none."""
    offset = 0
    for _ in range(MOST_BOXES):
        header = data[offset : offset + 16]
        if len(header) < 8 or not header[4:8].isascii():
            break
        (length,) = struct.unpack_from(">I", header)
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
        if length < 8:  # 0: to the end of the file
            break
        offset += length
        if offset >= len(data):
            return offset
    return 0


def _end_of_segment(data: bytes | mmap.mmap) -> int:
    """The end of WebM's segment, which holds all but a small header; 0 where it is not known."""
    at = data[:4096].find(b"\x18\x53\x80\x67")
    if at < 0 or at + 5 > len(data) or data[at + 4] == 0:
        return 0
    width = 9 - data[at + 4].bit_length()
    size = int.from_bytes(data[at + 4 : at + 4 + width], "big") & ((1 << 7 * width) - 1)
    unknown = (1 << 7 * width) - 1
    return 0 if size == unknown else at + 4 + width + size
