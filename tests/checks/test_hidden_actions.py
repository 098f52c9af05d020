"""What documents do by themselves, written so that a search of the bytes does not find it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from tests.checks.makers import FILES, archive, look, pdf, with_part

HOST = "https://example.com/x"
PADDING = b" " * 300_000
PROGRAM = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(300)
CONTENT_TYPES = "[Content_Types].xml"


def relation(kind: str, target: str = HOST, quote: str = '"') -> bytes:
    words = (
        "<Relationships><Relationship Id='r1' Type='http://purl.example/relationships/{}'"
        " Target='{}' TargetMode='External'/></Relationships>"
    )
    return words.format(kind, target).replace("'", quote).encode()


def word_with_relations(content: bytes, name: str = "word/_rels/settings.xml.rels") -> bytes:
    return with_part(FILES["docx"], name, content)


TEMPLATE = relation("attachedTemplate")
RELATIONS = {
    "as Word writes it": (TEMPLATE, {"remote_template"}),
    "single quotes": (relation("attachedTemplate", quote="'"), {"remote_template"}),
    "letters as numbers": (
        relation("attachedTemplate", "&#104;ttps://example.com"), {"remote_template"},
    ),
    "far behind": (PADDING + TEMPLATE, {"remote_template"}),
    "UTF-16": (TEMPLATE.decode().encode("utf-16"), {"remote_template"}),
    "a prefix": (TEMPLATE.replace(b"<Rel", b"<r:Rel").replace(b"</Rel", b"</r:Rel"),
                 {"remote_template"}),
    "a share": (relation("attachedTemplate", "file://host/x"), {"remote_template"}),
    "a share, as a path": (
        relation("attachedTemplate", "file:///\\\\host\\x"), {"remote_template"},
    ),
    "another share": (relation("attachedTemplate", "\\\\host\\x"), {"remote_template"}),
    "the own disk": (relation("attachedTemplate", "file:///C:\\x.dotm"), set[str]()),
    "the own disk, shorter": (relation("attachedTemplate", "C:\\x.dotm"), set[str]()),
    "an object": (relation("oleObject", "mhtml:" + HOST + "!x"), {"remote_object"}),
    "a page": (relation("frame"), {"remote_object"}),
    "a document": (relation("subDocument"), {"remote_object"}),
    "a link": (relation("hyperlink"), set[str]()),
    "a picture": (relation("image"), set[str]()),
    "macros": (relation("vbaProject", "foo.bin").replace(b"External", b"Internal"), {"macros"}),
    "a control": (relation("control", "x.xml").replace(b"External", b"Internal"), {"activex"}),
    "entities": (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + TEMPLATE, {"xml_entities"}),
    "no XML": (b"<Relationships>", {"damaged"}),
}  # fmt: skip


@pytest.mark.parametrize("case", RELATIONS)
def test_relations_are_read_as_office_reads_them(tmp_path: Path, case: str) -> None:
    content, flags = RELATIONS[case]

    assert look(word_with_relations(content), tmp_path).flags == flags


def test_the_names_of_parts_may_have_any_case() -> None:
    assert look(word_with_relations(TEMPLATE, "word/_RELS/settings.xml.RELS")).flags == {
        "remote_template"
    }


@pytest.mark.parametrize(
    ("part", "content", "flags"),
    [
        (CONTENT_TYPES, b"<T>" + PADDING + b"<O C='x.macroEnabled.main+xml'/></T>", {"macros"}),
        (CONTENT_TYPES, b"<T C='application/vnd.ms-office.vbaProject'/>", {"macros"}),
        ("word/activeX/activeX1.xml", b"<ocx/>", {"activex"}),
        ("word/footer9.xml", b"<w:instrText> DDEAUTO c:\\x </w:instrText>", {"dde"}),
        ("word/footer9.xml", b"<w:fldSimple w:instr=' DDE excel x'/>", {"dde"}),
        ("word/footer9.xml", b"<a>" + b" " * 262_127 + b"<w:instrText>DDE x</w:instrText></a>",
         {"dde"}),
        ("word/footer9.xml", b"<w:t>DDEAUTO, explained</w:t>", set[str]()),
        ("xl/externalLinks/externalLink1.xml", b"<x:ddeLink ddeService='cmd'/>", {"dde"}),
        ("word/x.xml", PADDING + b"<!DOCTYPE x><x/>", {"xml_entities"}),
        ("word/x.xml", "<!DOCTYPE x><x/>".encode("utf-16"), {"xml_entities"}),
        ("word/x.xml", b"<x>&lt;!DOCTYPE x></x>", set[str]()),
        ("word/media/image.png", PROGRAM, {"program"}),
        ("word/media/image.png", b"\x7fELF\2\1\1", {"program"}),
        ("word/media/image.png", b"MZ is no program" * 10, set[str]()),
        ("word/embeddings/oleObject1.bin", PROGRAM, {"embedded"}),
    ],
)  # fmt: skip
def test_parts_that_would_start_something(part: str, content: bytes, flags: set[str]) -> None:
    assert look(with_part(FILES["docx"], part, content)).flags == flags


def test_relations_without_end_are_a_bomb() -> None:
    assert look(word_with_relations(b" " * 40_000_000 + TEMPLATE)).flags == {"bomb"}


def test_a_binary_workbook_is_no_workbook() -> None:
    made = archive({CONTENT_TYPES: b"<Types/>", "xl/workbook.bin": b"x"})

    assert look(made).mime_type == "application/vnd.ms-excel.sheet.binary.macroenabled.12"


def packed(page: bytes) -> bytes:
    """A PDF whose page is in a compressed stream of objects."""
    first = b"3 0 "
    objects = zlib.compress(first + b"<< /Type /Page /Parent 2 0 R " + page + b" >>")
    bodies = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        4: b"<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\n"
        b"stream\n%s\nendstream" % (len(objects), objects),
    }  # fmt: skip
    made, rows = b"%PDF-1.5\n", {0: (0, 0, 65_535), 3: (2, 4, 0)}
    for number, body in bodies.items():
        rows[number] = (1, len(made), 0)
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows[5] = (1, len(made), 0)
    table = b"".join(struct.pack(">BHH", *rows[number]) for number in range(6))
    made += (
        b"5 0 obj\n<< /Type /XRef /Size 6 /W [1 2 2] /Root 1 0 R /Length 30 >>\nstream\n" + table
    )
    return made + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % rows[5][1]


@pytest.mark.parametrize(
    ("action", "flags"),
    [
        (b"/S /Launch /F (cmd.exe)", {"pdf_launch"}),
        (b"/#53 /L#61unch /F (cmd.exe)", {"pdf_launch"}),
        (b"/S% a comment\n/Launch /F (cmd.exe)", {"pdf_launch"}),
        (b"/S %one\n%two\r  %\n\n /Launch /F (cmd.exe)", {"pdf_launch"}),
        (b"/S%" + b"x" * 10_000 + b"\n/Launch /F (cmd.exe)", {"pdf_launch"}),
        (b"/S /JavaScript /JS (app.alert(1))", {"pdf_script"}),
        (b"/S /URI /URI (https://example.com/Launch)", set[str]()),
        (b"/S /Launcher", set[str]()),
    ],
)
def test_the_actions_of_a_pdf(tmp_path: Path, action: bytes, flags: set[str]) -> None:
    acts = b"/AA << /O << " + action + b" >> >>"

    assert look(pdf(acts), tmp_path).flags == flags
    assert look(packed(acts), tmp_path).flags == flags


def test_names_without_end_are_not_searched_for_long() -> None:
    assert look(pdf(b"/X [" + b"/Launch\n" * 900 + b"]")).flags == set()
    assert look(pdf(b"/X [" + b"/Launch\n" * 1001 + b"]")).flags == {"pdf_launch"}


def test_objects_that_unpack_without_end_are_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poller.checks.pdf.MOST_OBJECT_STREAM_BYTES", 1000)

    assert look(packed(b" " * 1000)).flags == {"bomb"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ("<html>", "html"),
        ("<?= `id` ?>", "script"),
        ("[Desktop Entry]\nExec=id\n", "script"),
        ("[Shell]\nIconFile=\\\\host\\x\n", "script"),
    ],
)
def test_white_space_hides_no_beginning(encoding: str, words: str, flag: str) -> None:
    after = "é" if encoding == "latin-1" else ""
    assert look((" \n" * 200_000 + words + after).encode(encoding)).flags == {flag}
