"""The type of a file. libmagic answers first; where it cannot tell formats apart, a look inside."""

from __future__ import annotations

import zipfile

from poller.checks import text
from poller.checks.content import Content, Facts
from poller.checks.frames import find_frames, tag_bytes
from poller.libmagic import libmagic_type, libmagic_type_of_descriptor

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MIGHT_BE_OOXML = {"application/zip", "application/octet-stream"}
OOXML = {
    "word/": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
LEAST_FRAMES, LEAST_FRAME_SHARE = 3, 0.9


def detect(content: Content, facts: Facts) -> None:
    """Set the type, and what was found on the way."""
    if isinstance(content.data, bytes):
        facts.libmagic = libmagic_type(content.data)
    else:
        facts.libmagic = libmagic_type_of_descriptor(content.stream.fileno())
    facts.mime_type = facts.libmagic
    head = content.data[:12]
    if head[4:8] == b"ftyp":
        from poller.checks import tracks

        tracks.detect_by_brand(content, facts)
    elif head.startswith(OLE_MAGIC):
        from poller.checks import ole

        ole.detect_by_streams(content, facts)
    elif facts.libmagic in MIGHT_BE_OOXML and head.startswith(b"PK"):
        facts.mime_type = _ooxml_type(content) or facts.libmagic
    elif facts.libmagic == "application/octet-stream" and text.is_text(content):
        facts.mime_type = "text/plain"
    elif _begins_with_frame(head) and not facts.libmagic.startswith("audio/"):
        _detect_by_frames(content, facts)


def _ooxml_type(content: Content) -> str | None:
    """The Office type of a zip whose parts libmagic did not find in their usual order."""
    try:
        with zipfile.ZipFile(content.rewound()) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if "[Content_Types].xml" in names:
        for folder, mime_type in OOXML.items():
            if any(name.startswith(folder) for name in names):
                return mime_type
    return None


def _begins_with_frame(head: bytes) -> bool:
    """An ID3 tag, or the 11 set bits that every frame of MPEG sound begins with."""
    return head.startswith(b"ID3") or (head[:1] == b"\xff" and len(head) > 1 and head[1] >= 0xE0)


def _detect_by_frames(content: Content, facts: Facts) -> None:
    """Sound that libmagic did not know: nearly all of it must be frames, one after the other."""
    whole = len(content.data) - tag_bytes(content.data)
    for mime_type in ("audio/mpeg", "audio/aac"):
        frames, framed = find_frames(content.data, mime_type)
        if frames >= LEAST_FRAMES and framed >= LEAST_FRAME_SHARE * whole:
            facts.mime_type = mime_type
            return
