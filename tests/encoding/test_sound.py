"""WAV made smaller: with every sample, or as long as it was."""

from __future__ import annotations

import io
import math
import random
import struct
import wave
from typing import Any

import av
import pytest

from poller.checks import Content, examine
from poller.encoding import KeptError, encode


def wav(width: int = 2, channels: int = 2, seconds: int = 1, rate: int = 44_100) -> bytes:
    """A tone in each channel, with a little noise; samples of `width` bytes."""
    made, chance = io.BytesIO(), random.Random(1)  # noqa: S311
    most = 2 ** (8 * width - 1) - 1
    samples = bytearray()
    for at in range(seconds * rate):
        for channel in range(channels):
            tone = int(0.4 * most * math.sin(0.05 * at * (channel + 1))) + chance.randint(-20, 20)
            samples += (tone + (128 if width == 1 else 0)).to_bytes(
                width, "little", signed=width > 1
            )
    with wave.open(made, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(samples)
    return made.getvalue()


def samples(content: bytes, form: str) -> bytes:
    """All samples of a file, one channel beside the other, as FFmpeg decodes them."""
    opened: Any = av.open(io.BytesIO(content))
    with opened as source:
        heard = source.streams.audio[0].codec_context
        resampler = av.AudioResampler(form, heard.layout, heard.sample_rate)
        frames = [one for frame in source.decode(audio=0) for one in resampler.resample(frame)]
        size = heard.channels * frames[0].format.bytes
        return b"".join(bytes(one.planes[0])[: one.samples * size] for one in frames)


def encoded(content: bytes, codec: str, bit_rate: int | None = None) -> bytes:
    plan = {"from": "audio/wav", "codec": codec, "bit_rate": bit_rate, "drop_metadata": False}
    return encode(Content.of_bytes(content), plan)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(("width", "form"), [(1, "s16"), (2, "s16"), (3, "s32")])
def test_flac_keeps_every_sample(width: int, form: str, channels: int) -> None:
    content = wav(width, channels, rate=16_000)

    made = encoded(content, "flac")

    assert samples(made, form) == samples(content, form)
    assert len(made) < 0.9 * len(content)
    facts = examine(Content.of_bytes(made))
    assert (facts.mime_type, facts.flags) == ("audio/ogg", set())
    assert facts.details["seconds"] == pytest.approx(1.0)


def test_opus_is_as_long_and_far_smaller() -> None:
    content = wav(seconds=3)

    made = encoded(content, "opus", 32_000)

    assert len(made) < 0.1 * len(content)
    facts = examine(Content.of_bytes(made))
    assert facts.mime_type == "audio/ogg"
    assert facts.details["tracks"][0]["codec"] == "opus"
    assert facts.details["seconds"] == pytest.approx(3.0, abs=0.1)


def test_samples_that_flac_cannot_keep_stay_as_they_are() -> None:
    with pytest.raises(KeptError, match="pcm_s32le"):
        encoded(wav(4), "flac")


def test_more_channels_than_flac_has_stay_as_they_are() -> None:
    with pytest.raises(KeptError, match="9 channels"):
        encoded(wav(2, 9), "flac")


def test_what_the_file_says_of_itself_stays() -> None:
    title = b"INFOINAM" + struct.pack("<I", 6) + b"Title\0"
    content = wav()
    listed = content + b"LIST" + struct.pack("<I", len(title)) + title
    listed = listed[:4] + struct.pack("<I", len(listed) - 8) + listed[8:]

    with av.open(io.BytesIO(encoded(listed, "flac"))) as made:
        tags = made.metadata | made.streams.audio[0].metadata
        assert {key.lower(): value for key, value in tags.items()}["title"] == "Title"


@pytest.mark.parametrize(("codec", "bit_rate"), [("flac", None), ("opus", 32_000)])
def test_the_same_sound_becomes_the_same_file(codec: str, bit_rate: int | None) -> None:
    """A later attempt overwrites what an earlier one left with the same bytes."""
    content = wav()

    assert encoded(content, codec, bit_rate) == encoded(content, codec, bit_rate)
