"""What a file is, told by its bytes: facts for the database, which alone judges them.

`examine` reads the type, then opens the file with a parser of its class and looks for a second
file inside. Nothing here runs in the poller's own process: see poller.inspection.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module

from poller.checks.content import Content, Facts, describe
from poller.checks.detection import detect
from poller.checks.foreign import find_foreign

__all__ = ["Content", "Facts", "examine"]

OLE_TYPES = ("application/msword", "application/vnd.ms-excel", "application/encrypted")
TEXT_TYPES = (
    "text/",
    "message/",
    "application/json",
    "application/x-ndjson",
    "application/x-subrip",
)

# By the beginning of the type. Imported when first needed: a child that sees photos stays small.
PARSERS = {
    "image/": "images",
    "audio/": "tracks",
    "video/": "tracks",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.": "ooxml",
    **dict.fromkeys(OLE_TYPES, "ole"),
    **dict.fromkeys(TEXT_TYPES, "text"),
}


def examine(content: Content) -> Facts:
    """All that is known of a file. What a parser says against it is a fact too, not an error.

    Raises MemoryError where the process has not the memory to look.
    """
    facts = Facts(mime_type="", libmagic="")
    if len(content.data) == 0:
        facts.mime_type = facts.libmagic = "inode/x-empty"
        return facts
    detect(content, facts)
    for beginning, module in PARSERS.items():
        if facts.mime_type.startswith(beginning):
            parse: Callable[[Content, Facts], None] = import_module(f"{__name__}.{module}").parse
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # parsers tell of what they put up with
                try:
                    parse(content, facts)
                except MemoryError:
                    raise
                except Exception as error:  # noqa: BLE001 - a parser may raise anything at a bad file
                    facts.object_to("damaged", describe(error))
            break
    facts.flags |= find_foreign(content, facts.mime_type)
    return facts
