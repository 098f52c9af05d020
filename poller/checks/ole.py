# olefile's types are partly unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Word and Excel files before 2007, and encrypted ones since: a container of streams."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import olefile

from poller.checks.content import Content, Facts, describe

MOST_RECORDS = 1_000_000
BOUND_SHEET, FILE_PASS = 0x85, 0x2F
MACRO_SHEETS = (1, 6)  # a sheet of Excel 4 macros, a Visual Basic module


def detect_by_streams(content: Content, facts: Facts) -> None:
    """Tell Word, Excel and encrypted files apart; libmagic goes by what is written about them."""
    try:
        with olefile.OleFileIO(content.rewound()) as ole:
            names = {"/".join(path).lower() for path in ole.listdir()}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged container raises anything
        facts.object_to("damaged", describe(error))
        return
    for name, mime_type in (
        ("encryptedpackage", "application/encrypted"),
        ("worddocument", "application/msword"),
        ("workbook", "application/vnd.ms-excel"),
        ("book", "application/vnd.ms-excel"),
        ("powerpoint document", "application/vnd.ms-powerpoint"),
    ):
        if name in names:
            facts.mime_type = mime_type
            return


def parse(content: Content, facts: Facts) -> None:
    facts.checked_by = f"olefile {olefile.__version__}"
    with olefile.OleFileIO(content.rewound()) as ole:
        paths = ["/".join(path).lower() for path in ole.listdir(streams=True, storages=True)]
        facts.details["parts"] = len(paths)
        if any(
            path.rpartition("/")[2] in ("vba", "_vba_project", "_vba_project_cur") for path in paths
        ):
            facts.flags.add("macros")
        if any(path.rpartition("/")[2] == "\x01ole10native" for path in paths):
            facts.flags.add("embedded")
        if facts.mime_type == "application/encrypted":
            facts.flags.add("encrypted")
        elif facts.mime_type == "application/msword":
            _look_at_word(ole.openstream("WordDocument").read(32), facts)
        elif facts.mime_type == "application/vnd.ms-excel":
            name = "Workbook" if ole.exists("Workbook") else "Book"
            _look_at_excel(ole.openstream(name).read(), facts)


def _look_at_word(header: bytes, facts: Facts) -> None:
    """The first bytes of the FIB: its magic number, and flags at offset 10."""
    if len(header) < 12 or header[:2] not in (b"\xec\xa5", b"\xdc\xa5"):
        raise ValueError("the stream WordDocument does not begin as Word's do")
    if header[11] & 1:
        facts.flags.add("encrypted")


def _look_at_excel(stream: bytes, facts: Facts) -> None:
    """The records of the workbook's globals: is there a password, and what are the sheets?"""
    for kind, body in _records(stream):
        if kind == FILE_PASS:
            facts.flags.add("encrypted")
            return  # the rest is not readable
        if kind == BOUND_SHEET and len(body) > 5 and body[5] in MACRO_SHEETS:
            facts.flags.add("macros")


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """BIFF records (type, body) up to the end of the first substream."""
    if stream[:2] not in (b"\x09\x08", b"\x09\x04", b"\x09\x02", b"\x09\x00"):
        raise ValueError("the workbook does not begin as Excel's do")
    offset = 0
    for _ in range(MOST_RECORDS):
        if offset + 4 > len(stream):
            raise ValueError("the workbook ends within its globals")
        kind, length = struct.unpack_from("<HH", stream, offset)
        if kind == 0x0A:  # EOF
            return
        yield kind, stream[offset + 4 : offset + 4 + length]
        offset += 4 + length
    raise ValueError(f"more than {MOST_RECORDS} records")
