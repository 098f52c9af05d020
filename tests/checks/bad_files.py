"""Files that are up to no good, and the verdict on each."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

from tests.checks.makers import (
    FILES,
    SCRIPT,
    archive,
    docx_with_entities,
    gif_with_large_frame,
    jpeg_with_comment,
    png,
    rename_stream,
    with_part,
)

ZEROS = bytes(50_000_000)
NOISE = random.Random(7).randbytes(50_000)  # noqa: S311 - no secret


def nested_zips() -> bytes:
    """42.zip's idea: each level is ten of the one below, of which the last is zeros."""
    inner = archive({"zeros": ZEROS}, 9)
    for _ in range(3):
        inner = archive({f"{number}.zip": inner for number in range(10)}, 9)
    return inner


def docx_bomb() -> bytes:
    """A Word file of some 600 KB with 600 MB in it."""
    parts = {f"word/media/image{number}.png": ZEROS for number in range(12)}
    return archive({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"} | parts, 9)


def half(name: str) -> bytes:
    return FILES[name][: len(FILES[name]) // 2]


def flipped(name: str) -> bytes:
    """Every hundredth byte from the middle on is another one."""
    content = bytearray(FILES[name])
    for at in range(len(content) // 2, len(content), 100):
        content[at] ^= 0xFF
    return bytes(content)


def program() -> bytes:
    return Path(sys.executable).read_bytes()[:100_000]


def encrypted_docx() -> bytes:
    return rename_stream(FILES["doc"], "WordDocument", "EncryptedPackage")


BAD: dict[str, tuple[Callable[[], bytes], str, str, str]] = {
    # what: (content, sent as, declared as, failure code or "stored")
    "empty": (lambda: b"", "image", "jpg", "empty_file"),
    "one byte": (lambda: b"\0", "document", "pdf", "type_not_allowed"),
    "wrong extension": (lambda: FILES["png"], "image", "jpg", "stored"),
    "a film as a photo": (lambda: FILES["mp4"], "image", "jpg", "type_mismatch"),
    "leading junk": (lambda: b"junk" + FILES["jpg"], "image", "jpg", "type_not_allowed"),
    "PDF after junk": (lambda: b"\0junk" + FILES["pdf"], "document", "pdf", "type_not_allowed"),
    "100 megapixels": (lambda: png(10_000, 10_000), "image", "png", "too_many_pixels"),
    "144 megapixels": (lambda: png(12_000, 12_000), "image", "png", "decompression_bomb"),
    "frame bomb": (gif_with_large_frame, "image", "gif", "decompression_bomb"),
    "nested zips": (nested_zips, "document", "docx", "archive"),
    "nested zips in Word": (
        lambda: with_part(FILES["docx"], "word/media/a.bin", nested_zips()),
        "document", "docx", "polyglot",
    ),
    "Word bomb": (docx_bomb, "document", "docx", "decompression_bomb"),
    "entities": (docx_with_entities, "document", "docx", "active_content"),
    "HTML": (lambda: b"<!doctype html>" + SCRIPT, "document", "txt", "active_content"),
    "HTML with magic": (lambda: b"\xff\xd8\xff\xe0" + SCRIPT, "image", "jpg", "active_content"),
    "HTML in JPEG": (lambda: jpeg_with_comment(SCRIPT), "image", "jpg", "active_content"),
    "SVG": (lambda: b"<svg onload='x'/>", "image", "png", "active_content"),
    "shell": (lambda: b"#!/bin/sh\nid\n", "document", "txt", "active_content"),
    "program": (program, "document", "pdf", "executable"),
    "zip behind JPEG": (lambda: FILES["jpg"] + archive({"a": b"a"}), "image", "jpg", "polyglot"),
    "macros": (
        lambda: with_part(FILES["docx"], "word/vbaProject.bin", b"x"), "document", "docx", "macros",
    ),
    "encrypted": (encrypted_docx, "document", "docx", "stored"),
    "random": (lambda: NOISE, "document", "pdf", "type_not_allowed"),
} | {
    f"truncated {name}": (lambda name=name: half(name), kind, name, "damaged_file")
    for name, kind in (
        ("jpg", "image"), ("png", "image"), ("gif", "image"), ("webp", "image"), ("bmp", "image"),
        ("tiff", "image"), ("ogg", "audio"), ("wav", "audio"), ("m4a", "document"),
        ("mp4", "video"),
        ("webm", "video"), ("mov", "video"), ("3gp", "video"), ("avi", "video"),
        ("pdf", "document"),
        ("doc", "document"), ("docx", "document"), ("xls", "document"), ("xlsx", "document"),
    )
} | {
    f"flipped {name}": (lambda name=name: flipped(name), kind, name, "damaged_file")
    for name, kind in (
        ("png", "image"), ("tiff", "image"), ("ogg", "audio"), ("docx", "document"),
        ("xlsx", "document"),
    )
}  # fmt: skip
