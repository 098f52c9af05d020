"""Images with metadata in them, made by Pillow and by hand, and what a viewer shows of them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageOps, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

PLACE = b"PLACE-48.8584N"
"""Words that every kind of metadata here has in it."""

_create_profile: Callable[[str], Any] = vars(ImageCms)["createProfile"]
PROFILE = ImageCms.ImageCmsProfile(_create_profile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + PLACE + b"</x:xmpmeta>"


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Colours that flow, a little noise, and a corner that tells which way is up."""
    noise = Image.effect_noise((width, height), 20)
    flow = ImageOps.fit(Image.linear_gradient("L"), (width, height))
    image = Image.merge("RGB", (flow, noise, flow.transpose(Image.Transpose.ROTATE_180)))
    image.paste((255, 0, 0), (0, 0, width // 3, height // 3))
    if mode.endswith("A"):
        image.putalpha(flow)
    return image.convert(mode)


def noisy(width: int, height: int) -> Image.Image:
    """What no lossless encoder makes smaller."""
    return Image.frombytes("RGB", (width, height), random.Random(1).randbytes(3 * width * height))  # noqa: S311


def exif(orientation: int | None = 6) -> bytes:
    """EXIF with a place, a camera and perhaps an orientation."""
    made = Image.Exif()
    made[ExifTags.Base.Make] = PLACE.decode()
    if orientation:
        made[ExifTags.Base.Orientation] = orientation
    made.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 51.0, 30.0), 29: PLACE.decode()})
    return made.tobytes()


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, form, **options)
    return made.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def full_of_metadata(form: str, orientation: int | None = 6) -> bytes:
    """An image of 60 by 40 pixels, with all that the format has a place for."""
    image, block = photo(60, 40), exif(orientation)
    match form:
        case "JPEG":
            made = saved(image, form, exif=block, xmp=XMP, comment=PLACE, icc_profile=PROFILE)
            photoshop = b"Photoshop 3.0\0" + PLACE
            iptc = b"\xff\xed" + struct.pack(">H", 2 + len(photoshop)) + photoshop
            return made[:2] + iptc + made[2:] + PLACE
        case "PNG":
            text = PngInfo()
            text.add_text("Author", PLACE.decode())
            text.add_text("Where", PLACE.decode(), zip=True)
            text.add_itxt("XML:com.adobe.xmp", XMP.decode())
            made = saved(image, form, exif=block, pnginfo=text, icc_profile=PROFILE, dpi=(72, 72))
            return (
                made[:-12] + chunk(b"tIME", bytes(7)) + chunk(b"prIv", PLACE) + made[-12:] + PLACE
            )
        case "WEBP":
            return saved(image, form, exif=block, xmp=XMP, icc_profile=PROFILE)
        case "GIF":
            frames = [photo(60, 40).convert("P"), photo(60, 40).rotate(90).convert("P")]
            made = saved(
                frames[0], form, save_all=True, append_images=frames[1:], comment=PLACE, loop=0
            )
            xmp = b"\x21\xff\x0bXMP DataXMP" + XMP + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
            return made[:-1] + xmp + b"\x3b"
        case "TIFF":
            fields = TiffImagePlugin.ImageFileDirectory_v2()
            fields[270] = fields[305] = fields[33432] = PLACE.decode()
            fields[700] = XMP
            fields.tagtype[700] = 1
            made = Image.Exif()
            made.load(block)
            for tag, value in fields.items():
                made[tag] = value
            return saved(image, form, exif=made, icc_profile=PROFILE)
        case _:
            raise AssertionError(form)


def with_further_images(image: Image.Image, **options: Any) -> bytes:
    """A photo as cameras make them, with a preview that tells the place as well (MPF)."""
    preview = photo(32, 24)
    made = saved(image, "MPO", save_all=True, append_images=[preview], **options)
    body = exif()
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
    at = made.rindex(b"\xff\xd8\xff\xe0") + 2
    return made[:at] + segment + made[at:]


def shown(content: bytes) -> list[bytes]:
    """The pixels of every frame, the way up that a viewer shows them."""
    with Image.open(io.BytesIO(content)) as image:
        frames = list[bytes]()
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(ImageOps.exif_transpose(image).convert("RGBA").tobytes())
        return frames
