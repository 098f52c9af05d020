"""WebP: chunks of a RIFF file, and the flags that announce them (RFC 9649)."""

from __future__ import annotations

import struct

from poller.metadata.parts import Buffer, Part, Parts, dropped, needed_exif

NEEDED = {b"VP8X", b"VP8 ", b"VP8L", b"ANIM", b"ANMF", b"ALPH", b"ICCP"}
FRAME, FRAME_HEADER = b"ANMF", 8 + 16
IN_FRAMES = {b"ALPH", b"VP8 ", b"VP8L"}
EXIF_FLAG, XMP_FLAG = 0x08, 0x04


def split(data: Buffer) -> list[Part]:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ValueError("no WebP")
    (length,) = struct.unpack_from("<I", data, 4)
    end = 8 + length
    if end > len(data):
        raise ValueError("the WebP ends too early")
    view = memoryview(data)  # whatever stays is not copied to be looked at
    parts, at = Parts(), 12
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        parts.append(_judge(name, view[at : at + 8 + size]))
        if len(parts[-1].kept) % 2:
            parts.append(Part(b"\0"))
        at += 8 + size + size % 2
    if at < len(data):
        parts.append(dropped("trailer"))
    has_exif = any(part.kept[:4] == b"EXIF" for part in parts)
    parts = [_flagged(part, has_exif=has_exif) for part in parts]
    kept = 4 + sum(len(part.kept) for part in parts)
    return [Part(b"RIFF" + struct.pack("<I", kept) + b"WEBP"), *parts]


def _judge(name: bytes, chunk: memoryview) -> Part:
    if name == FRAME:
        return _judge_frame(chunk)
    if name in NEEDED:
        return Part(chunk)
    if name == b"EXIF":
        body = bytes(chunk[8:])
        needed, kinds = needed_exif(body.removeprefix(b"Exif\0\0"))
        if needed and body != needed:
            kinds = kinds or {"exif"}
        kept = name + struct.pack("<I", len(needed)) + needed if needed else b""
        return dropped(*kinds, kept=kept)
    return dropped("xmp" if name == b"XMP " else "application data")


def _judge_frame(chunk: memoryview) -> Part:
    """A frame of an animation has chunks of its own."""
    kept, at = bytes(chunk[8:FRAME_HEADER]), FRAME_HEADER
    while at + 8 <= len(chunk):
        name, size = struct.unpack_from("<4sI", chunk, at)
        end = at + 8 + size + size % 2
        if name in IN_FRAMES:
            kept += bytes(chunk[at:end])
        at = end
    if 8 + len(kept) >= len(chunk):
        return Part(chunk)
    return dropped("application data", kept=FRAME + struct.pack("<I", len(kept)) + kept)


def _flagged(part: Part, *, has_exif: bool) -> Part:
    """The header says what else there is; it must not announce what has gone."""
    if part.kept[:4] != b"VP8X":
        return part
    header = bytearray(part.kept)
    header[8] = header[8] & ~(EXIF_FLAG | XMP_FLAG) | (EXIF_FLAG if has_exif else 0)
    return Part(bytes(header), part.kinds)
