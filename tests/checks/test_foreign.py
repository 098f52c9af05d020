"""A second file inside of the first one: found wherever a browser, a shell or an unpacker would."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.checks.makers import FILES, MIME, SCRIPT, archive, jpeg_with_comment, look, pdf

ZIP = archive({"run.exe": b"MZ"})
SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c\0\4" + bytes(30)
RAR = b"Rar!\x1a\x07\x01\0" + bytes(30)

MEDIA = [name for name, mime in MIME.items() if mime.startswith(("image/", "audio/", "video/"))]


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize(
    ("tail", "flag"),
    [(ZIP, "archive"), (SEVEN_ZIP, "archive"), (RAR, "archive"), (SCRIPT, "html")],
    ids=["zip", "7z", "rar", "html"],
)
def test_what_is_appended_to_media(tmp_path: Path, name: str, tail: bytes, flag: str) -> None:
    assert flag in look(FILES[name] + tail, tmp_path).flags
    assert flag not in look(FILES[name]).flags


@pytest.mark.parametrize(
    "markup",
    [SCRIPT, b"<HTML ", b"<!DOCTYPE   html>", b"<iframe src=x>", b"<?php system('id'); ?>"],
)
def test_markup_in_a_comment_of_a_jpeg(tmp_path: Path, markup: bytes) -> None:
    assert look(jpeg_with_comment(markup), tmp_path).flags == {"html"}


def test_a_harmless_comment() -> None:
    assert not look(jpeg_with_comment(b"a <b> c < d, script: none")).flags


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a/*" + FILES["gif"][8:] + b"*/=1;alert(1)",
        b"\xff\xd8\xff\xe0/*" + FILES["jpg"][6:] + b"*/=1;alert(1)",
        b"RIFF/*" + FILES["wav"][6:],
        b"BM/*" + FILES["bmp"][4:],
        b"BM=1;/*" + FILES["bmp"][7:],
        b"GIF89a=1/*" + FILES["gif"][10:],
        b"RIFF='" + FILES["wav"][6:],
        b"GIF89a=\n`" + FILES["gif"][9:],
    ],
    ids=["gif", "jpg", "wav", "bmp", "assignment", "number", "quote", "template"],
)
def test_a_header_that_is_javascript(content: bytes) -> None:
    assert "script" in look(content).flags


@pytest.mark.parametrize("width", [61, 317, 573, 829, 1085, 2109])
def test_a_gif_whose_width_looks_like_an_assignment(width: int) -> None:
    content = io.BytesIO()
    Image.new("P", (width, 40), 3).save(content, "GIF")

    assert content.getvalue()[6:7] == b"="
    assert not look(content.getvalue()).flags


def test_a_sound_whose_length_looks_like_an_assignment() -> None:
    """Of an odd number of bytes, which some recorders do not fill up."""
    content = bytearray(FILES["wav"])
    content[4:8] = (0x13D).to_bytes(4, "little")

    assert "script" not in look(bytes(content)).flags


def test_a_pdf_behind_the_header_of_a_jpeg(tmp_path: Path) -> None:
    assert "pdf" in look(jpeg_with_comment(FILES["pdf"][:100]), tmp_path).flags


def test_a_pdf_that_is_a_zip(tmp_path: Path) -> None:
    assert look(FILES["pdf"] + ZIP, tmp_path).flags == {"archive"}
    assert look(ZIP + FILES["pdf"], tmp_path).mime_type == "application/zip"


def test_a_zip_attached_to_a_pdf_does_not_make_it_one(tmp_path: Path) -> None:
    attached = pdf(b"/X (" + ZIP.replace(b"\\", b"\\\\") + b")")
    assert "archive" not in look(attached, tmp_path).flags
