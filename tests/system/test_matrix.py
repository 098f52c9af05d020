"""Files of every format by many encoders: each is accepted as what it is. `-s` prints the table."""

from __future__ import annotations

import io
import json
import subprocess
import wave
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pypdf
import pytest
from PIL import Image

from poller.checks import Content, examine
from poller.metadata import UNREADABLE, drop_metadata, find_metadata
from tests.checks.makers import MIME
from tests.encoding.images import shown
from tests.helpers import claim, queue_media, sha256

LEAST_FILES = 5
SCRIPT = Path(__file__).with_name("make_matrix.sh")


def made_in_python(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What Python's libraries write; (name, content)."""
    picture = Image.linear_gradient("L").convert("RGB")
    pictures: dict[str, dict[str, Any]] = {
        "pillow.jpg": {"quality": 70, "exif": picture.getexif()},
        "pillow-progressive.jpg": {"progressive": True},
        "pillow.png": {"optimize": True},
        "pillow.gif": {"save_all": True, "append_images": [picture.rotate(90)]},
        "pillow.webp": {"lossless": True},
        "pillow-animated.webp": {"save_all": True, "append_images": [picture.rotate(90)]},
        "pillow.bmp": {},
        "pillow-deflate.tiff": {"compression": "tiff_adobe_deflate"},
        "pillow.pdf": {},
    }
    for name, options in pictures.items():
        path = folder / name
        picture.save(path, **options)
        yield name, path.read_bytes()
    sheet = openpyxl.Workbook()
    sheet.worksheets[0].append(["a", 1])
    write_only = openpyxl.Workbook(write_only=True)
    write_only.create_sheet().append(["a", 1])
    letter = docx.Document()
    letter.add_paragraph("A letter")
    blank = pypdf.PdfWriter()
    blank.add_blank_page(100, 100)
    for name, document in {
        "openpyxl.xlsx": sheet,
        "openpyxl-write-only.xlsx": write_only,
        "python-docx.docx": letter,
    }.items():
        stream = io.BytesIO()
        document.save(stream)
        yield name, stream.getvalue()
    stream = io.BytesIO()
    blank.write(stream)
    yield "pypdf.pdf", stream.getvalue()
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(bytes(range(256)) * 50)
    yield "python.wav", stream.getvalue()


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files by extension and name."""
    folder = tmp_path_factory.mktemp("matrix")
    subprocess.run([SCRIPT, folder], check=True)
    files: dict[str, dict[str, bytes]] = defaultdict(dict)
    for path in sorted(folder.glob("*/*")):
        files[path.parent.name][path.name] = path.read_bytes()
    for name, content in made_in_python(folder):
        files[name.rpartition(".")[2]][name] = content
    return files


async def verdict(db: Any, content: bytes, mime_type: str) -> str:
    """What the database says of a file that was sent as what it is: "upload", or why not."""
    kind, _, _ = mime_type.partition("/")
    kind = kind if kind in ("image", "audio", "video") else "document"
    facts = examine(Content.of_bytes(content)).as_json()
    transaction = db.transaction()
    await transaction.start()
    media = await queue_media(db, media_type=kind, mime_type=mime_type)
    token = (await claim(db))[media]
    begun = await db.fetchrow(
        "select * from begin_media_upload($1, 'poller-1', $2, $3, $4, $5, $6)",
        media, token, sha256(content), len(content), facts["mime_type"], json.dumps(facts),
    )  # fmt: skip
    await transaction.rollback()  # two encoders may have made the same file
    if begun["verdict"] == "upload":
        return "accepted" if begun["content_type"] == mime_type else begun["content_type"]
    if begun["verdict"] == "encode":  # it has metadata, and goes to the public
        kept = json.loads(begun["encoding"])["from"]
        return "accepted" if kept == mime_type else kept
    return f"{begun['reason']}: {facts}"


@pytest.mark.timeout(400)
async def test_every_encoder_of_every_format(
    db: Any, matrix: dict[str, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        extension: {
            name: await verdict(db, content, MIME[extension]) for name, content in files.items()
        }
        for extension, files in matrix.items()
    }

    with capsys.disabled():
        print("\n| format | files | accepted | encoders |\n|---|---|---|---|")  # noqa: T201
        for extension, verdicts in sorted(found.items()):
            accepted = list(verdicts.values()).count("accepted")
            names = ", ".join(name.removesuffix(f".{extension}") for name in verdicts)
            print(f"| {extension} | {len(verdicts)} | {accepted} | {names} |")  # noqa: T201
    assert set(found) == set(MIME)
    assert {name: len(files) for name, files in found.items() if len(files) < LEAST_FILES} == {}
    assert {
        name: said
        for verdicts in found.values()
        for name, said in verdicts.items()
        if said != "accepted"
    } == {}


def test_every_image_loses_its_metadata_and_nothing_else(
    matrix: dict[str, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, list[str]] = {}
    for extension in ("jpg", "png", "gif", "webp", "tiff", "bmp"):
        for name, content in matrix[extension].items():
            kinds = find_metadata(content, MIME[extension])
            if kinds:
                found[name] = kinds
            assert UNREADABLE not in kinds, name
            stripped = drop_metadata(content, MIME[extension])
            assert shown(stripped) == shown(content), name
            assert find_metadata(stripped, MIME[extension]) == [], name

    with capsys.disabled():
        print("\n| image | metadata that goes |\n|---|---|")  # noqa: T201
        for name, kinds in sorted(found.items()):
            print(f"| {name} | {', '.join(kinds)} |")  # noqa: T201
