"""Valid files of any size, each with content of its own."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from poller.sandbox.samples import SAMPLES

JPEG_SEGMENT = 65_533
"""The most bytes that a comment segment of a JPEG holds."""


def filler(number: int, size: int) -> Iterator[bytes]:
    """`size` bytes that no other number gives, and that do not compress."""
    block = random.Random(number).randbytes(1 << 20)  # noqa: S311 - a test file, no secret
    for _ in range(size >> 20):
        yield block
    yield block[: size & 0xFFFFF]


def sample(name: str) -> bytes:
    (found,) = (one for one in SAMPLES if one.name == name)
    return found.read()


def jpeg(number: int, size: int) -> Iterator[bytes]:
    """Comment segments after the first segment, which has to stay the first."""
    picture = sample("sample.jpg")
    at = 4 + struct.unpack_from(">H", picture, 4)[0]
    yield picture[:at]
    comment = b"".join(filler(number, JPEG_SEGMENT))
    for _ in range(size // (JPEG_SEGMENT + 4)):
        yield b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    yield picture[at:]


def png(number: int, size: int) -> Iterator[bytes]:
    """One long private chunk before the end."""
    picture = sample("sample.png")
    body = b"paDd" + b"".join(filler(number, size))
    yield picture[:-12] + struct.pack(">I", len(body) - 4) + body
    yield struct.pack(">I", zlib.crc32(body)) + picture[-12:]


def wav(number: int, size: int) -> Iterator[bytes]:
    """Sound, of 16 bits and one channel."""
    size &= ~1
    yield b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    yield struct.pack("<IHHIIHH", 16, 1, 1, 44_100, 88_200, 2, 16)
    yield b"data" + struct.pack("<I", size)
    yield from filler(number, size)


def mp4(number: int, size: int) -> Iterator[bytes]:
    """A box of free space at the end."""
    yield sample("sample.mp4") + struct.pack(">I", 8 + size) + b"free"
    yield from filler(number, size)


FORMATS: list[tuple[str, str, Callable[[int, int], Iterator[bytes]]]] = [
    ("image/jpeg", "image", jpeg),
    ("audio/wav", "audio", wav),
    ("video/mp4", "video", mp4),
    ("image/png", "image", png),
]
"""MIME type, WhatsApp's media type, and what makes the pieces of a file."""
DOCX = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document")


def write_file(folder: Path, number: int, size: int) -> tuple[Path, str, str]:
    """Write a file of about `size` bytes; returns it with its MIME type and media type."""
    path = folder / f"{size}-{number}"
    if number % (len(FORMATS) + 1) == len(FORMATS):
        path.write_bytes(sample("sample.docx"))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("word/media/image1.bin", b"".join(filler(number, size - 20_000)))
        return path, *DOCX
    mime_type, media_type, pieces = FORMATS[number % (len(FORMATS) + 1)]
    with path.open("wb") as file:
        file.writelines(pieces(number, size - 20_000))
    return path, mime_type, media_type
