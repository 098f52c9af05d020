"""BMP: it has no place for metadata, but bytes may follow its pixels and its colour profile."""

from __future__ import annotations

import struct

from poller.metadata.parts import Buffer, Part, dropped

FILE_HEADER, OS2_HEADER, INFO_HEADER, V5_HEADER = 14, 12, 40, 124
MOST_PALETTE_BITS = 8
MASK_BYTES = {3: 12, 6: 16}
"""After the header, by compression: which bits are of which colour."""
COLOURS = FILE_HEADER + 56
RUN_LENGTHS = (1, 2)
"""Compressions of which the header tells the size."""

LINKED, EMBEDDED, S_RGB = b"KNIL", b"DEBM", b"BGRs"
"""What the colours are: of a profile in a file of the sender's, by its name, or in this one."""


def split(data: Buffer) -> list[Part]:
    if data[:2] != b"BM":
        raise ValueError("no BMP")
    (pixels_at,) = struct.unpack_from("<I", data, 10)
    end, colours_end = pixels_at + _pixel_bytes(data), _end_of_colours(data)
    head, kinds = bytearray(data[:pixels_at]), set[str]()
    if struct.unpack_from("<I", data, FILE_HEADER)[0] >= V5_HEADER:
        space = data[COLOURS : COLOURS + 4]
        if space == LINKED:
            kinds.add("linked profile")
            head[COLOURS : COLOURS + 4] = S_RGB
        if space == EMBEDDED:
            at, size = struct.unpack_from("<II", data, FILE_HEADER + 112)
            end = max(end, FILE_HEADER + at + size)
            if FILE_HEADER + at < pixels_at:
                colours_end = pixels_at
    if head[colours_end:].strip(b"\0"):
        kinds.add("unused bytes")
        head[colours_end:] = bytes(len(head) - colours_end)
    rest = memoryview(data)[pixels_at:]
    left = [dropped("trailer")] if data[end:].strip(b"\0") else []
    return [
        Part(bytes(head), frozenset(kinds)), Part(rest[: end - pixels_at] if left else rest), *left,
    ]  # fmt: skip


def _end_of_colours(data: Buffer) -> int:
    """Where the headers end, and the palette, if there is one: pixels need not follow at once."""
    (header,) = struct.unpack_from("<I", data, FILE_HEADER)
    if header == OS2_HEADER:
        (bits,) = struct.unpack_from("<H", data, FILE_HEADER + 10)
        return FILE_HEADER + header + (3 << bits if bits <= MOST_PALETTE_BITS else 0)
    bits, compression = struct.unpack_from("<HI", data, FILE_HEADER + 14)
    masks = MASK_BYTES.get(compression, 0) if header == INFO_HEADER else 0
    used = struct.unpack_from("<I", data, FILE_HEADER + 32)[0] if header >= INFO_HEADER else 0
    colours = used or (1 << bits if bits <= MOST_PALETTE_BITS else 0)
    return FILE_HEADER + header + masks + 4 * colours


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
