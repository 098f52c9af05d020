# pypdf's objects are of any type.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""PDF: opened by pypdf, down to its first page, and searched for what it would do by itself."""

from __future__ import annotations

import logging
import mmap
import re
from typing import Any

import pypdf
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject

from poller.checks.content import Content, Facts

DEEPEST = 50
"""Levels of the page tree; real ones have a few."""

MOST_OBJECT_STREAM_BYTES = 134_217_728
"""Unpacked, of all the streams together that have objects in them."""

MOST_GAP_BYTES = 4096
"""Of white space and comments between two words: no writer leaves any."""

WHITE = b"\0\t\n\f\r "
MOST_LAUNCHES = 1000
"""A name that is there more often has no other reason than to make a search of it slow."""


def _name(name: str) -> bytes:
    """A pattern for a name, any letter of which may be written as # and two digits."""
    letters = (rb"(?:%c|#%x|#%X)" % (ord(one), ord(one), ord(one)) for one in name)
    return b"/" + b"".join(letters) + rb"(?![\w#])"


LAUNCH, SCRIPT = re.compile(_name("Launch")), re.compile(_name("JavaScript"))
TYPE_OF_ACTION = re.compile(rb"/(?:S|#53)\Z")

logging.getLogger("pypdf").addHandler(logging.NullHandler())
logging.getLogger("pypdf").propagate = False


def parse(content: Content, facts: Facts) -> None:
    facts.checked_by = f"pypdf {pypdf.__version__}"
    reader = pypdf.PdfReader(content.rewound(), strict=False)
    _search(content.data, facts)
    if reader.is_encrypted:
        facts.flags.add("encrypted")
        return  # its page tree may need the password
    root = _dictionary(reader.trailer["/Root"])
    pages = _dictionary(root["/Pages"])
    facts.details["pages"] = int(str(pages["/Count"]))
    _look_at_actions(root, facts)
    _open_first_page(pages)
    _look_into_object_streams(reader, facts)


def _search(data: bytes | mmap.mmap, facts: Facts) -> None:
    if _launches(data):
        facts.flags.add("pdf_launch")
    if SCRIPT.search(data):
        facts.flags.add("pdf_script")


def _launches(data: bytes | mmap.mmap) -> bool:
    for number, found in enumerate(LAUNCH.finditer(data)):
        if number == MOST_LAUNCHES:
            return True
        before = data[max(0, found.start() - MOST_GAP_BYTES) : found.start()]
        if _is_type_of_action(before):
            return True
    return False


def _is_type_of_action(before: bytes) -> bool:
    """Whether the last word is /S, behind any white space and comments."""
    while True:
        before = before.rstrip(WHITE)
        if TYPE_OF_ACTION.search(before, max(0, len(before) - 4)):
            return True
        line = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        comment = before.find(b"%", line)
        if comment < 0:
            return line == 0 and len(before) > MOST_GAP_BYTES // 2  # who knows where it begins
        before = before[:comment]


def _look_into_object_streams(reader: pypdf.PdfReader, facts: Facts) -> None:
    """What is packed into them no search of the bytes finds."""
    unpacked = 0
    for number in {stream for stream, _ in reader.xref_objStm.values()}:
        stream = reader.get_object(IndirectObject(number, 0, reader))
        if not isinstance(stream, StreamObject):
            raise TypeError("an object stream is none")
        objects = stream.get_data()
        unpacked += len(objects)
        if unpacked > MOST_OBJECT_STREAM_BYTES:
            facts.object_to(
                "bomb", f"its objects unpack to more than {MOST_OBJECT_STREAM_BYTES} bytes"
            )
            return
        _search(objects, facts)


def _dictionary(thing: Any) -> DictionaryObject:
    found = thing.get_object()
    if not isinstance(found, DictionaryObject):
        raise TypeError(f"{type(found).__name__} where a dictionary belongs")
    return found


def _open_first_page(node: DictionaryObject) -> None:
    for _ in range(DEEPEST):
        if "/Kids" not in node:
            if node.get("/Type", "/Page") != "/Page":
                raise ValueError("the page tree ends without a page")
            return
        kids = node["/Kids"]
        if not isinstance(kids, ArrayObject):
            raise TypeError("the children of a page node are no array")
        node = _dictionary(kids[0])
    raise ValueError(f"the page tree is deeper than {DEEPEST} levels")


def _look_at_actions(root: DictionaryObject, facts: Facts) -> None:
    """What may be packed, where no search of the bytes finds it: actions on opening, and names."""
    names = _dictionary(root["/Names"]) if "/Names" in root else DictionaryObject()
    if "/JavaScript" in names:
        facts.flags.add("pdf_script")
    if "/EmbeddedFiles" in names:
        facts.flags.add("attachments")
    action = root["/OpenAction"].get_object() if "/OpenAction" in root else None
    if isinstance(action, DictionaryObject):
        match action.get("/S"):
            case "/JavaScript":
                facts.flags.add("pdf_script")
            case "/Launch":
                facts.flags.add("pdf_launch")
            case _:
                pass
