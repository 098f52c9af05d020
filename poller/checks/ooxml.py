"""Word and Excel files since 2007: a zip, unpacked within bounds, searched for what would run."""

from __future__ import annotations

import re
import zipfile

from poller.checks.content import Content, Facts

MOST_PARTS = 10_000
MOST_UNPACKED_BYTES = 536_870_912
MOST_RATIO = 100
"""Unpacked to packed; a table of zeros reaches it, so it counts only in large files."""

LARGE_BYTES = 104_857_600
PIECE_BYTES = 262_144
MAIN_PART = re.compile(r"(word/document|xl/workbook)\w*\.(xml|bin)")
MACROS = re.compile(r"(vbaProject.*\.bin|xl/macrosheets/.*)", re.IGNORECASE)
EMBEDDED = re.compile(r"(word|xl)/embeddings/.+")
ENTITIES = re.compile(rb"<!(?:DOCTYPE|ENTITY)\b")
REMOTE_TEMPLATE = re.compile(
    rb"<Relationship\b(?=[^>]*/attachedTemplate\")(?=[^>]*\"External\")"
    rb"[^>]*\sTarget=\"(?:https?:|ftp:|file://[^/]|\\\\)",
    re.IGNORECASE,
)
PACKED_AGAIN = (b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")


def parse(content: Content, facts: Facts) -> None:
    """Unpack every part, which checks its CRC, and keep none."""
    facts.checked_by = "zipfile"
    with zipfile.ZipFile(content.rewound()) as archive:
        parts = archive.infolist()
        announced = sum(part.file_size for part in parts)
        facts.details |= {"parts": len(parts), "unpacked_bytes": announced}
        bomb = _why_a_bomb(parts, announced, len(content.data))
        if bomb:
            facts.object_to("bomb", bomb)
            return
        if not any(MAIN_PART.fullmatch(part.filename) for part in parts):
            raise ValueError("the archive has no main part")
        for part in parts:
            if not part.is_dir():
                _look_into(archive, part, facts)


def _why_a_bomb(parts: list[zipfile.ZipInfo], announced: int, packed: int) -> str | None:
    if len(parts) > MOST_PARTS:
        return f"{len(parts)} parts, {MOST_PARTS} allowed"
    if announced > MOST_UNPACKED_BYTES:
        return f"unpacks to {announced} bytes, {MOST_UNPACKED_BYTES} allowed"
    if announced > LARGE_BYTES and announced > MOST_RATIO * packed:
        return f"unpacks to {announced} bytes, {announced // packed} times its size"
    return None


def _look_into(archive: zipfile.ZipFile, part: zipfile.ZipInfo, facts: Facts) -> None:
    if part.flag_bits & 1:
        facts.flags.add("encrypted")
        return
    name = part.filename.rpartition("/")[2]
    if MACROS.fullmatch(name) or MACROS.fullmatch(part.filename):
        facts.flags.add("macros")
    if EMBEDDED.fullmatch(part.filename):
        facts.flags.add("embedded")
    with archive.open(part) as stream:
        first = stream.read(PIECE_BYTES)
        while stream.read(PIECE_BYTES):  # to its end, where its CRC is compared
            pass
    if name.endswith((".xml", ".rels")):
        if b"macroEnabled" in first:
            facts.flags.add("macros")
        if ENTITIES.search(first):
            facts.flags.add("xml_entities")
        if REMOTE_TEMPLATE.search(first):
            facts.flags.add("remote_template")
    elif first.startswith(PACKED_AGAIN) and "embeddings/" not in part.filename:
        facts.flags.add("archive")
