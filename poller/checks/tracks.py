"""Sound and film: opened by FFmpeg's demuxer of their very type, tracks listed, nothing decoded."""

from __future__ import annotations

from itertools import islice
from typing import Any

import av
import av.error
import av.logging
from av.container import InputContainer
from av.stream import Disposition

from poller.checks.content import Content, Facts, describe, printable, seconds
from poller.checks.frames import find_frames, tag_bytes
from poller.checks.lengths import missing_bytes

# Naming the demuxer also keeps out playlists, which have FFmpeg open other files and addresses.
DEMUXERS = {
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/x-wav": "wav",
    "audio/aac": "aac",
    "audio/x-hx-aac-adts": "aac",
    "audio/amr": "amr",
    "audio/mp4": "mov",
    "audio/x-m4a": "mov",
    "video/mp4": "mov",
    "video/x-m4v": "mov",
    "video/quicktime": "mov",
    "video/3gpp": "mov",
    "video/webm": "matroska",
    "video/x-msvideo": "avi",
}
BARE_FRAMES = {"mp3": "audio/mpeg", "aac": "audio/aac", "amr": "audio/amr"}
LEAST_FRAME_SHARE = 0.5
"""Of bare frames, the rest being tags: below it most of the file is something else."""

MOST_TRACKS = 32

BRANDS = {  # by the beginning of the major brand of an ISO media file
    b"qt": "video/quicktime",
    b"3gp": "video/3gpp",
    b"3gr": "video/3gpp",
    b"3gs": "video/3gpp",
    b"3ge": "video/3gpp",
    b"3gg": "video/3gpp",
    b"3g2": "video/3gpp2",
    b"hei": "image/heic",
    b"hev": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"avi": "image/avif",
    b"crx": "image/x-canon-cr3",
    b"jp2": "image/jp2",
    b"jpx": "image/jp2",
}

av.logging.set_level(av.logging.PANIC)


def detect_by_brand(content: Content, facts: Facts) -> None:
    """Tell the ISO media files apart: by brand, and by whether there is a film or only sound."""
    brand = content.data[8:12]
    facts.details["brand"] = printable(brand.decode("latin-1")).strip()
    named = next((kind for start, kind in BRANDS.items() if brand.startswith(start)), "video/mp4")
    facts.mime_type = named
    if named in DEMUXERS:
        try:
            with _open(content, "mov") as container:
                if not _films(container) and container.streams.audio:
                    facts.mime_type = "audio/mp4"  # sound only, whatever the brand says
        except (av.error.FFmpegError, OSError, ValueError):
            pass  # parse says what is wrong with it


def parse(content: Content, facts: Facts) -> None:
    """List the tracks and read every packet; of types that are not stored, nothing is known."""
    demuxer = DEMUXERS.get(facts.mime_type)
    if demuxer is None:
        return
    facts.checked_by = f"PyAV {av.__version__}"
    with _open(content, demuxer) as container:
        facts.details["tracks"] = [_describe(one) for one in islice(container.streams, MOST_TRACKS)]
        length = container.duration
        facts.details["seconds"] = seconds(length / av.time_base if length else None)
        if not container.streams.audio and not _films(container):
            facts.object_to("damaged", "it has neither sound nor film")
            return
        if demuxer not in BARE_FRAMES:
            _read_packets(container, facts)
    if demuxer in BARE_FRAMES:
        _count_frames(content, BARE_FRAMES[demuxer], facts)
    elif missing := missing_bytes(content.data):
        facts.object_to("truncated", f"{missing} bytes are missing")


def _read_packets(container: InputContainer, facts: Facts) -> None:
    packets = 0
    try:
        for packet in container.demux():
            packets += packet.size > 0
    except av.error.FFmpegError as error:
        facts.object_to("truncated", describe(error))
        return
    facts.details["packets"] = packets
    if packets == 0:
        facts.object_to("damaged", "it has no packets of sound or film")


def _count_frames(content: Content, mime_type: str, facts: Facts) -> None:
    frames, framed = find_frames(content.data, mime_type)
    whole = len(content.data) - tag_bytes(content.data)
    facts.details["frames"] = frames
    if framed < LEAST_FRAME_SHARE * whole:
        facts.object_to("damaged", f"{framed} of {whole} bytes are frames of sound")


def _open(content: Content, demuxer: str) -> InputContainer:
    try:
        return av.open(content.rewound(), "r", format=demuxer, metadata_errors="replace")
    except av.error.MemoryError as error:  # asked for by a wrong length, not for want of memory
        raise ValueError(describe(error)) from None


def _films(container: InputContainer) -> bool:
    """Whether there is a film; a cover is one picture, not a film."""
    return any(not one.disposition & Disposition.attached_pic for one in container.streams.video)


def _describe(stream: Any) -> dict[str, Any]:
    """What kind of track, of which codec; pixels, or samples a second and channels."""
    context = stream.codec_context
    known: dict[str, Any] = {"kind": stream.type, "codec": context and context.name}
    if stream.type == "video" and context:
        known |= {"width": context.width, "height": context.height}
        if stream.disposition & Disposition.attached_pic:
            known["cover"] = True
    elif stream.type == "audio" and context:
        known |= {"sample_rate": context.sample_rate, "channels": context.channels}
    return known
