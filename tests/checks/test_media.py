"""Images are decoded; sound and film are told apart and opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from poller.checks.frames import find_frames
from poller.checks.lengths import missing_bytes
from tests.checks.makers import FILES, MIME, gif_with_large_frame, look, png


@pytest.mark.parametrize(
    ("name", "size", "frames"),
    [
        ("jpg", (160, 120), 1),
        ("png", (160, 120), 1),
        ("gif", (120, 60), 4),
        ("webp", (160, 120), 1),
        ("bmp", (80, 60), 1),
        ("tiff", (80, 60), 1),
    ],
)
def test_an_image_is_measured(
    tmp_path: Path, name: str, size: tuple[int, int], frames: int
) -> None:
    facts = look(FILES[name], tmp_path)

    assert facts.details == {"width": size[0], "height": size[1], "frames": frames}
    assert not facts.flags


def test_the_most_pixels_are_decoded_and_one_line_more_is_not() -> None:
    allowed, bomb = look(png(10_000, 10_000)), look(png(10_000, 10_001))

    assert (allowed.flags, allowed.details["frames"]) == (set[str](), 1)
    assert bomb.flags == {"bomb"}
    assert "100010000 pixels" in (bomb.problem or "")


def test_a_frame_that_is_larger_than_its_image() -> None:
    assert look(gif_with_large_frame()).flags == {"bomb"}


def test_frames_are_counted_and_no_more_decoded_than_is_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = bytearray(FILES["gif"])
    last = content.rindex(b"\x2c\0\0\0\0")
    content[last + 5 : last + 9] = b"\xff" * 4  # its width and height
    assert look(bytes(content)).flags == {"bomb"}

    monkeypatch.setattr("poller.checks.images.MOST_FRAMES", 3)

    facts = look(bytes(content))
    assert (facts.flags, facts.details["frames"]) == (set[str](), 4)


@pytest.mark.parametrize("name", ["jpg", "png", "gif", "webp", "bmp", "tiff"])
def test_an_image_whose_second_half_is_missing(tmp_path: Path, name: str) -> None:
    facts = look(FILES[name][: len(FILES[name]) // 2], tmp_path)

    assert facts.flags & {"damaged", "truncated"}
    assert facts.problem
    assert "0x" not in facts.problem  # no address, so that equal files have equal facts


@pytest.mark.parametrize(
    ("name", "kinds", "seconds"),
    [
        ("mp3", ["audio"], 0.972),
        ("ogg", ["audio"], 0.906),
        ("wav", ["audio"], 0.9),
        ("aac", ["audio"], 0.896),
        ("amr", ["audio"], 0.929),
        ("m4a", ["audio"], 0.896),
        ("mp4", ["video", "audio"], 2.0),
        ("webm", ["video", "audio"], 2.0),
        ("mov", ["video", "audio"], 2.0),
        ("3gp", ["video", "audio"], 2.0),
        ("avi", ["video", "audio"], 2.088),
    ],
)
def test_the_tracks_of_a_container(
    tmp_path: Path, name: str, kinds: list[str], seconds: float
) -> None:
    facts = look(FILES[name], tmp_path)

    assert [track["kind"] for track in facts.details["tracks"]] == kinds
    assert facts.details["seconds"] == seconds
    assert facts.details.get("packets") or facts.details["frames"] > 10
    assert not facts.flags


@pytest.mark.parametrize(
    ("brand", "of_film", "of_sound"),
    [
        (b"isom", "video/mp4", "audio/mp4"),
        (b"mp42", "video/mp4", "audio/mp4"),
        (b"M4A ", "video/mp4", "audio/mp4"),
        (b"M4V ", "video/mp4", "audio/mp4"),
        (b"qt  ", "video/quicktime", "audio/mp4"),
        (b"3gp5", "video/3gpp", "audio/mp4"),
        (b"3g2a", "video/3gpp2", "video/3gpp2"),
        (b"heic", "image/heic", "image/heic"),
        (b"avif", "image/avif", "image/avif"),
    ],
)
def test_iso_files_are_told_by_brand_and_tracks(brand: bytes, of_film: str, of_sound: str) -> None:
    film, sound = FILES["mp4"], FILES["m4a"]

    assert look(film[:8] + brand + film[12:]).mime_type == of_film
    assert look(sound[:8] + brand + sound[12:]).mime_type == of_sound


@pytest.mark.parametrize("name", ["wav", "avi", "mp4", "webm"])
def test_a_container_that_was_cut_off_says_so(name: str) -> None:
    facts = look(FILES[name][: len(FILES[name]) * 6 // 10])

    assert facts.flags == {"truncated"}
    assert (facts.problem or "").endswith("bytes are missing")


@pytest.mark.parametrize("name", ["m4a", "mov", "3gp", "ogg"])
def test_a_container_without_its_index(name: str) -> None:
    assert look(FILES[name][: len(FILES[name]) * 6 // 10]).flags == {"damaged"}


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"])
def test_a_wav_from_a_pipe_does_not_know_its_size(size: bytes) -> None:
    wav = FILES["wav"]

    assert missing_bytes(wav[:4] + size + wav[8:]) == 0
    assert missing_bytes(wav[:-100]) == 100


def test_sound_is_known_by_its_frames() -> None:
    layer_1 = b"\xff\xff\x14\x00" + bytes(28)  # 32 kbit/s at 48 kHz: libmagic knows it as nothing
    facts = look(layer_1 * 50)

    assert facts.mime_type == "audio/mpeg" != facts.libmagic
    assert look(layer_1 + bytes(2000)).mime_type != "audio/mpeg"


@pytest.mark.parametrize(("name", "frames"), [("mp3", 27), ("aac", 14), ("amr", 45)])
def test_every_frame_is_counted(name: str, frames: int) -> None:
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) if name == "mp3" else b""

    assert find_frames(tag + FILES[name], MIME[name]) == (frames, len(FILES[name]))


def test_frames_that_are_a_small_part_of_the_file() -> None:
    facts = look(FILES["mp3"][:2000] + bytes(range(1, 256)) * 20 + FILES["mp3"][:500])

    assert (facts.mime_type, facts.flags) == ("audio/mpeg", {"damaged"})
    assert "bytes are frames of sound" in (facts.problem or "")
