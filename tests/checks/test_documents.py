"""PDF, Office and text: opened, and searched for what would run."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import DictionaryObject, NameObject

from tests.checks.makers import (
    FILES,
    MIME,
    archive,
    docx_with_entities,
    docx_with_remote_template,
    look,
    pdf,
    rename_stream,
    with_part,
)


def test_a_pdf_is_opened(tmp_path: Path) -> None:
    facts = look(FILES["pdf"], tmp_path)

    assert facts.details == {"pages": 1}
    assert not facts.flags
    assert (facts.checked_by or "").startswith("pypdf ")


@pytest.mark.parametrize(
    ("catalog", "flags"),
    [
        (b"", set[str]()),
        (b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>", {"pdf_script"}),
        (b"/OpenAction << /S /Launch /F (cmd.exe) >>", {"pdf_launch"}),
        (b"/AA << /WC << /S/Launch /F (cmd.exe) >> >>", {"pdf_launch"}),
        (b"/Names << /JavaScript << /Names [] >> >>", {"pdf_script"}),
        (b"/Names << /EmbeddedFiles << /Names [] >> >>", {"attachments"}),
    ],
)
def test_what_a_pdf_does_by_itself(catalog: bytes, flags: set[str]) -> None:
    assert look(pdf(catalog)).flags == flags


def test_an_action_that_the_bytes_do_not_show() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(FILES["pdf"]))
    action = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): NameObject("/x")}
    writer.root_object[NameObject("/OpenAction")] = DictionaryObject(action)
    made = io.BytesIO()
    writer.write(made)
    # as it would be inside of a compressed stream: not to be found in the bytes
    hidden = made.getvalue().replace(b"/S /JavaScript", b"/S /Java#53cript")

    assert b"/S /JavaScript" not in hidden
    assert "pdf_script" in look(hidden).flags


@pytest.mark.parametrize("password", ["", "secret"])
def test_an_encrypted_pdf(password: str) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(FILES["pdf"]))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)

    assert look(made.getvalue()).flags == {"encrypted"}


def test_a_pdf_whose_page_tree_has_no_end() -> None:
    endless = pdf(b"").replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")

    assert look(endless).flags == {"damaged"}


@pytest.mark.parametrize("name", ["docx", "xlsx"])
@pytest.mark.parametrize(
    ("part", "content", "flags"),
    [
        ("word/vbaProject.bin", b"x", {"macros"}),
        ("xl/macrosheets/sheet1.xml", b"<x/>", {"macros"}),
        ("[Content_Types].xml", b"<T t='x.document.macroEnabled.main+xml'/>", {"macros"}),
        ("word/embeddings/oleObject1.bin", b"x", {"embedded"}),
        ("word/embeddings/table.xlsx", b"PK\x03\x04", {"embedded"}),
        ("word/media/hidden.bin", b"PK\x03\x04", {"archive"}),
    ],
)
def test_what_is_in_an_office_file(
    tmp_path: Path, name: str, part: str, content: bytes, flags: set[str]
) -> None:
    facts = look(with_part(FILES[name], part, content), tmp_path)

    assert facts.flags == flags
    assert facts.mime_type == MIME[name]


def test_entities_and_remote_templates() -> None:
    assert look(docx_with_entities()).flags == {"xml_entities"}
    assert look(docx_with_remote_template(b"https://example.com/t.dotm")).flags == {
        "remote_template"
    }
    assert look(docx_with_remote_template(b"\\\\10.0.0.1\\t.dotm")).flags == {"remote_template"}
    assert not look(docx_with_remote_template(b"Normal.dotm")).flags


def test_an_office_file_without_its_main_part() -> None:
    made = archive({"[Content_Types].xml": b"<Types/>", "word/other.xml": b"<x/>"})

    assert look(made).flags == {"damaged"}


def test_word_and_excel_of_old_are_told_by_their_streams(tmp_path: Path) -> None:
    assert look(FILES["doc"], tmp_path).mime_type == "application/msword"
    assert look(FILES["xls"], tmp_path).mime_type == "application/vnd.ms-excel"
    slides = rename_stream(FILES["doc"], "WordDocument", "PowerPoint Document")
    assert look(slides).mime_type == "application/vnd.ms-powerpoint"


def test_an_encrypted_office_file(tmp_path: Path) -> None:
    facts = look(rename_stream(FILES["doc"], "WordDocument", "EncryptedPackage"), tmp_path)

    assert (facts.mime_type, facts.flags) == ("application/encrypted", {"encrypted"})


def test_a_word_file_with_a_password() -> None:
    content = bytearray(FILES["doc"])
    header = content.index(b"\xec\xa5", 512)
    content[header + 11] |= 1

    assert look(bytes(content)).flags == {"encrypted"}


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


@pytest.mark.parametrize(
    ("records", "flags"),
    [
        (record(0x2F, bytes(54)), {"encrypted"}),
        (record(0x85, bytes(5) + b"\1" + bytes(4)), {"macros"}),
        (record(0x85, bytes(10)), set[str]()),
    ],
    ids=["password", "Excel 4 macros", "sheet"],
)
def test_the_records_of_an_excel_file(records: bytes, flags: set[str]) -> None:
    """They take the place of the first ones after the header, up to the end of the globals."""
    content = FILES["xls"]
    start = content.index(b"\x09\x08\x10\x00\x00\x06\x05\x00") + 20
    ended = records + record(0x0A, b"")
    changed = content[:start] + ended + content[start + len(ended) :]

    assert look(changed).flags == flags


def test_macros_in_a_word_file_of_old() -> None:
    content = rename_stream(FILES["doc"], "\x01CompObj", "_VBA_PROJECT")

    assert look(content).flags == {"macros"}


@pytest.mark.parametrize(
    ("content", "encoding", "flags"),
    [
        ("Olá, tudo bem?\n".encode(), "utf-8", set[str]()),
        ("Olá, tudo bem?\n".encode("utf-8-sig"), "utf-8-sig", set[str]()),
        ("Olá, tudo bem?\n".encode("latin-1"), "8-bit", set[str]()),
        ("Olá, tudo bem?\n".encode("utf-16"), "utf-16", set[str]()),
        ("Olá\n".encode("utf-16") + b"\0\xd8\0", "utf-16", {"undecodable"}),
        (b"x", "utf-8", set[str]()),
        (b"  <!DOCTYPE html><p>hello", "utf-8", {"html"}),
        (b"\n <!-- --> <b>hi</b>", "utf-8", {"html"}),
        ("<svg onload=x>".encode("utf-16"), "utf-16", {"html"}),
        (b"#!/bin/sh\nid\n", "utf-8", {"script"}),
        (b"@echo off\r\ndel *.*\r\n", "utf-8", {"script"}),
        (b"[InternetShortcut]\r\nURL=file:///c:/x\r\n", "utf-8", {"script"}),
    ],
)
def test_text(tmp_path: Path, content: bytes, encoding: str, flags: set[str]) -> None:
    facts = look(content, tmp_path)

    assert (facts.details["encoding"], facts.flags) == (encoding, flags)
