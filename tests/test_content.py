"""Content: types read from bytes, and the spool that holds a download."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from poller.checks import Content, examine
from poller.content import PIECE_BYTES, Spool
from poller.sandbox.samples import SAMPLES, Sample, variant
from tests.helpers import sha256

BY_NAME = {sample.name.partition(".")[2]: sample for sample in SAMPLES}

LIBMAGIC_LEAVES_NO_TRACE = """
import ctypes, os
before = dict(os.environ), ctypes.CDLL, vars(ctypes.CDLL).copy()
import poller.libmagic
assert poller.libmagic.libmagic_type(b"%PDF-1.7\\n") == "application/pdf"
assert before == (dict(os.environ), ctypes.CDLL, vars(ctypes.CDLL).copy())
"""


def detect_both(content: bytes, tmp_path: Path) -> str:
    """The type, which must be the same in memory and on disk."""
    file = tmp_path / "content"
    file.write_bytes(content)
    with file.open("rb") as stream, Content.of_file(stream) as mapped:
        on_disk = examine(mapped).as_json()
    assert examine(Content.of_bytes(content)).as_json() == on_disk
    return on_disk["mime_type"]


NO_ROOM = """
import resource
from poller.content import Spool, SpoolError
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
spool = Spool(0, None)
spool.write(bytes(4000))
try:
    spool.write(bytes(200))
except SpoolError as error:
    assert error.code == "spool_full", error.code
else:
    raise AssertionError("the last bytes are nowhere, and nobody was told")
spool.close()
"""


def test_a_spool_without_room_says_so_at_once() -> None:
    subprocess.run([sys.executable, "-c", NO_ROOM], check=True)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
async def test_every_format_is_told_by_its_bytes(db: Any, tmp_path: Path, sample: Sample) -> None:
    for number in (0, 1, 7):
        detected = detect_both(variant(sample, number), tmp_path)

        found = await db.fetchval("select mime_type from find_media_format($1)", detected)
        assert found == sample.mime_type, detected


@pytest.mark.parametrize("brand", [b"isom", b"mp42", b"iso2", b"avc1", b"qt  ", b"3gp4"])
def test_sound_in_a_film_container_is_sound(tmp_path: Path, brand: bytes) -> None:
    sound = BY_NAME["m4a"].read()
    assert sound[4:8] == b"ftyp"
    relabelled = sound[:8] + brand + sound[12:]
    film = BY_NAME["mp4"].read()

    assert detect_both(relabelled, tmp_path) == "audio/mp4"
    assert detect_both(film[:8] + brand + film[12:], tmp_path).startswith("video/")


def test_a_film_with_the_brand_of_sound_is_no_sound(tmp_path: Path) -> None:
    film = BY_NAME["mp4"].read()

    assert detect_both(film[:8] + b"M4A " + film[12:], tmp_path) != "audio/mp4"


def rezip(content: bytes, seed: int, *, stored: bool) -> bytes:
    """The same archive with its parts in another order."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    random.Random(seed).shuffle(parts)  # noqa: S311 - no secret
    made = io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, part in parts:
            archive.writestr(name, part)
    return made.getvalue()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("name", ["docx", "xlsx"])
def test_office_parts_in_any_order(tmp_path: Path, name: str, stored: bool, seed: int) -> None:
    sample = BY_NAME[name]

    reordered = rezip(sample.read(), seed, stored=stored)

    assert detect_both(reordered, tmp_path) == sample.mime_type


@pytest.mark.parametrize(
    ("parts", "cut"),
    [
        ({"a.txt": "x", "word/document.xml": "x"}, None),
        ({"[Content_Types].xml": "x", "ppt/presentation.xml": "x"}, None),
        ({"[Content_Types].xml": "x", "word/document.xml": "x"}, 60),
        ({}, None),
    ],
    ids=["no types", "slides", "cut off", "empty"],
)
async def test_other_archives_are_no_office_files(
    db: Any, tmp_path: Path, parts: dict[str, str], cut: int | None
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)

    detected = detect_both(made.getvalue()[:cut], tmp_path)

    named = await db.fetchval("select mime_type from find_media_format($1)", detected)
    assert named is None


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><script>alert(1)</script>",
        b"MZ" + bytes(200),
        b"#!/bin/sh\nrm -rf /\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        bytes(1000),
    ],
    ids=["html", "exe", "script", "svg", "zeros"],
)
async def test_what_is_no_media_is_told_too(db: Any, tmp_path: Path, content: bytes) -> None:
    detected = detect_both(content, tmp_path)

    named = await db.fetchval("select mime_type from find_media_format($1)", detected)
    assert named is None


def test_libmagic_leaves_no_trace() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIBMAGIC_LEAVES_NO_TRACE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


async def body_of(spool: Spool) -> bytes:
    content = spool.content()
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    pieces = [piece async for piece in content]
    assert max(map(len, pieces)) <= PIECE_BYTES
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 700_000])
async def test_a_spool_gives_back_what_it_got(tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)  # noqa: S311 - no secret
    with Spool(1000, tmp_path) as spool:
        for start in range(0, size, 300):
            spool.write(content[start : start + 300])

        assert spool.size == size
        assert spool.sha256 == sha256(content)
        assert spool.in_memory == (size <= 1000)
        assert spool.read() == content
        assert await body_of(spool) == content
        assert await body_of(spool) == content  # a repeated upload
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - a file without a name


def open_files(folder: Path) -> int:
    """How many files below the folder this process holds open."""
    held = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return sum(entry.readlink().is_relative_to(folder) for entry in held)


def test_the_file_is_gone_when_the_spool_is_closed(tmp_path: Path) -> None:
    with Spool(1000, tmp_path) as spool:
        assert open_files(tmp_path) == 0
        spool.write(bytes(1001))
        assert open_files(tmp_path) == 1

    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("memory_bytes", [0, 1, 100_000])
def test_a_spool_holds_no_more_in_memory_than_it_may(tmp_path: Path, memory_bytes: int) -> None:
    piece = bytes(65_536)
    tracemalloc.start()
    with Spool(memory_bytes, tmp_path) as spool:
        for _ in range(160):
            spool.write(piece)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert peak < memory_bytes + 4 * len(piece)
        assert os.fstat(spool.descriptor).st_size + len(piece) > 160 * len(piece)
        assert spool.sha256 == hashlib.sha256(bytes(160 * len(piece))).hexdigest()
