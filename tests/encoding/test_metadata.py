"""Metadata goes, and the image stays as it was."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from poller.checks import Content, examine
from poller.metadata import UNREADABLE, drop_metadata, find_metadata
from poller.sandbox.samples import SAMPLES
from tests.encoding.images import PLACE, PROFILE, exif, full_of_metadata, photo, saved, shown

TYPES = {
    "JPEG": ("image/jpeg", ["comment", "exif", "gps", "iptc", "trailer", "xmp"]),
    "PNG": ("image/png", ["application data", "exif", "gps", "text", "time", "trailer"]),
    "WEBP": ("image/webp", ["exif", "gps", "xmp"]),
    "GIF": ("image/gif", ["comment", "xmp"]),
    "TIFF": ("image/tiff", ["fields", "gps", "xmp"]),
}


@pytest.mark.parametrize("orientation", [None, 1, 6, 8])
@pytest.mark.parametrize("form", TYPES)
def test_all_metadata_is_found_and_dropped(form: str, orientation: int | None) -> None:
    mime_type, kinds = TYPES[form]
    content = full_of_metadata(form, orientation)
    facts = examine(Content.of_bytes(content))
    assert (facts.mime_type, facts.details["metadata"]) == (mime_type, kinds)

    stripped = drop_metadata(content, mime_type)

    assert PLACE in content
    assert PLACE not in stripped
    assert shown(stripped) == shown(content)
    assert len(stripped) <= len(content)
    again = examine(Content.of_bytes(stripped))
    assert (again.mime_type, again.flags, again.details) == (
        mime_type, set(), {k: v for k, v in facts.details.items() if k != "metadata"},
    )  # fmt: skip
    assert drop_metadata(stripped, mime_type) == stripped


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_colour_profile_stays(form: str) -> None:
    stripped = drop_metadata(full_of_metadata(form), TYPES[form][0])

    with Image.open(io.BytesIO(stripped)) as image:
        assert image.info["icc_profile"] == PROFILE


def test_the_samples_of_encoders_have_little_metadata() -> None:
    for sample in SAMPLES:
        if sample.mime_type in {mime_type for mime_type, _ in TYPES.values()}:
            content = sample.read()
            stripped = drop_metadata(content, sample.mime_type)
            assert shown(stripped) == shown(content), sample.name
            assert find_metadata(stripped, sample.mime_type) == [], sample.name


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_several_scans_is_walked_to_its_end(progressive: bool) -> None:
    content = saved(photo(300, 200), "JPEG", progressive=progressive, exif=exif(None), restart=4)

    assert shown(drop_metadata(content, "image/jpeg")) == shown(content)


def test_the_further_images_of_a_camera_go() -> None:
    """They have metadata of their own."""
    frames = [photo(60, 40), photo(30, 20)]
    content = saved(
        frames[0], "MPO", save_all=True, append_images=frames[1:], exif=exif(3), quality=95
    )
    assert find_metadata(content, "image/jpeg") == ["exif", "further images", "gps", "trailer"]

    stripped = drop_metadata(content, "image/jpeg")

    assert shown(stripped) == shown(content)[:1]


def test_an_animated_webp_stays_animated() -> None:
    frames = [photo(60, 40), photo(60, 40).rotate(180)]
    content = saved(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], exif=exif(), lossless=True
    )

    assert len(shown(drop_metadata(content, "image/webp"))) == 2
    assert shown(drop_metadata(content, "image/webp")) == shown(content)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["II", "MM"])
def test_all_pages_of_a_tiff_are_walked(order: str, big: bool) -> None:
    pages = [photo(60, 40), photo(30, 20)]
    content = saved(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], description=PLACE.decode(),
        big_tiff=big,
    )  # fmt: skip
    if order == "MM":
        content = saved(photo(60, 40, "L"), "TIFF", software=PLACE.decode(), big_tiff=big)
    stripped = drop_metadata(content, "image/tiff")

    assert PLACE in content
    assert PLACE not in stripped
    assert shown(stripped) == shown(content)


@pytest.mark.parametrize("form", TYPES)
def test_a_file_that_is_cut_off_or_changed_never_raises_anything_else(form: str) -> None:
    mime_type, content = TYPES[form][0], full_of_metadata(form)
    for at in range(0, len(content), 1 + len(content) // 300):
        for bad in (content[:at], content[:at] + b"\xff" + content[at + 1 :]):
            if find_metadata(bad, mime_type) == [UNREADABLE]:
                with pytest.raises(ValueError, match=r"."):
                    drop_metadata(bad, mime_type)


def test_directories_in_circles_end() -> None:
    tiff = bytearray(full_of_metadata("TIFF"))
    (first,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, first)
    struct.pack_into("<I", tiff, first + 2 + 12 * count, first)

    with pytest.raises(ValueError, match="circles"):
        drop_metadata(bytes(tiff), "image/tiff")


def test_bytes_between_the_segments_of_a_jpeg_go() -> None:
    """Decoders pass over them; who knows what they are."""
    content = full_of_metadata("JPEG")
    hidden = content[:2] + PLACE + content[2:]

    assert "unused bytes" in find_metadata(hidden, "image/jpeg")
    assert drop_metadata(hidden, "image/jpeg") == drop_metadata(content, "image/jpeg")


def test_metadata_that_hides_its_structure_is_said_to_be_unreadable() -> None:
    content = full_of_metadata("JPEG")
    hidden = content[:2] + b"\xff\xd0" + PLACE + content[2:]

    assert find_metadata(hidden, "image/jpeg") == [UNREADABLE]
