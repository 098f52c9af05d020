"""Files that nobody sends by mistake, made from the samples."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

from poller.checks import Content, Facts, examine
from poller.sandbox.samples import SAMPLES

MIME = {sample.name.partition(".")[2]: sample.mime_type for sample in SAMPLES}
FILES = {sample.name.partition(".")[2]: sample.read() for sample in SAMPLES}
SCRIPT = b"<script>alert(document.domain)</script>"


def look(content: bytes, folder: Path | None = None) -> Facts:
    """The facts of a file, which are the same from memory as, in a folder, from disk."""
    facts = examine(Content.of_bytes(content))
    if folder:
        path = folder / "file"
        path.write_bytes(content)
        with path.open("rb") as file, Content.of_file(file) as mapped:
            assert examine(mapped).as_json() == facts.as_json()
    return facts


def png(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel: a small file of any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    packer = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    pixels = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def archive(parts: dict[str, bytes], level: int = 6) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as opened:
        for name, part in parts.items():
            opened.writestr(name, part)
    return made.getvalue()


def with_part(office_file: bytes, name: str, content: bytes) -> bytes:
    """The Office file with one more part, or another one in the place of one."""
    with zipfile.ZipFile(io.BytesIO(office_file)) as opened:
        parts = {part: opened.read(part) for part in opened.namelist()}
    return archive(parts | {name: content})


def jpeg_with_comment(comment: bytes) -> bytes:
    """The sample JPEG with a comment, which every viewer passes over."""
    jpeg = FILES["jpg"]
    segment = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    return jpeg[:20] + segment + jpeg[20:]


def gif_with_large_frame() -> bytes:
    """A GIF that says it is small, and whose frame is not."""
    gif = bytearray(FILES["gif"])
    at = gif.index(b"\x2c\0\0\0\0")  # an image descriptor: position, width, height
    gif[at + 5 : at + 9] = struct.pack("<HH", 65_535, 65_535)
    return bytes(gif)


def docx_with_entities() -> bytes:
    laughs = (
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><l>&b;</l>'
    )
    return with_part(FILES["docx"], "docProps/custom.xml", laughs)


def docx_with_remote_template(target: bytes) -> bytes:
    kind = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"
    relations = (
        b'<Relationships><Relationship Id="rId1" Type="' + kind
        + b'" Target="' + target + b'" TargetMode="External"/></Relationships>'
    )  # fmt: skip
    return with_part(FILES["docx"], "word/_rels/settings.xml.rels", relations)


def pdf(catalog: bytes) -> bytes:
    """A PDF of one empty page, with this in its catalog."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R " + catalog + b" >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
    ]
    made, offsets = b"%PDF-1.7\n", list[int]()
    for number, body in enumerate(objects, 1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    made_bytes = len(made)
    made += b"xref\n0 4\n0000000000 65535 f \n" + table
    return made + b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % made_bytes


def rename_stream(ole_file: bytes, old: str, new: str) -> bytes:
    """An OLE container whose directory calls a stream otherwise."""
    was, now = (name.encode("utf-16-le").ljust(64, b"\0") for name in (old, new))
    assert ole_file.count(was) == 1
    at = ole_file.index(was)
    length = struct.pack("<H", 2 * len(new) + 2)
    return ole_file[:at] + now + length + ole_file[at + 66 :]
