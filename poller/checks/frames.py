"""Sound without a container: nothing but frames, each of which tells where the next one begins."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator

Data = bytes | mmap.mmap
Measure = Callable[[Data, int], int]
"""The length of the frame at an offset, in bytes; 0 where none begins."""

MOST_SEARCHES = 100_000
"""Places where a frame was looked for, after which the rest counts as something else."""

MPEG_RATES = {  # kbit/s by index; by MPEG 1 or later, and by layer
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MPEG_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
AMR_NARROW = b"#!AMR\n"
AMR_WIDE = b"#!AMR-WB\n"
AMR_NARROW_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
AMR_WIDE_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)


def mpeg_frame(data: Data, at: int) -> int:
    """MPEG 1, 2 and 2.5, layers I to III."""
    head = data[at : at + 3]
    if len(head) < 3 or head[0] != 0xFF or head[1] < 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate_index, hertz_index = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or rate_index in (0, 15) or hertz_index == 3:
        return 0
    bits = MPEG_RATES[version == 3, layer][rate_index] * 1000
    hertz, padding = MPEG_HERTZ[version][hertz_index], head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding


def adts_frame(data: Data, at: int) -> int:
    """AAC, in the frames that streams are made of."""
    head = data[at : at + 6]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = int.from_bytes(head[3:6], "big") >> 5 & 0x1FFF
    return length if length > 7 else 0


def _amr_frame(lengths: tuple[int, ...]) -> Measure:
    def measure(data: Data, at: int) -> int:
        kind = data[at] if at < len(data) else 0xFF
        return 0 if kind & 0x83 else lengths[kind >> 3 & 15]

    return measure


def find_frames(data: Data, mime_type: str) -> tuple[int, int]:
    """How many frames there are, and their bytes, the header of an AMR file among them."""
    if mime_type == "audio/amr":
        for header, lengths in ((AMR_WIDE, AMR_WIDE_BYTES), (AMR_NARROW, AMR_NARROW_BYTES)):
            if data[: len(header)] == header:
                found = list(_walk(data, len(header), _amr_frame(lengths), sync=None))
                return len(found), len(header) + sum(found)
        return 0, 0
    measure = mpeg_frame if mime_type == "audio/mpeg" else adts_frame
    frames = framed = 0
    for length in _walk(data, tag_bytes(data), measure, sync=b"\xff"):
        frames += 1
        framed += length
    return frames, framed


def _walk(data: Data, at: int, measure: Measure, sync: bytes | None) -> Iterator[int]:
    """The lengths of the frames. What is none is passed over, up to where two begin in a row."""
    searches = 0
    while at < len(data):
        length = measure(data, at)
        if length:
            yield min(length, len(data) - at)
            at += length
            continue
        while at >= 0 and sync:
            at = data.find(sync, at + 1)
            searches += 1
            if at < 0 or searches > MOST_SEARCHES:
                return
            length = measure(data, at)
            if length and measure(data, at + length):
                break
        if not sync:
            return


def tag_bytes(data: Data) -> int:
    """The size of an ID3 tag before the frames, which may hold a cover larger than the sound."""
    head = data[:10]
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return min(10 + size, len(data))
