"""GIF: blocks; comments and what applications add go, but for what animations need (GIF89a).

So do plain text extensions, which nothing shows.
"""

from __future__ import annotations

from poller.metadata.parts import Buffer, Part, Parts, dropped

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
CONTROL, PLAIN_TEXT, COMMENT, APPLICATION = 0xF9, 0x01, 0xFE, 0xFF
LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
LOOP_BYTES = 14 + 4
"""Of what says how often an animation is shown: its name, and a block of three bytes."""
PROFILE = b"ICCRGBG1012"


def split(data: Buffer) -> list[Part]:
    if data[:4] != b"GIF8":
        raise ValueError("no GIF")
    at = 13 + _table_bytes(data[10])
    view = memoryview(data)  # whatever stays is not copied to be looked at
    parts = Parts([Part(view[:at])])
    while data[at] != TRAILER:
        start = at
        if data[at] == IMAGE:
            at = _end_of_blocks(data, at + 11 + _table_bytes(data[at + 9]))
            parts.append(Part(view[start:at]))
        elif data[at] == EXTENSION:
            at = _end_of_blocks(data, at + 2)
            parts.append(_judge(data[start:at]))
        else:
            raise ValueError(f"no block of a GIF at offset {at}")
    parts.append(Part(b"\x3b"))
    if data[at + 1 :].strip(b"\0"):
        parts.append(dropped("trailer"))
    return parts


def _table_bytes(flags: int) -> int:
    """The size of a colour table, by the byte that announces it."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_blocks(data: Buffer, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _judge(extension: bytes) -> Part:
    if extension[1] == COMMENT:
        return dropped("comment")
    if extension[1] == PLAIN_TEXT:
        return dropped("text")
    if extension[1] == CONTROL or extension[3:].startswith(PROFILE):
        return Part(extension)
    if extension[3:].startswith(LOOPS) and extension[14:15] == b"\3":
        needed = extension[:LOOP_BYTES] + b"\0"
        return Part(needed) if needed == extension else dropped("application data", kept=needed)
    return dropped("xmp" if extension[3:].startswith(b"XMP DataXMP") else "application data")
