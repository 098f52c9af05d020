"""TIFF 6.0 and BigTIFF: fields are taken out where they stand, so that no offset changes.

So is what nothing leads to: programs that change a TIFF leave there what they took out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from poller.metadata import jpeg
from poller.metadata.parts import Buffer, Part

NEEDED = frozenset({
    *range(254, 260), *range(262, 267), 273, 274, *range(277, 285), *range(290, 294), 296, 297, 301,
    *range(317, 326), 330, 332, 334, *range(336, 348), *range(512, 522), *range(529, 533),
    *range(32995, 32999), 34675,
})  # fmt: skip
"""Fields that say how the image looks, up to 34675, its colour profile."""

SUB_IMAGES = 330
COMPRESSION, OLD_JPEG = 259, 6
DATA = {273: 279, 324: 325, 513: 514}
"""Fields that lead to data, and those with how many bytes there are."""
DIRECTORIES = {34665: "exif", 34853: "gps", 40965: "exif"}
KINDS = {700: "xmp", 33723: "iptc", 34377: "iptc"}
TYPE_BYTES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
    16: 8, 17: 8, 18: 8,
}  # fmt: skip
MOST_DIRECTORIES = 10_000


@dataclass(slots=True)
class _Tiff:
    """A copy of the file, to be changed in place; BigTIFF has wider offsets."""

    data: bytearray
    order: str
    big: bool
    kinds: set[str] = field(default_factory=set[str])
    seen: set[int] = field(default_factory=set[int])
    used: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """From where to where there is what the images need; after that, nothing is known."""
    is_known: bool = True

    def number(self, form: str, at: int) -> int:
        return struct.unpack_from(self.order + form, self.data, at)[0]

    @property
    def offset(self) -> str:
        return "Q" if self.big else "I"


def split(data: Buffer) -> list[Part]:
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no TIFF")
    tiff = _Tiff(bytearray(data), order, big=struct.unpack_from(order + "H", data, 2)[0] == 43)
    tiff.used.append((0, 16 if tiff.big else 8))
    at = tiff.number(tiff.offset, 8 if tiff.big else 4)
    while at:
        at = _clean(tiff, at, everything=False)
    if tiff.is_known:
        _blank_unused(tiff)
    return [Part(bytes(tiff.data), frozenset(tiff.kinds))]


def _clean(tiff: _Tiff, at: int, *, everything: bool) -> int:
    """Take the fields that are not needed, or all, out; returns where the next directory is."""
    if at in tiff.seen or len(tiff.seen) > MOST_DIRECTORIES:
        raise ValueError("the directories of the TIFF go in circles")
    tiff.seen.add(at)
    first, size = (at + 8, 20) if tiff.big else (at + 2, 12)
    count = tiff.number("Q" if tiff.big else "H", at)
    pointer = 8 if tiff.big else 4
    end = first + count * size
    following = tiff.number(tiff.offset, end)
    kept = bytearray()
    for entry in range(first, end, size):
        if _stays(tiff, entry) and not everything:
            kept += tiff.data[entry : entry + size]
            start, length = _value(tiff, entry)
            tiff.used.append((start, start + length))
        else:
            _blank(tiff, entry)
    if not everything:
        _use_data(tiff, first, end, size)
        tiff.used.append((at, end + pointer))
    left = len(kept) // size
    struct.pack_into(tiff.order + ("Q" if tiff.big else "H"), tiff.data, at, left)
    kept += struct.pack(tiff.order + tiff.offset, following)
    tiff.data[first : end + pointer] = kept.ljust(end + pointer - first, b"\0")
    return 0 if everything else following


def _stays(tiff: _Tiff, entry: int) -> bool:
    tag = tiff.number("H", entry)
    if tag == SUB_IMAGES:
        start, length = _value(tiff, entry)
        step = 8 if tiff.big and tiff.number("H", entry + 2) in (16, 18) else 4
        for at in range(start, start + length, step):
            _clean(tiff, tiff.number("Q" if step == 8 else "I", at), everything=False)
    return tag in NEEDED


def _value(tiff: _Tiff, entry: int) -> tuple[int, int]:
    """Where the value of a field is, and how many bytes it has."""
    kind = tiff.number("H", entry + 2)
    length = TYPE_BYTES.get(kind, 1) * tiff.number(tiff.offset, entry + 4)
    inline = entry + (12 if tiff.big else 8)
    start = inline if length <= (8 if tiff.big else 4) else tiff.number(tiff.offset, inline)
    if start + length > len(tiff.data):
        raise ValueError("a field of the TIFF points past its end")
    return start, length


def _use_data(tiff: _Tiff, first: int, end: int, size: int) -> None:
    """Note where the data of an image is that has these fields."""
    fields = {tiff.number("H", entry): entry for entry in reversed(range(first, end, size))}
    if COMPRESSION in fields and _numbers(tiff, fields[COMPRESSION]) == (OLD_JPEG,):
        tiff.is_known = False  # its tables are wherever its writers put them
    for places, lengths in DATA.items():
        if places not in fields:
            continue
        found = _numbers(tiff, fields[lengths]) if lengths in fields else ()
        starts = _numbers(tiff, fields[places])
        if len(found) != len(starts) or 0 in found:  # decoders guess
            tiff.is_known = False
        for at, length in zip(starts, found, strict=False):
            tiff.used.append((at, at + length))
            _blank_words_of_jpeg(tiff, at, length)


def _blank_words_of_jpeg(tiff: _Tiff, at: int, length: int) -> None:
    """Strips and tiles may be whole JPEGs, with comments and EXIF of their own."""
    strip = bytes(tiff.data[at : at + length])
    if not strip.startswith(b"\xff\xd8\xff"):
        return
    for start, end in jpeg.find_words(strip):
        if strip[start:end].strip(b"\0"):
            tiff.kinds.add("application data")
            tiff.data[at + start : at + end] = bytes(end - start)


def _blank_unused(tiff: _Tiff) -> None:
    """Clear what nothing leads to, and cut off what follows."""
    at = 0
    for start, end in sorted(tiff.used):
        gap = len(tiff.data[at:start])  # a damaged file may tell of data far past its end
        if tiff.data[at:start].strip(b"\0"):
            tiff.kinds.add("unused bytes")
            tiff.data[at : at + gap] = bytes(gap)
        at = max(at, end)
    if tiff.data[at:].strip(b"\0"):
        tiff.kinds.add("trailer")
        del tiff.data[at:]


def _numbers(tiff: _Tiff, entry: int) -> tuple[int, ...]:
    start, length = _value(tiff, entry)
    form = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(tiff.number("H", entry + 2))
    if form is None:
        raise ValueError("an offset of the TIFF is no whole number")
    return struct.unpack_from(
        f"{tiff.order}{length // struct.calcsize('=' + form)}{form}", tiff.data, start
    )


def _blank(tiff: _Tiff, entry: int) -> None:
    tag = tiff.number("H", entry)
    tiff.kinds.add(DIRECTORIES.get(tag) or KINDS.get(tag) or "fields")
    start, length = _value(tiff, entry)
    if tag in DIRECTORIES:
        _clean(tiff, tiff.number("Q" if length == 8 else "I", start), everything=True)
    tiff.data[start : start + length] = bytes(length)
