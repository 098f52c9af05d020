"""PNG: chunks; those that say something else than how the image looks go (https://www.w3.org/TR/png-3/)."""

from __future__ import annotations

import struct
import zlib

from poller.metadata.parts import Buffer, Part, Parts, dropped, needed_exif

SIGNATURE = b"\x89PNG\r\n\x1a\n"
NEEDED = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs"
    b" acTL fcTL fdAT".split()
)
KINDS = {b"tEXt": "text", b"zTXt": "text", b"iTXt": "text", b"tIME": "time"}


def split(data: Buffer) -> list[Part]:
    if data[:8] != SIGNATURE:
        raise ValueError("no PNG")
    view = memoryview(data)  # whatever stays is not copied to be looked at
    parts, at = Parts([Part(SIGNATURE)]), 8
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        chunk = view[at : at + 12 + length]
        if len(chunk) < 12 + length:
            raise ValueError("the PNG ends within a chunk")
        at += len(chunk)
        parts.append(_judge(name, chunk))
        if name == b"IEND":
            break
    if at < len(data):
        parts.append(dropped("trailer"))
    return parts


def _judge(name: bytes, chunk: memoryview) -> Part:
    if name in NEEDED:
        return Part(chunk)
    if name == b"eXIf":
        needed, kinds = needed_exif(bytes(chunk[8:-4]))
        return dropped(*kinds, kept=_chunk(name, needed) if needed else b"")
    return dropped(KINDS.get(name, "application data"))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
