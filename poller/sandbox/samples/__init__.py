"""One small real file of each of the 23 formats, and any number of variants of each.

The sandbox, the demo and the load tests send these files as WhatsApp would.
pgmedia keeps equal contents once, so a load test needs many files that differ:
``variant`` makes them from the samples, each still a valid file of its format.
``tests/make_samples.sh`` makes the samples themselves.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MediaType = Literal["image", "audio", "video", "document"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample file, under the MIME type and the kind of message WhatsApp sends it as."""

    name: str
    mime_type: str
    media_type: MediaType
    path: Path

    def read(self) -> bytes:
        """The file's content."""
        return self.path.read_bytes()


def _jpeg(data: bytes, note: bytes) -> bytes:
    """Adds a quantization table that no component uses, after the JFIF segment, which is first."""
    (length,) = struct.unpack_from(">H", data, 4)
    at = 4 + length
    return data[:at] + b"\xff\xdb\0\x43\x03" + note.ljust(64, b"\x01") + data[at:]


def _png(data: bytes, note: bytes) -> bytes:
    """Says with the number how wide a pixel is for its height, before the first IDAT."""
    body = b"pHYs" + struct.pack(">II", int(note[-8:]), int(note[-8:])) + b"\0"
    at = data.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:at] + chunk + data[at:]


def _gif(data: bytes, note: bytes) -> bytes:
    """Writes the number into the last two colours of the palette, which no pixel has."""
    end = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[: end - 4] + struct.pack("<I", int(note[-8:])) + data[end:]


def _webp(data: bytes, note: bytes) -> bytes:
    """Adds to the end of the last partition of the image, and to the lengths around it."""
    at = data.index(b"VP8 ")
    (length,) = struct.unpack_from("<I", data, at + 4)
    end = at + 8 + length
    grown = data[:4] + struct.pack("<I", len(data) - 8 + len(note)) + data[8:at]
    return (
        grown
        + b"VP8 "
        + struct.pack("<I", length + len(note))
        + data[at + 8 : end]
        + note
        + data[end:]
    )


def _bmp(data: bytes, note: bytes) -> bytes:
    """Writes the number into the resolution, pixels per metre, which says nothing of the pixels."""
    return data[:38] + struct.pack("<I", int(note[-8:])) + data[42:]


def _tiff(data: bytes, note: bytes) -> bytes:
    """Writes the number into the tag that says which page of how many this is."""
    at = data.index(struct.pack("<HHI", 297, 3, 2)) + 8
    return data[:at] + struct.pack("<I", int(note[-8:])) + data[at + 4 :]


def _riff(data: bytes, note: bytes) -> bytes:
    """Adds a JUNK chunk at the end of the RIFF and counts it in its size."""
    chunk = b"JUNK" + struct.pack("<I", len(note)) + note
    return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:] + chunk


def _tail(data: bytes, note: bytes) -> bytes:
    """Adds bytes at the end: a text is one line longer."""
    return data + note + b"\n"


def _mp3(data: bytes, note: bytes) -> bytes:
    """Adds an ID3v1 tag, always the last 128 bytes, with the note as its title."""
    return data + b"TAG" + note.ljust(124, b"\0") + b"\xff"


def _ogg(data: bytes, note: bytes) -> bytes:
    """Writes into the zeros that end the comment header, then signs its page again."""
    start = data.index(b"OggS", 1)
    end = data.index(b"OggS", start + 1)
    page = bytearray(data[start : end - len(note)] + note)
    page[22:26] = bytes(4)
    crc = 0
    for byte in page:  # Ogg's CRC-32 runs the other way round from zlib's.
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    page[22:26] = struct.pack("<I", crc)
    return data[:start] + page + data[end:]


def _aac(data: bytes, note: bytes) -> bytes:
    """Puts a data element (id 4), which decoders skip, first in the first ADTS frame."""
    element = bytes([4 << 5, len(note)]) + note
    # The frame's length is 13 bits that end 5 bits before byte 6.
    length = int.from_bytes(data[3:6], "big") + (len(element) << 5)
    return data[:3] + length.to_bytes(3, "big") + data[6:7] + element + data[7:]


def _amr(data: bytes, note: bytes) -> bytes:
    """Adds 20 ms of speech at the lowest rate: a type byte and 12 bytes, any of which sound."""
    return data + b"\x04" + note[-8:] + bytes(4)


def _iso(data: bytes, note: bytes) -> bytes:
    """Adds a 'free' box after the last box."""
    return data + struct.pack(">I", 8 + len(note)) + b"free" + note


def _webm(data: bytes, note: bytes) -> bytes:
    """Adds a Void element, which may stand at any level, after the Segment."""
    return data + b"\xec" + bytes([0x80 | len(note)]) + note


def _pdf(data: bytes, note: bytes) -> bytes:
    """Adds a comment, and after it the ending again, which readers look for at the end."""
    return data + b"%" + note + b"\n" + data[data.rindex(b"startxref") :]


def _ole(data: bytes, note: bytes) -> bytes:
    """Adds a whole sector, which the file's allocation table already counts as free."""
    return data + note.ljust(512, b"\0")


def _zip(data: bytes, note: bytes) -> bytes:
    """Adds an archive comment: its length is the last two bytes of a zip without one."""
    return data[:-2] + struct.pack("<H", len(note)) + note


_OOXML = "application/vnd.openxmlformats-officedocument"
_FORMATS: tuple[tuple[str, str, Callable[[bytes, bytes], bytes]], ...] = (
    ("jpg", "image/jpeg", _jpeg),
    ("png", "image/png", _png),
    ("gif", "image/gif", _gif),
    ("webp", "image/webp", _webp),
    ("bmp", "image/bmp", _bmp),
    ("tiff", "image/tiff", _tiff),
    ("mp3", "audio/mpeg", _mp3),
    ("ogg", "audio/ogg", _ogg),
    ("wav", "audio/wav", _riff),
    ("aac", "audio/aac", _aac),
    ("amr", "audio/amr", _amr),
    ("m4a", "audio/mp4", _iso),
    ("mp4", "video/mp4", _iso),
    ("webm", "video/webm", _webm),
    ("mov", "video/quicktime", _iso),
    ("3gp", "video/3gpp", _iso),
    ("avi", "video/x-msvideo", _riff),
    ("pdf", "application/pdf", _pdf),
    ("txt", "text/plain", _tail),
    ("doc", "application/msword", _ole),
    ("docx", f"{_OOXML}.wordprocessingml.document", _zip),
    ("xls", "application/vnd.ms-excel", _ole),
    ("xlsx", f"{_OOXML}.spreadsheetml.sheet", _zip),
)


def _media_type(mime_type: str) -> MediaType:
    match mime_type.partition("/")[0]:
        case "image" | "audio" | "video" as kind:
            return kind
        case _:
            return "document"


SAMPLES: tuple[Sample, ...] = tuple(
    Sample(name, mime_type, _media_type(mime_type), Path(__file__).with_name(name))
    for name, mime_type in ((f"sample.{extension}", mime) for extension, mime, _ in _FORMATS)
)
_CHANGE = {mime_type: change for _, mime_type, change in _FORMATS}


def variant(sample: Sample, number: int) -> bytes:
    """The sample's content, made different for each number by a note that decoders pass over.

    Number 0 is the file itself; the same number always gives the same bytes.
    """
    if not 0 <= number < 10**8:
        raise ValueError(f"a variant's number is 0 to 99999999, not {number}")
    # Always 24 bytes: an even length, as RIFF wants, and short enough for every place.
    note = f"pgmedia variant {number:08d}".encode()
    return _CHANGE[sample.mime_type](sample.read(), note) if number else sample.read()
