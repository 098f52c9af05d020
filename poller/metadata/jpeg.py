"""JPEG: segments up to the end of the image (ITU-T T.81, annex B); what follows it goes."""

from __future__ import annotations

import re
import struct

from poller.metadata.parts import Buffer, Part, dropped, needed_exif

START, END, SCAN, COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATION = range(0xE0, 0xF0)
NEXT_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
"""After the data of a scan, in which FF 00 is a byte, and D0 to D7 say where a decoder restarts."""

EXIF, XMP, MULTI_PICTURE = b"Exif\0\0", b"http://ns.adobe.com/x", b"MPF\0"
NEEDED = (b"JFIF\0", b"ICC_PROFILE\0", b"Adobe")
"""Beginnings of application segments without which colours may be others."""


def split(data: Buffer) -> list[Part]:
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG")
    view = memoryview(data)  # whatever stays is not copied to be looked at
    parts, at = [Part(data[:2])], 2
    while found := NEXT_MARKER.search(data, at):
        if found.start() != at:
            raise ValueError(f"no marker at offset {at}")
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


def _end_of_scan(data: Buffer, at: int) -> int:
    found = NEXT_MARKER.search(data, at)
    if found is None:
        raise ValueError("the JPEG ends within a scan")
    return found.start()


def _judge(marker: int, segment: memoryview, whole: memoryview) -> Part:
    if marker == COMMENT:
        return dropped("comment")
    if marker not in APPLICATION:
        return Part(whole)
    body = bytes(segment)  # of 65,533 bytes at most
    if body.startswith(NEEDED):
        return Part(whole)
    if body.startswith(EXIF):
        needed, kinds = needed_exif(body[len(EXIF) :])
        anew = EXIF + needed
        kept = b"\xff\xe1" + struct.pack(">H", 2 + len(anew)) + anew if needed else b""
        return dropped(*kinds, kept=kept)
    if body.startswith(MULTI_PICTURE):
        return dropped("further images")
    if body.startswith(XMP):
        return dropped("xmp")
    return dropped("iptc" if marker == 0xED else "application data")
