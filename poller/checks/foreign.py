"""A second file inside of the first: what a browser, a shell or an unpacker would see in it."""

from __future__ import annotations

import mmap
import re
import zipfile

from poller.checks.content import Content

HEAD_BYTES = 1024
"""How far into a file Acrobat looks for a PDF, and browsers, at most, for HTML."""

# Neither occurs by chance in compressed data: 50 MB hold seven given bytes once in a billion files.
MARKUP = re.compile(
    rb"<(?:script[\s>/]|!doctype\s+html|html[\s>]|iframe[\s>]|\?php\s)", re.IGNORECASE
)
RAR = re.compile(rb"Rar!\x1a\x07")
SEVEN_ZIP = re.compile(rb"7z\xbc\xaf\x27\x1c\x00")

# Headers whose numbers begin a comment of JavaScript, or an assignment of what it can read: a GIF
# that is 61 pixels wide has a = there, too, but then a byte that no program may have.
SCRIPT_HEADER = re.compile(
    rb"""(?:GIF8[79]a|BM|RIFF|\xff\xd8\xff\xe0)"""
    rb"""(?:/\*|=(?:[\t-\r -~\x80-\xff]{0,2}["'`/]|[\t-\r -~\x80-\xff]{3}))"""
)


def find_foreign(content: Content, mime_type: str) -> set[str]:
    """Flags of what else the file is."""
    data = content.data
    if mime_type.startswith(("image/", "audio/", "video/")):
        return {
            name
            for name, found in (
                ("html", MARKUP.search(data)),
                ("script", SCRIPT_HEADER.match(data)),
                ("pdf", data[:HEAD_BYTES].find(b"%PDF-") >= 0),
                ("archive", RAR.search(data) or SEVEN_ZIP.search(data) or _is_zip(content, 0)),
            )
            if found
        }
    if mime_type == "application/pdf":
        begin, end = data.find(b"%PDF-"), data.rfind(b"%%EOF")
        flags: set[str] = set()
        if MARKUP.search(data[: max(begin, 0)]):
            flags.add("html")
        # a zip that is attached to a PDF lies between its two ends
        if data[: max(begin, 0)].find(b"PK\x03\x04") >= 0 or _is_zip(content, max(end, 0)):
            flags.add("archive")
        return flags
    return set()


def _is_zip(content: Content, after: int) -> bool:
    """Whether unpackers would find an archive whose directory ends after this offset."""
    if _last(content.data, b"PK\x05\x06") <= after:
        return False
    try:
        with zipfile.ZipFile(content.rewound()) as archive:
            return bool(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return False


def _last(data: bytes | mmap.mmap, what: bytes) -> int:
    """Where it begins last within the part in which a zip's directory may end; -1 if nowhere."""
    return data.rfind(what, max(0, len(data) - 65_557))
