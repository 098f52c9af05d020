# PyAV's stubs leave much open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""WAV to FLAC or Opus, both in Ogg, which is one of the formats that are stored anyway."""

from __future__ import annotations

import hashlib
import io
import struct
from typing import Any

import av
from av.audio.resampler import AudioResampler

from poller.checks import Content
from poller.encoding.kept import KeptError

LOSSLESS_FROM = {"pcm_u8": "s16", "pcm_s16le": "s16", "pcm_s24le": "s32"}
"""Codecs whose samples FLAC keeps, and how FFmpeg hands them to it."""

OPUS_RATE = 48_000
MOST_CHANNELS = 8
MOST_SECONDS_OFF = 0.1

CARRIED = {b"fmt ", b"fact", b"data", b"LIST", b"PEAK", b"JUNK", b"junk", b"PAD ", b"FLLR", b"ds64"}
"""Chunks of a WAV file of which nothing is lost: sound, padding, and words that Ogg has as tags."""


def encode(content: Content, codec: str, bit_rate: int | None) -> bytes:
    """The sound of a WAV file as FLAC or Opus. Raises KeptError."""
    _refuse_lost_metadata(content)
    with av.open(content.rewound(), "r", format="wav", metadata_errors="replace") as source:
        stream = source.streams.audio[0]
        name, channels = stream.codec_context.name, stream.codec_context.channels
        if channels > MOST_CHANNELS:
            raise KeptError(f"it has {channels} channels")
        if codec == "opus":
            encoded = _encode(source, "libopus", "s16", OPUS_RATE, bit_rate)
            _compare_lengths(content.rewound(), encoded)
            return encoded
        if name not in LOSSLESS_FROM:
            raise KeptError(f"FLAC does not keep every sample of {name}")
        form = LOSSLESS_FROM[name]
        encoded = _encode(source, "flac", form, stream.codec_context.sample_rate, None)
    if _decode(content.rewound(), "wav", form) != _decode(io.BytesIO(encoded), "ogg", form):
        raise KeptError("it would not be the same sound")
    return encoded


def _refuse_lost_metadata(content: Content) -> None:
    """Cue points, broadcast extensions and more, of which FFmpeg takes along a part or nothing."""
    at = 12
    while at + 8 <= len(content.data):
        name, size = struct.unpack_from("<4sI", content.data, at)
        is_lost = name == b"LIST" and content.data[at + 8 : at + 12] != b"INFO"
        if name.isascii() and name.decode().isprintable() and (is_lost or name not in CARRIED):
            raise KeptError(f"it would lose metadata: {name.decode().strip()}")
        at += 8 + size + size % 2


def _encode(source: Any, codec: str, form: str, rate: int, bit_rate: int | None) -> bytes:
    made = io.BytesIO()
    heard = source.streams.audio[0].codec_context
    exact = {"fflags": "+bitexact"}  # else each result had a number of its own in it
    with av.open(made, "w", format="ogg", options=exact) as target:
        target.metadata.update(source.metadata)
        stream: Any = target.add_stream(codec, rate=rate, layout=heard.layout)
        stream.codec_context.format = form
        if bit_rate:
            stream.bit_rate = bit_rate
        resampler = AudioResampler(form, heard.layout, rate)
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                target.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return made.getvalue()


def _compare_lengths(received: Any, encoded: bytes) -> None:
    """All of the result can be decoded, and it is as long as what was received."""
    (rate, _, samples, _), (_, _, kept, _) = (
        _decode(received, "wav", "s16"),
        _decode(io.BytesIO(encoded), "ogg", "s16"),
    )
    if abs(kept / OPUS_RATE - samples / rate) > MOST_SECONDS_OFF:
        raise KeptError(f"of {samples / rate:.3f} s {kept / OPUS_RATE:.3f} s would be left")


def _decode(stream: Any, demuxer: str, form: str) -> tuple[int, int, int, str]:
    """Rate, channels, samples of each, and the hash of all of them."""
    digest, samples = hashlib.sha256(), 0
    opened: Any = av.open(stream, "r", format=demuxer, metadata_errors="replace")
    with opened as source:
        heard = source.streams.audio[0].codec_context
        resampler = AudioResampler(form, heard.layout, heard.sample_rate)
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                length = piece.samples * heard.channels * piece.format.bytes
                digest.update(memoryview(piece.planes[0])[:length])
                samples += piece.samples
        return heard.sample_rate, heard.channels, samples, digest.hexdigest()
