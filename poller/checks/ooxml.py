"""Word and Excel files since 2007: a zip, unpacked within bounds, searched for what would run."""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Iterator

from poller.checks import opc
from poller.checks.content import Content, Facts

MOST_PARTS = 10_000
MOST_UNPACKED_BYTES = 536_870_912
MOST_RATIO = 100
"""Unpacked to packed; a table of zeros reaches it, so it counts only in large files."""

LARGE_BYTES = 104_857_600
PIECE_BYTES = 262_144
MOST_RELATION_BYTES = 33_554_432
"""Unpacked, of one part that tells of others."""

MAIN_PART = re.compile(r"(word/document|xl/workbook)\w*\.(xml|bin)", re.IGNORECASE)
BINARY_WORKBOOK = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
MACROS = re.compile(r"(vbaProject.*\.bin|xl/macrosheets/.*)", re.IGNORECASE)
EMBEDDED = re.compile(r"(word|xl)/embeddings/.+", re.IGNORECASE)
CONTROLS = re.compile(r"(word|xl)/activeX/.+", re.IGNORECASE)
DDE = re.compile(
    rb"instrText[^<>]{0,200}>\s{0,200}DDE(?:AUTO)?\b|\binstr=[\"']\s{0,200}DDE|<(?:\w{1,20}:)?ddeLink\b",
    re.IGNORECASE,
)
DDE_BYTES = 1024
"""More than a match is long: what one piece ends with is searched with the next one."""

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
        main = [part.filename for part in parts if MAIN_PART.fullmatch(part.filename)]
        if not main:
            raise ValueError("the archive has no main part")
        if main[0].lower().endswith(".bin"):
            facts.mime_type = BINARY_WORKBOOK
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
    name = part.filename.rpartition("/")[2].lower()
    if MACROS.fullmatch(name) or MACROS.fullmatch(part.filename):
        facts.flags.add("macros")
    is_embedded = EMBEDDED.fullmatch(part.filename) is not None
    if is_embedded:
        facts.flags.add("embedded")
    if CONTROLS.fullmatch(part.filename):
        facts.flags.add("activex")
    if name.endswith(".rels") or name == "[content_types].xml":
        if part.file_size > MOST_RELATION_BYTES:
            facts.object_to("bomb", f"{part.file_size} bytes of relations between its parts")
            return
        facts.flags |= opc.flags_of(_pieces(archive, part))
    elif name.endswith(".xml") and opc.begins_with_entities(_pieces(archive, part)):
        facts.flags.add("xml_entities")
    _read_to_its_end(archive, part, facts, is_embedded=is_embedded, is_xml=name.endswith(".xml"))


def _read_to_its_end(
    archive: zipfile.ZipFile,
    part: zipfile.ZipInfo,
    facts: Facts,
    *,
    is_embedded: bool,
    is_xml: bool,
) -> None:
    """There its CRC is compared."""
    before = b""
    for number, piece in enumerate(_pieces(archive, part)):
        if number == 0 and not is_embedded:
            if piece.startswith(PACKED_AGAIN):
                facts.flags.add("archive")
            if _is_program(piece):
                facts.flags.add("program")
        found = is_xml and b"dde" in (before + piece).lower()
        if found and DDE.search(before + piece):
            facts.flags.add("dde")
        before = piece[-DDE_BYTES:]


def _pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(part) as stream:
        while piece := stream.read(PIECE_BYTES):
            yield piece


def _is_program(beginning: bytes) -> bool:
    if beginning.startswith(b"\x7fELF"):
        return True
    if not beginning.startswith(b"MZ") or len(beginning) < 64:
        return False
    (at,) = struct.unpack_from("<I", beginning, 60)
    return beginning[at : at + 4] == b"PE\0\0"
