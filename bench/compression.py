"""Bytes saved by compression, and what it costs: `make bench-compression`.

Files as phones, scanners and recorders make them, drawn and sounded here, go through the database's
verdicts and a real encoder. Beside each: what a general compressor (xz) makes of the received
bytes, without loss, and ImageMagick of the same image with the same quality and edge, where it is
installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import lzma
import math
import random
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
from PIL import Image, ImageChops, ImageDraw, ImageOps

from bench.command import Bench, main, new_database
from bench.report import NO_FIGURE
from poller.content import Spool
from poller.db import Database
from poller.inspector import Inspector
from poller.pipeline import Pipeline
from tests.helpers import queue_media

EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


def photo(width: int, height: int) -> Image.Image:
    """Light that changes as in nature, the finer the weaker, and the noise of a sensor."""
    channels = list[Image.Image]()
    for shift in range(3):
        channel = Image.effect_noise((width, height), 9)
        for octave in range(1, 11):
            grid = (max(2, (width >> 11) << octave), max(2, (height >> 11) << octave))
            noise = Image.effect_noise(grid, 90 / 1.6**octave)
            finer = ImageOps.fit(noise, (width, height), Image.Resampling.BICUBIC)
            channel = ImageChops.add(channel, finer, 1, -128 + shift)
        channels.append(channel)
    return Image.merge("RGB", channels)


def page(width: int, height: int) -> Image.Image:
    """Lines of text on white, as scanned."""
    image = Image.new("RGB", (width, height), "white")
    draw, chance = ImageDraw.Draw(image), random.Random(1)  # noqa: S311
    for top in range(150, height - 150, 50):
        words = "".join(chance.choice("abcdefghij klmnop qrst ") for _ in range(width // 24))
        draw.text((150, top), words, fill=(30, 30, 40), font_size=32)
    return image


def screen(width: int, height: int) -> Image.Image:
    """Panes, a picture and text."""
    image = page(width, height)
    image.paste((240, 244, 250), (0, 0, width // 5, height))
    image.paste(photo(width // 2, height // 2), (width // 3, height // 4))
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, form, **options)
    return made.getvalue()


def wav(seconds: int, rate: int, channels: int) -> bytes:
    """Voices: tones with overtones that swell and fade, over a quiet room."""
    chance, body = random.Random(2), bytearray()  # noqa: S311
    for at in range(seconds * rate):
        swell = max(0.0, math.sin(at * 2.2 / rate)) * 9000
        pitch = 180 + 60 * math.sin(at * 1.3 / rate)
        turn = at * 2 * math.pi * pitch / rate
        value = int(swell * (math.sin(turn) + 0.4 * math.sin(3 * turn)) + chance.gauss(0, 12))
        body += struct.pack("<h", max(-32768, min(32767, value))) * channels
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(body)) + b"WAVEfmt " + head
        + b"data" + struct.pack("<I", len(body)) + bytes(body)
    )  # fmt: skip


SAMPLES: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "photo, JPEG": ("image/jpeg", "image", lambda: saved(photo(4600, 3450), "JPEG", quality=97)),
    "photo, PNG": ("image/png", "image", lambda: saved(photo(3000, 2250), "PNG")),
    "photo, WebP": ("image/webp", "image", lambda: saved(photo(4600, 3450), "WEBP", quality=99)),
    "screen, PNG": ("image/png", "image", lambda: saved(screen(3840, 2400), "PNG")),
    "screen, BMP": ("image/bmp", "image", lambda: saved(screen(2560, 1600), "BMP")),
    "scan, TIFF": ("image/tiff", "image", lambda: saved(page(2480, 3508), "TIFF")),
    "scan, TIFF document": ("image/tiff", "document", lambda: saved(page(2480, 3508), "TIFF")),
    "photo, BMP document": ("image/bmp", "document", lambda: saved(photo(2000, 1500), "BMP")),
    "voice, WAV": ("audio/wav", "audio", lambda: wav(60, 44_100, 2)),
    "voice of a phone, WAV": ("audio/wav", "audio", lambda: wav(400, 8_000, 1)),
}


SHORT = ["photo, PNG", "screen, BMP", "scan, TIFF document"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one file; sizes in bytes. None where the peer is not there, or has no such format."""

    received: int
    stored: int
    became: str
    seconds: float
    xz: int
    imagemagick: int | None


def imagemagick(content: bytes, mime_type: str, became: str, plan: dict[str, Any]) -> int | None:
    program = shutil.which("convert")
    if program is None or not became.startswith("image/"):
        return None
    arguments = [program, f"{mime_type.partition('/')[2]}:-", "-auto-orient"]
    if "quality" in plan:
        arguments += ["-resize", f"{plan['edge_most']}x{plan['edge_most']}>"]
        arguments += ["-quality", str(plan["quality"])]
    arguments.append(f"{EXTENSIONS[became]}:-")
    done = subprocess.run(arguments, input=content, capture_output=True, check=True)
    return len(done.stdout)


async def encode(db: Any, works: Pipeline, content: bytes, mime_type: str, kind: str) -> Figures:
    """Through the verdicts on received bytes, as poller.pipeline goes."""
    await queue_media(db, media_type=kind)
    (job,) = await works.database.claim(1)
    with contextlib.ExitStack() as spools:
        spool = spools.enter_context(Spool(0, None))
        spool.write(content)
        facts = await works.inspector.examine(spool)
        begun = await works.database.begin_upload(job, spool.sha256, spool.size, facts)
        assert begun.encoding, begun
        began = time.perf_counter()
        told, stored = await works.encode(job, begun, spool, spools)
        seconds = time.perf_counter() - began
        became = told.content_type or ""
        return Figures(
            spool.size, stored.size, became if stored is not spool else "kept", seconds,
            len(lzma.compress(content, preset=6)),
            imagemagick(content, mime_type, became, begun.encoding),
        )  # fmt: skip


async def run(bench: Bench) -> None:
    bench.report.table(
        "One encoder", ("", ""), ("received", ",d"), ("stored", ",d"), ("saved", ".0%"), ("as", ""),
        ("MB/s", ",.1f"), ("xz", ",d"), ("ImageMagick", ",d"),
    )  # fmt: skip
    absent = cast("Any", None)
    with bench.postgres({}) as postgres:
        dsn = await new_database(postgres, "bench")
        db = await asyncpg.connect(dsn)
        database = await Database.connect(dsn, "bench", 2)
        async with (
            Inspector(children=1, seconds=60, memory_bytes=1 << 30) as inspector,
            Inspector(children=1, seconds=300, memory_bytes=1_610_612_736) as encoder,
        ):
            works = Pipeline(database, absent, absent, inspector, encoder, 0, None)
            for name in bench.size(list(SAMPLES), SHORT):
                mime_type, kind, make = SAMPLES[name]
                content = await asyncio.to_thread(make)
                one = await encode(db, works, content, mime_type, kind)
                bench.report.add(
                    name, one.received, one.stored, 1 - one.stored / one.received, one.became,
                    one.received / 1e6 / one.seconds, one.xz,
                    NO_FIGURE if one.imagemagick is None else one.imagemagick,
                )  # fmt: skip
        await database.close()
        await db.close()


if __name__ == "__main__":
    main(__doc__, lambda bench: asyncio.run(run(bench)))
