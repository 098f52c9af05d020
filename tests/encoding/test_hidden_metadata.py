"""Metadata in places where few would look for it."""

from __future__ import annotations

import io
import struct
import tracemalloc

import pytest
from PIL import Image, TiffImagePlugin

from poller.checks import Content, examine
from poller.metadata import UNREADABLE, drop_metadata, find_metadata
from tests.encoding.images import PLACE, PROFILE, chunk, exif, photo, saved, shown


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


def bmp_with_gap(**options: object) -> bytes:
    """Words between the colours and the pixels."""
    plain = saved(photo(60, 40, **options), "BMP")  # pyright: ignore[reportArgumentType]
    (pixels_at,) = struct.unpack_from("<I", plain, 10)
    head = plain[:10] + struct.pack("<I", pixels_at + len(PLACE)) + plain[14:pixels_at]
    return head + PLACE + plain[pixels_at:]


def tiff_of_jpeg(compression: int, more: bytes = b"") -> bytes:
    """As programs wrap a camera's JPEG, with all that is in it."""
    strip = jpeg_with(segment(0xE1, b"Exif\0\0" + exif()[6:]), segment(0xFE, PLACE), more)
    fields = {
        256: 60, 257: 40, 258: 8, 259: compression, 262: 6, 273: 0, 277: 3, 278: 40,
        279: len(strip),
    }  # fmt: skip
    if compression == 6:
        fields |= {513: 0, 514: len(strip)}
    at = 8 + 2 + 12 * len(fields) + 4
    made = struct.pack("<2sHIH", b"II", 42, 8, len(fields))
    for tag, value in sorted(fields.items()):
        made += struct.pack("<HHII", tag, 4, 1, at if tag in (273, 513) else value)
    return made + bytes(4) + strip


def webp_with_chunk_in_a_frame() -> bytes:
    options = {"save_all": True, "append_images": [photo(60, 40).rotate(90)]}
    made = saved(photo(60, 40), "WEBP", **options)
    at = made.index(b"ANMF")
    (size,) = struct.unpack_from("<I", made, at + 4)
    end = at + 8 + size + size % 2
    frame = made[at + 8 : end] + b"EXIF" + struct.pack("<I", len(PLACE)) + PLACE
    changed = made[:at] + b"ANMF" + struct.pack("<I", len(frame)) + frame + made[end:]
    return changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:]


def gif_with_more_in_its_loop() -> bytes:
    options = {"save_all": True, "append_images": [photo(60, 40).rotate(90)], "loop": 0}
    made = saved(photo(60, 40).convert("P"), "GIF", **options)
    at = made.index(b"NETSCAPE2.0") + 11 + 4
    return made[:at] + bytes([len(PLACE)]) + PLACE + made[at:]


def png_with_palette_of_a_name() -> bytes:
    made = saved(photo(60, 40), "PNG")
    return made[:33] + chunk(b"sPLT", PLACE + b"\0\x08") + made[33:]


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
    "before the pixels": ("image/bmp", bmp_with_gap(), "unused bytes"),
    "after a palette": ("image/bmp", bmp_with_gap(mode="P"), "unused bytes"),
    "in a TIFF's JPEG": ("image/tiff", tiff_of_jpeg(7), "application data"),
    "in an old TIFF's JPEG": ("image/tiff", tiff_of_jpeg(6), "application data"),
    "in a frame": ("image/webp", webp_with_chunk_in_a_frame(), "application data"),
    "in a loop": ("image/gif", gif_with_more_in_its_loop(), "application data"),
    "a palette's name": ("image/png", png_with_palette_of_a_name(), "application data"),
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


@pytest.mark.parametrize("big", [False, True])
def test_data_past_the_end_of_a_tiff_takes_no_memory(big: bool) -> None:
    content = bytearray(saved(photo(60, 40), "TIFF", big_tiff=big) + PLACE)
    (at,) = struct.unpack_from("<Q" if big else "<I", content, 8 if big else 4)
    size, skip, inline = (20, 8, 12) if big else (12, 2, 8)
    (count,) = struct.unpack_from("<H", content, at)
    entries = range(at + skip, at + skip + count * size, size)
    (strips,) = (one for one in entries if struct.unpack_from("<H", content, one)[0] == 273)
    struct.pack_into("<I", content, strips + inline, 0xFFFFFF00)

    tracemalloc.start()
    try:
        stripped = drop_metadata(bytes(content), "image/tiff")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000
    assert len(stripped) <= len(content)


def test_a_directory_past_all_numbers_is_unreadable() -> None:
    content = bytearray(saved(photo(60, 40), "TIFF", big_tiff=True))
    content[8:16] = b"\xff" * 8

    assert find_metadata(bytes(content), "image/tiff") == [UNREADABLE]
    with pytest.raises(ValueError, match="within its structure"):
        drop_metadata(bytes(content), "image/tiff")


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


def bmp_with_palette(image: Image.Image, header_bytes: int) -> bytes:
    """256 colours, which its header does not count; the header of OS/2 has three bytes for each."""
    plain = bytearray(saved(image, "BMP"))
    if header_bytes == 40:
        struct.pack_into("<I", plain, 14 + 32, 0)
        return bytes(plain)
    (pixels_at,) = struct.unpack_from("<I", plain, 10)
    palette, pixels = plain[54:pixels_at].ljust(1024, b"\0"), plain[pixels_at:]
    colours = b"".join(bytes(palette[at : at + 3]) for at in range(0, 1024, 4))
    head = struct.pack("<2sIIIIHHHH", b"BM", 26 + 768 + len(pixels), 0, 26 + 768, 12, 60, 40, 1, 8)
    return head + colours + pixels


@pytest.mark.parametrize("header_bytes", [12, 40])
def test_a_palette_of_a_bmp_stays(header_bytes: int) -> None:
    image = photo(60, 40, "P")
    content = bmp_with_palette(image, header_bytes)
    assert shown(content) == shown(saved(image, "BMP"))

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


MANY = 100_001
SMALL = {
    "JPEG": ("image/jpeg", jpeg_with(segment(0xFE, b"") * MANY)),
    "GIF": ("image/gif", GIF[:-1] + b"\x21\xfe\0" * MANY + GIF[-1:]),
    "PNG": ("image/png", saved(photo(60, 40), "PNG")[:-12] + chunk(b"prIv", b"") * MANY),
}


@pytest.mark.parametrize("form", SMALL)
def test_parts_without_end_take_no_memory(form: str) -> None:
    mime_type, content = SMALL[form]

    assert find_metadata(content, mime_type) == [UNREADABLE]
    with pytest.raises(ValueError, match="more than 100000 parts"):
        drop_metadata(content, mime_type)


def test_segments_without_end_in_a_strip_take_no_memory() -> None:
    content = tiff_of_jpeg(7, segment(0xFE, b"x") * MANY)

    assert find_metadata(content, "image/tiff") == [UNREADABLE]
