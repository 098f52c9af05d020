"""JPEG: segments up to the end of the image (ITU-T T.81, annex B); what follows it goes."""

from __future__ import annotations

import re
import struct

from poller.metadata.parts import MOST_PARTS, Buffer, Part, Parts, dropped, needed_exif

START, END, SCAN, COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
IMAGE = {*range(0xC0, 0xD0), *range(0xDA, 0xE0)} - {0xC8}
"""Frames, scans and their tables; what is reserved for extensions is none of them."""
NEXT_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
"""After the data of a scan, in which FF 00 is a byte, and D0 to D7 say where a decoder restarts."""

RESTART = re.compile(rb"\xff[\xd0-\xd7]")

EXIF, XMP, MULTI_PICTURE = b"Exif\0\0", b"http://ns.adobe.com/x", b"MPF\0"
NEEDED = {
    0xE0: (b"JFIF\0", 14),  # and then a thumbnail
    0xE2: (b"ICC_PROFILE\0", None),
    0xEE: (b"Adobe", 12),  # elsewhere Adobe has IPTC
}
"""Application segments without which colours may be others: their beginnings, the bytes needed."""


def split(data: Buffer) -> list[Part]:
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    view = memoryview(data)  # whatever stays is not copied to be looked at
    parts, at = Parts([Part(data[:2])]), 2
    while found := NEXT_MARKER.search(data, at):
        if found.start() != at:  # decoders pass over it, unless they take it for a marker
            if RESTART.search(data, at, found.start()):
                raise ValueError(f"no marker at offset {at}")
            parts.append(dropped("unused bytes"))
        marker, body = found[1][0], found.end()
        if marker == END:
            parts.append(Part(b"\xff\xd9"))
            if data[body:].strip(b"\0"):
                parts.append(dropped("trailer"))
            return parts
        (length,) = struct.unpack_from(">H", data, body)
        at = body + length
        if marker == SCAN:
            at = _end_of_scan(data, at)
        parts.append(_judge(marker, view[body + 2 : at], view[found.start() : at]))
    raise ValueError("the JPEG has no end")


def find_words(data: Buffer) -> list[tuple[int, int]]:
    """From where to where the segments of a JPEG within another file say other than how it looks.

    There they are to be blanked, as nothing may move. Raises ValueError, as split does.
    """
    words, at = list[tuple[int, int]](), 2
    while found := NEXT_MARKER.search(data, at):
        marker, body = found[1][0], found.end() + 2
        if marker == END:
            return words
        if len(words) >= MOST_PARTS:
            raise ValueError(f"more than {MOST_PARTS} segments")
        if found.start() != at:
            words.append((at, found.start()))
        (length,) = struct.unpack_from(">H", data, found.end())
        at = found.end() + length
        if marker == SCAN:
            at = _end_of_scan(data, at)
        elif marker not in IMAGE:
            beginning, most = NEEDED.get(marker, (b"", 0))
            is_needed = beginning and data[body : body + len(beginning)] == beginning
            words.append((body + (at - body if most is None else most) if is_needed else body, at))
    raise ValueError("the JPEG has no end")


def _end_of_scan(data: Buffer, at: int) -> int:
    found = NEXT_MARKER.search(data, at)
    if found is None:
        raise ValueError("the JPEG ends within a scan")
    return found.start()


def _judge(marker: int, segment: memoryview, whole: memoryview) -> Part:
    if marker == COMMENT:
        return dropped("comment")
    if marker in IMAGE:
        return Part(whole)
    body = bytes(segment)  # of 65,533 bytes at most
    beginning, most = NEEDED.get(marker, (None, None))
    if beginning and body.startswith(beginning):
        return _cut(marker, body, most or len(body))
    if body.startswith(EXIF):
        needed, kinds = needed_exif(body[len(EXIF) :])
        return dropped(*kinds, kept=_segment(0xE1, EXIF + needed) if needed else b"")
    if body.startswith(MULTI_PICTURE):
        return dropped("further images")
    if body.startswith(XMP):
        return dropped("xmp")
    return dropped("iptc" if marker == 0xED else "application data")


def _cut(marker: int, body: bytes, most: int) -> Part:
    """A segment without what may follow its fields; that of JFIF announces a thumbnail."""
    needed = body[: most - 2] + bytes(2) if marker == 0xE0 else body[:most]
    if needed == body:
        return Part(_segment(marker, body))
    return dropped(
        "thumbnail" if marker == 0xE0 else "application data", kept=_segment(marker, needed)
    )


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(body)) + body
