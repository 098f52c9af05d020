"""What a private file says of itself stays when it is made smaller, or the file stays as it is."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from poller.checks import Content
from poller.encoding import KeptError, encode
from tests.encoding.images import PLACE, PROFILE, XMP, exif, full_of_metadata, photo, saved, shown
from tests.encoding.test_sound import wav

LOSSY = {"edge_most": 4000, "quality": 50}
ROTATED = XMP.replace(b"adobe:ns:meta/'>", b'adobe:ns:meta/\' tiff:Orientation="6">')


def encoded(content: bytes, mime_type: str, codec: str, **plan: Any) -> bytes:
    plan = {"from": mime_type, "codec": codec, "drop_metadata": False} | plan
    return encode(Content.of_bytes(content), plan)


@pytest.mark.parametrize("codec", ["png", "webp-lossless"])
def test_a_tiff_keeps_what_it_says_of_itself(codec: str) -> None:
    content = full_of_metadata("TIFF")

    made = encoded(content, "image/tiff", codec)

    assert shown(made) == shown(content)
    with Image.open(io.BytesIO(made)) as image:
        image.load()
        found = image.getexif()
        for tag in (ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Copyright):
            assert found[tag] == PLACE.decode()
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[2] == (48.0, 51.0, 30.0)
        assert ExifTags.Base.StripOffsets not in found
        xmp = image.info["xmp"] if codec != "png" else image.info["XML:com.adobe.xmp"].encode()
        assert xmp == XMP


def test_fields_of_maps_stay() -> None:
    fields = TiffImagePlugin.ImageFileDirectory_v2()
    fields[33550] = (0.5, 0.5, 0.0)
    fields.tagtype[33550] = 12
    content = saved(photo(60, 40), "TIFF", tiffinfo=fields)

    with Image.open(io.BytesIO(encoded(content, "image/tiff", "png"))) as made:
        assert made.getexif()[33550] == (0.5, 0.5, 0.0)


def tiff_with_iptc() -> bytes:
    fields = TiffImagePlugin.ImageFileDirectory_v2()
    fields[33723] = PLACE
    fields.tagtype[33723] = 7
    return saved(photo(60, 40), "TIFF", tiffinfo=fields)


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body


LOST = {
    "iptc": ("image/tiff", tiff_with_iptc(), "png", "iptc"),
    "JPEG": ("image/jpeg", full_of_metadata("JPEG"), "jpeg", "iptc, trailer"),
    "PNG": ("image/png", full_of_metadata("PNG"), "webp", "application data, text, time, trailer"),
    "BMP": ("image/bmp", saved(photo(60, 40), "BMP") + PLACE, "png", "trailer"),
    "cue points": ("audio/wav", wav() + chunk(b"cue ", bytes(4)), "flac", "cue"),
    "labels": ("audio/wav", wav() + chunk(b"LIST", b"adtl" + PLACE), "opus", "LIST"),
    "broadcast": (
        "audio/wav",
        wav()[:12] + chunk(b"bext", bytes(602)) + wav()[12:],
        "flac",
        "bext",
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_what_would_lose_metadata_stays_as_it_is(case: str) -> None:
    mime_type, content, codec, words = LOST[case]

    with pytest.raises(KeptError, match=f"lose metadata: {words}$"):
        encoded(content, mime_type, codec, bit_rate=96_000, **LOSSY)


@pytest.mark.parametrize("codec", ["webp", "webp-lossless"])
def test_a_profile_of_greys_is_never_put_on_colours(codec: str) -> None:
    grey = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    form, mime_type = ("PNG", "image/png") if codec == "webp" else ("TIFF", "image/tiff")
    content = saved(photo(60, 40, "L"), form, icc_profile=grey)

    with pytest.raises(KeptError, match="greys"):
        encoded(content, mime_type, codec, **LOSSY)


@pytest.mark.parametrize(("form", "codec"), [("JPEG", "jpeg"), ("WEBP", "webp"), ("TIFF", "png")])
@pytest.mark.parametrize("orientation", [None, 8])
def test_only_exif_says_which_way_is_up(form: str, codec: str, orientation: int | None) -> None:
    """As in browsers, also where XMP says otherwise."""
    plan = LOSSY | {"drop_metadata": True}
    image, block = photo(90, 60), exif(orientation)
    sizes = list[tuple[int, int]]()
    for xmp in ({}, {"xmp": ROTATED}):
        if form == "TIFF":
            fields = Image.Exif()
            fields.load(block)
            if xmp:
                fields[700] = ROTATED
            content = saved(image, form, exif=fields)
        else:
            content = saved(image, form, exif=block, **xmp, quality=95)
        with Image.open(
            io.BytesIO(encoded(content, f"image/{form.lower()}", codec, **plan))
        ) as made:
            sizes.append(made.size)

    assert sizes == [(60, 90) if orientation else (90, 60)] * 2


def test_xmp_says_nothing_of_what_has_been_turned() -> None:
    element = b"<tiff:Orientation>6</tiff:Orientation>"
    for xmp in (ROTATED, XMP.replace(PLACE, PLACE + element)):
        content = saved(photo(90, 60), "JPEG", exif=exif(6), xmp=xmp, quality=95)

        made = encoded(content, "image/jpeg", "jpeg", **LOSSY)

        assert PLACE in made
        assert b"tiff:Orientation" not in made
        with Image.open(io.BytesIO(made)) as image:
            assert image.size == ImageOps.exif_transpose(image).size == (60, 90)


def test_a_tiff_of_which_xmp_says_what_is_up_loses_its_metadata() -> None:
    fields = Image.Exif()
    fields[700] = ROTATED
    content = saved(photo(90, 60), "TIFF", exif=fields)

    made = encode(Content.of_bytes(content), {"from": "image/tiff", "drop_metadata": True})

    assert PLACE in content
    assert PLACE not in made
