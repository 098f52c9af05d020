"""BMP: it has no place for metadata, but bytes may follow its pixels and its colour profile."""

from __future__ import annotations

import struct

from poller.metadata.parts import Buffer, Part, dropped

FILE_HEADER, OS2_HEADER, V5_HEADER = 14, 12, 124
COLOURS = FILE_HEADER + 56
RUN_LENGTHS = (1, 2)
"""Compressions of which the header tells the size."""

LINKED, EMBEDDED, S_RGB = b"KNIL", b"DEBM", b"BGRs"
"""What the colours are: of a profile in a file of the sender's, by its name, or in this one."""


def split(data: Buffer) -> list[Part]:
    if data[:2] != b"BM":
        raise ValueError("no BMP")
    (pixels_at,) = struct.unpack_from("<I", data, 10)
    end = pixels_at + _pixel_bytes(data)
    if struct.unpack_from("<I", data, FILE_HEADER)[0] >= V5_HEADER:
        space = data[COLOURS : COLOURS + 4]
        if space == LINKED:
            head, rest = data[:COLOURS], data[COLOURS + 4 : end]
            return [dropped("linked profile", kept=head + S_RGB + rest)]
        if space == EMBEDDED:
            at, size = struct.unpack_from("<II", data, FILE_HEADER + 112)
            end = max(end, FILE_HEADER + at + size)
    view = memoryview(data)
    left = [dropped("trailer")] if data[end:].strip(b"\0") else []
    return [Part(view[:end] if left else view), *left]


def _pixel_bytes(data: Buffer) -> int:
    (header,) = struct.unpack_from("<I", data, FILE_HEADER)
    if header == OS2_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, FILE_HEADER + 4)
    else:
        width, height, _, bits, compression, size = struct.unpack_from(
            "<iiHHII", data, FILE_HEADER + 4
        )
        if compression in RUN_LENGTHS:
            return size or len(data)
    return (width * bits + 31) // 32 * 4 * abs(height)
