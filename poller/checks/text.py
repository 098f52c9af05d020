"""Text: read in the encodings that libmagic takes for text."""

from __future__ import annotations

import codecs
import re

from poller.checks.content import Content, Facts

PIECE_BYTES = 262_144
MOST_WORDS = 4096
"""Characters at the beginning of a text that are looked at."""

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
NO_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
"""Control characters that no text of eight bits has; 1B begins an escape sequence of a terminal."""

# What browsers take for HTML at the beginning of a text (mimesniff.spec.whatwg.org).
HTML = re.compile(
    r"\s*<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|svg"
    r"|!--)[\s>]",
    re.IGNORECASE,
)
SCRIPT = re.compile(
    r"#!|\s*(?:<\?(?:php\b|=)|<%@|@echo off\b"
    r"|\[(?:InternetShortcut|Desktop Entry|Shell|autorun)\])",
    re.IGNORECASE,
)


def parse(content: Content, facts: Facts) -> None:
    """Decode all of it; flag what a browser or a shell would run."""
    data = content.data
    encoding = next((name for mark, name in MARKS.items() if data[:4].startswith(mark)), None)
    if encoding is None:
        encoding = "utf-8" if _decodes(content, "utf-8") else "8-bit"
    elif not _decodes(content, encoding):
        facts.object_to("undecodable", f"not all of it is {encoding}")
    if encoding in ("8-bit", "utf-8", "utf-8-sig") and (bad := NO_TEXT.search(data)):
        facts.object_to("undecodable", f"byte {bad[0][0]:#04x} at offset {bad.start()}")
    facts.details["encoding"] = encoding
    head = _beginning(content, "latin-1" if encoding == "8-bit" else encoding)
    if HTML.match(head):
        facts.flags.add("html")
    if SCRIPT.match(head):
        facts.flags.add("script")


def _beginning(content: Content, encoding: str) -> str:
    """The first words, however much white space is before them."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    stream, head = content.rewound(), ""
    while not head and (piece := stream.read(PIECE_BYTES)):
        head = decoder.decode(piece).lstrip()
    return head[:MOST_WORDS]


def is_text(content: Content) -> bool:
    """Whether all of it is UTF-8 without control characters: too short for libmagic, perhaps."""
    return not NO_TEXT.search(content.data) and _decodes(content, "utf-8")


def _decodes(content: Content, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    stream = content.rewound()
    try:
        while piece := stream.read(PIECE_BYTES):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
