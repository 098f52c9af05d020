"""What Office files since 2007 say of their own parts (OPC): content types and relations.

Read as Office reads them, by an XML parser: whatever the encoding, quotes, entities and padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from xml.parsers import expat

Attributes = dict[str, str]

MACROS = ("vbaproject", "macroenabled", "macrosheet")
CONTROLS = ("activex", "/control")
REMOTE_OBJECTS = ("/oleobject", "/frame", "/subdocument", "/afchunk", "/control")
"""Relations to what Office fetches when it opens the file, to show or run it; not pictures."""

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")
LOCAL_PATH = re.compile(r"(?:/|///)?[^/]")


def flags_of(pieces: Iterable[bytes]) -> set[str]:
    """What a part of relations or of content types says. Raises ExpatError where it is no XML."""
    flags = set[str]()

    def see(_: str, attributes: Attributes) -> None:
        for value in attributes.values():
            if any(word in value.lower() for word in MACROS):
                flags.add("macros")
            if value.lower().endswith(CONTROLS) or "ms-office.activex" in value.lower():
                flags.add("activex")
        if attributes.get("TargetMode", "").lower() == "external" and _is_remote(
            attributes.get("Target", "")
        ):
            kind = attributes.get("Type", "").lower()
            if kind.endswith("/attachedtemplate"):
                flags.add("remote_template")
            elif kind.endswith(REMOTE_OBJECTS):
                flags.add("remote_object")

    parser = _parser(see)
    try:
        for piece in pieces:
            parser.Parse(piece)
        parser.Parse(b"", True)
    except _EntitiesError:
        return {"xml_entities"}
    return flags


def begins_with_entities(pieces: Iterable[bytes]) -> bool:
    """Whether another part has a document type before its first element: Office writes none."""
    begun = list[str]()
    parser = _parser(lambda name, _: begun.append(name))
    try:
        for piece in pieces:
            parser.Parse(piece)
            if begun:
                break
    except _EntitiesError:
        return True
    except expat.ExpatError:  # Office will not open it either
        pass
    return False


class _EntitiesError(Exception):
    """There is a document type: nothing is expanded."""


def _parser(see: Callable[[str, Attributes], object]) -> expat.XMLParserType:
    def refuse(*_: object) -> None:
        raise _EntitiesError

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = see
    return parser


def _is_remote(target: str) -> bool:
    """Whether it is fetched from somewhere else; a file on the reader's own disk is not."""
    path = target.strip().replace("\\", "/").lower()
    if path.startswith("file:"):
        return LOCAL_PATH.match(path.removeprefix("file:")) is None
    return path.startswith("//") or SCHEME.match(path) is not None
