"""Metadata in places where few would look for it."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, TiffImagePlugin

from poller.checks import Content, examine
from poller.metadata import drop_metadata, find_metadata
from tests.encoding.images import PLACE, PROFILE, exif, photo, saved, shown


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", 2 + len(body)) + body


def jpeg_with(*segments: bytes, header: bytes | None = None) -> bytes:
    made = saved(photo(60, 40), "JPEG", icc_profile=PROFILE)
    return made[:2] + (header or made[2:20]) + b"".join(segments) + made[20:]


def thumbnail() -> bytes:
    """The header of JFIF with 20 pixels of a thumbnail in it."""
    pixels = (PLACE * 5)[:60]
    return segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1" + bytes((20, 1)) + pixels)


def bmp_with_profile(space: bytes, profile: bytes) -> bytes:
    """BITMAPV5HEADER, the pixels, and the profile."""
    plain = saved(photo(60, 40), "BMP")
    pixels = plain[54:]
    header = bytearray(124)
    header[:40] = struct.pack("<I", 124) + plain[18:54]
    header[56:60] = space
    struct.pack_into("<II", header, 112, 124 + len(pixels), len(profile))
    size = 138 + len(pixels) + len(profile)
    return struct.pack("<2sIII", b"BM", size, 0, 138) + bytes(header) + pixels + profile


def tiff_with_unused_bytes(**options: object) -> bytes:
    """As programs leave it that write the directory anew at the end."""
    plain = saved(photo(60, 40), "TIFF", **options)
    (at,) = struct.unpack_from("<I", plain, 4)
    directory = plain[at:]
    left = plain + PLACE + b"." * (len(PLACE + plain) % 2)
    count = struct.unpack_from("<H", directory)[0]
    return left[:4] + struct.pack("<I", len(left)) + left[8:] + directory[: 6 + 12 * count]


GIF = saved(photo(60, 40).convert("P"), "GIF")
HIDDEN = {
    "thumbnail": ("image/jpeg", jpeg_with(header=thumbnail()), "thumbnail"),
    "old IPTC": ("image/jpeg", jpeg_with(segment(0xED, b"Adobe_CM\0" + PLACE)), "iptc"),
    "after Adobe's": (
        "image/jpeg",
        jpeg_with(segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + PLACE)),
        "application data",
    ),
    "profile of another": (
        "image/jpeg", jpeg_with(segment(0xE5, b"ICC_PROFILE\0" + PLACE)), "application data",
    ),
    "plain text": (
        "image/gif",
        GIF[:-1] + b"\x21\x01\x0c" + bytes(12) + bytes([len(PLACE)]) + PLACE + b"\0" + GIF[-1:],
        "text",
    ),
    "after a BMP": ("image/bmp", saved(photo(60, 40), "BMP") + PLACE, "trailer"),
    "a profile's file": ("image/bmp", bmp_with_profile(b"KNIL", PLACE), "linked profile"),
    "after a TIFF": ("image/tiff", saved(photo(60, 40), "TIFF") + PLACE, "trailer"),
    "between": ("image/tiff", tiff_with_unused_bytes(), "unused bytes"),
    "between, compressed": (
        "image/tiff", tiff_with_unused_bytes(compression="tiff_lzw"), "unused bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HIDDEN)
def test_hidden_metadata_is_found_and_dropped(case: str) -> None:
    mime_type, content, kind = HIDDEN[case]
    facts = examine(Content.of_bytes(content))
    assert (facts.mime_type, facts.flags) == (mime_type, set())
    assert kind in facts.details["metadata"]

    stripped = drop_metadata(content, mime_type)

    assert PLACE in content
    assert PLACE not in stripped
    assert shown(stripped) == shown(content)
    again = examine(Content.of_bytes(stripped))
    assert (again.mime_type, again.flags, "metadata" in again.details) == (mime_type, set(), False)


@pytest.mark.parametrize("more", [b"", b"\0"])
def test_exif_of_any_length_leaves_a_webp_whole(more: bytes) -> None:
    content = saved(photo(60, 40), "WEBP", exif=exif(6)[6:] + more)

    stripped = drop_metadata(content, "image/webp")

    assert PLACE not in stripped
    assert shown(stripped) == shown(content)
    assert len(stripped) % 2 == 0
    assert find_metadata(stripped, "image/webp") == []


def test_a_profile_of_a_bmp_stays() -> None:
    content = bmp_with_profile(b"DEBM", PROFILE)

    assert find_metadata(content, "image/bmp") == []
    assert drop_metadata(content + PLACE, "image/bmp") == content


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
def test_nothing_is_missing_of_a_tiff(mode: str, compression: str) -> None:
    if compression == "jpeg" and mode in ("1", "P", "RGBA"):
        compression = "packbits"
    pages = [photo(300, 200).convert(mode), photo(90, 60).convert(mode)]
    content = saved(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression,
        description=PLACE.decode(), icc_profile=PROFILE,
        tiffinfo={TiffImagePlugin.ROWSPERSTRIP: 16},
    )  # fmt: skip

    stripped = drop_metadata(content + PLACE, "image/tiff")

    assert PLACE not in stripped
    assert shown(stripped) == shown(content)
    with Image.open(io.BytesIO(stripped)) as image:
        assert image.info["icc_profile"] == PROFILE
