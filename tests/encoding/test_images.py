"""Images made smaller: what is shown stays, or the file stays as it is."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from poller.checks import Content, examine
from poller.encoding import KeptError, encode
from poller.encoding.images import same_pixels
from tests.encoding.images import (
    PLACE,
    PROFILE,
    chunk,
    exif,
    full_of_metadata,
    noisy,
    photo,
    saved,
    shown,
)

MIME_TYPE = {"BMP": "image/bmp", "TIFF": "image/tiff", "PNG": "image/png", "JPEG": "image/jpeg",
             "WEBP": "image/webp", "GIF": "image/gif"}  # fmt: skip
UP_TO_200 = {"edge_most": 200, "quality": 80}


def encoded(content: bytes, form: str, codec: str, **plan: Any) -> bytes:
    plan = {"from": MIME_TYPE[form], "codec": codec, "drop_metadata": True} | plan
    return encode(Content.of_bytes(content), plan)


def difference(one: bytes, other: bytes) -> float:
    """Mean difference of two files as they are shown, of 255."""
    with Image.open(io.BytesIO(one)) as left, Image.open(io.BytesIO(other)) as right:
        left.load()
        return max(
            ImageStat.Stat(ImageChops.difference(left.convert("RGBA"), right.convert("RGBA"))).mean
        )


@pytest.mark.parametrize("codec", ["png", "webp-lossless"])
@pytest.mark.parametrize(
    ("form", "mode"),
    [("BMP", "RGB"), ("BMP", "L"), ("BMP", "P"), ("BMP", "1"), ("TIFF", "RGB"), ("TIFF", "RGBA"),
     ("TIFF", "L"), ("TIFF", "LA"), ("TIFF", "1"), ("TIFF", "P")],
)  # fmt: skip
def test_bmp_and_tiff_keep_every_pixel(form: str, mode: str, codec: str) -> None:
    content = saved(photo(300, 200, mode), form)

    made = encoded(content, form, codec)

    assert shown(made) == shown(content)
    assert len(made) < 0.9 * len(content)
    facts = examine(Content.of_bytes(made))
    assert facts.mime_type == f"image/{codec.partition('-')[0]}"
    assert not facts.flags


@pytest.mark.parametrize(("form", "codec"), [("JPEG", "jpeg"), ("PNG", "webp"), ("WEBP", "webp")])
def test_large_images_become_smaller_and_look_the_same(form: str, codec: str) -> None:
    quality = {"quality": 100} if form != "PNG" else {}
    image = photo(200, 150)
    content = saved(image, form, **quality)

    made = encoded(content, form, codec, **UP_TO_200)

    assert len(made) < 0.9 * len(content)
    assert difference(made, content) < 15


@pytest.mark.parametrize(("form", "codec"), [("JPEG", "jpeg"), ("PNG", "webp"), ("WEBP", "webp")])
def test_images_come_to_the_longest_edge_that_is_allowed(form: str, codec: str) -> None:
    made = encoded(saved(photo(400, 100), form), form, codec, **UP_TO_200)

    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (200, 50)


@pytest.mark.parametrize("drop_metadata", [True, False])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "codec"),
    [("JPEG", "jpeg"), ("PNG", "webp"), ("WEBP", "webp"), ("TIFF", "png"),
     ("TIFF", "webp-lossless")],
)  # fmt: skip
def test_what_was_up_stays_up(form: str, codec: str, orientation: int, drop_metadata: bool) -> None:
    options = {"quality": 95} if form in ("JPEG", "WEBP") else {}
    content = saved(photo(90, 60), form, exif=exif(orientation), **options)

    made = encoded(content, form, codec, drop_metadata=drop_metadata, **UP_TO_200)

    with Image.open(io.BytesIO(made)) as image, Image.open(io.BytesIO(content)) as before:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == ((60, 90) if orientation > 4 else (90, 60))
        shown_then = Image.frombytes("RGBA", image.size, shown(content)[0])
        off = ImageStat.Stat(ImageChops.difference(image.convert("RGBA"), shown_then)).mean
        assert max(off) < 15
        assert before.size == (90, 60) or form == "TIFF"


@pytest.mark.parametrize(
    ("form", "codec"), [("JPEG", "jpeg"), ("PNG", "webp"), ("WEBP", "webp"), ("TIFF", "png")]
)
def test_metadata_goes_or_stays_as_the_plan_says_and_the_profile_stays(
    form: str, codec: str
) -> None:
    content = full_of_metadata(form)
    if form == "PNG":  # the smaller file of so few pixels would be the one with the metadata
        content = saved(photo(60, 40), form, exif=exif(), icc_profile=PROFILE)

    without = encoded(content, form, codec, **UP_TO_200)

    assert PLACE not in without
    assert "metadata" not in examine(Content.of_bytes(without)).details
    with Image.open(io.BytesIO(without)) as image:
        assert image.info["icc_profile"] == PROFILE
    content = content if form == "TIFF" else saved(photo(60, 40), form, exif=exif())
    kept = encoded(content, form, codec, drop_metadata=False, **UP_TO_200)
    assert "gps" in examine(Content.of_bytes(kept)).details["metadata"]


def test_transparency_stays() -> None:
    content = saved(photo(300, 200, "RGBA"), "PNG")
    made = encoded(content, "PNG", "webp", edge_most=400, quality=90)

    with Image.open(io.BytesIO(made)) as image, Image.open(io.BytesIO(content)) as before:
        off = ImageChops.difference(image.getchannel("A"), before.getchannel("A"))
        assert off.getextrema() == (0, 0)


def test_one_colour_that_is_transparent_stays_so() -> None:
    image = photo(300, 200, "P")
    made = encoded(
        saved(image, "PNG", transparency=image.getpixel((0, 0))),
        "PNG",
        "webp",
        edge_most=400,
        quality=30,
    )

    with Image.open(io.BytesIO(made)) as shown_now:
        assert shown_now.getchannel("A").getextrema() == (0, 255)


def animation(form: str) -> bytes:
    frames = [photo(60, 40), photo(60, 40).rotate(180)]
    return saved(frames[0], form, save_all=True, append_images=frames[1:])


def png_of_16_bits() -> bytes:
    header = struct.pack(">IIBBBBB", 60, 40, 16, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(40 * (1 + 60 * 6)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)
            + chunk(b"IEND", b""))  # fmt: skip


def png_with_gamma(gamma: int) -> bytes:
    made = saved(photo(60, 40), "PNG")
    return made[:33] + chunk(b"gAMA", gamma.to_bytes(4, "big")) + made[33:]


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    made = saved(photo(60, 40), "PNG")
    return made[:33] + b"".join(chunk(*one) for one in chunks) + made[33:]


P3 = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
"""Of white, red, green and blue, as the chunk cHRM has them."""

HARMED = {
    "wide colours": (
        "PNG",
        lambda: png_with((b"gAMA", struct.pack(">I", 45_455)), (b"cHRM", struct.pack(">8I", *P3))),
        "not those of sRGB",
    ),
    "colours said late": (
        "PNG",
        lambda: png_with((b"tEXt", b"a\0" + b"b" * 5000), (b"cICP", bytes([12, 13, 0, 1]))),
        "cICP",
    ),
    "animated WebP": ("WEBP", lambda: animation("WEBP"), "more than one image"),
    "animated PNG": ("PNG", lambda: animation("PNG"), "more than one image"),
    "TIFF of pages": ("TIFF", lambda: animation("TIFF"), "more than one image"),
    "16 bits, grey": ("PNG", lambda: saved(Image.new("I;16", (60, 40), 999), "PNG"), "I;16"),
    "16 bits, TIFF": ("TIFF", lambda: saved(Image.new("I;16", (60, 40), 999), "TIFF"), "I;16"),
    "16 bits, colour": ("PNG", png_of_16_bits, "16 bits a sample"),
    "floating point": (
        "TIFF",
        lambda: saved(Image.new("F", (60, 40), 0.5), "TIFF"),
        "pixels are F",
    ),
    "CMYK": ("JPEG", lambda: saved(photo(60, 40).convert("CMYK"), "JPEG"), "CMYK"),
    "CMYK, TIFF": ("TIFF", lambda: saved(photo(60, 40).convert("CMYK"), "TIFF"), "CMYK"),
    "Lab": ("TIFF", lambda: saved(Image.new("LAB", (60, 40)), "TIFF"), "LAB"),
    "a gamma of its own": ("PNG", lambda: png_with_gamma(100_000), "a gamma of 1.0"),
}


@pytest.mark.parametrize("case", HARMED)
def test_what_would_be_harmed_stays_as_it_is(case: str) -> None:
    form, make, words = HARMED[case]
    codec = {"JPEG": "jpeg", "TIFF": "png"}.get(form, "webp")

    with pytest.raises(KeptError, match=words):
        encoded(make(), form, codec, **UP_TO_200)


def test_the_second_image_of_a_photo_goes_with_its_metadata_or_not_at_all() -> None:
    made = encoded(animation("MPO"), "JPEG", "jpeg", **UP_TO_200)
    with Image.open(io.BytesIO(made)) as image:
        assert image.format == "JPEG"

    with pytest.raises(KeptError, match="more than one image"):
        encoded(animation("MPO"), "JPEG", "jpeg", **UP_TO_200, drop_metadata=False)


def test_one_transparent_colour_is_not_lost_to_jpeg() -> None:
    content = saved(photo(60, 40), "PNG", transparency=(255, 0, 0))

    with pytest.raises(KeptError, match="JPEG has no pixels"):
        encoded(content, "PNG", "jpeg", **UP_TO_200)


def test_the_same_numbers_of_other_colours_are_another_image() -> None:
    image = photo(60, 40, "P")
    first = Content.of_bytes(saved(image, "PNG"))
    image.putpalette(bytes(reversed(range(256))) * 3)

    assert same_pixels(first, first)
    assert not same_pixels(first, Content.of_bytes(saved(image, "PNG")))


def test_resolutions_turn_with_the_image() -> None:
    content = saved(photo(90, 60), "TIFF", exif=exif(6), dpi=(300, 100))

    with Image.open(io.BytesIO(encoded(content, "TIFF", "png", **UP_TO_200))) as image:
        assert [round(one) for one in image.info["dpi"]] == [100, 300]


def test_usual_colours_and_a_usual_gamma_are_no_reason() -> None:
    s_rgb = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
    assert encoded(png_with((b"cHRM", struct.pack(">8I", *s_rgb))), "PNG", "webp", **UP_TO_200)
    assert encoded(png_with_gamma(45_455), "PNG", "webp", **UP_TO_200)


def test_what_would_grow_stays_as_it_is() -> None:
    content = saved(noisy(100, 100), "JPEG", quality=10)

    with pytest.raises(KeptError, match="grow"):
        encoded(content, "JPEG", "jpeg", edge_most=400, quality=95)
