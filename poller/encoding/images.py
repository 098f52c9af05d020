"""Images, encoded anew by Pillow: upright, and with their colour profile."""

from __future__ import annotations

import io
import re
from typing import Any

from PIL import ExifTags, Image, ImageOps, PngImagePlugin, TiffImagePlugin

from poller.checks import Content
from poller.checks.images import DECODERS
from poller.encoding.kept import KeptError
from poller.metadata import find_metadata
from poller.metadata.tiff import NEEDED as TIFF_STRUCTURE

MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
"""Pixels that every encoder here can hold; not CMYK, 16 bits or floating point."""

LOSSLESS = ("png", "webp-lossless")
WEBP_EDGE_MOST = 16_383
NEEDED_INFO = ("transparency", "dpi")
NO_ORIENTATION = ("xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Where Pillow looks for the orientation besides EXIF, and browsers do not."""

CARRIED = frozenset({"exif", "gps", "xmp", "comment", "fields", "unused bytes"})
"""Kinds of metadata that encoded images can have, where they may."""

DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
TIFF_XMP = 700
LYING = range(5, 9)
"""Orientations that exchange width and height."""
XMP_ORIENTATION = re.compile(
    rb'\s*\btiff:Orientation\s*=\s*["\']\d["\']|<tiff:Orientation>\d</tiff:Orientation>'
)
STRIP_ROWS = 256
"""Rows that are compared at once, so that no second copy of an image is held."""

S_RGB_GAMMA = 0.45455
S_RGB_CHROMATICITY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
"""Of white, red, green and blue."""
BITS_PER_SAMPLE = 258


def encode(content: Content, plan: dict[str, Any]) -> bytes:
    """The image as `plan` says. Raises KeptError."""
    with Image.open(content.rewound(), formats=DECODERS[plan["from"]]) as image:
        _refuse_what_would_be_lost(image, content, drop_metadata=plan["drop_metadata"])
        info = dict[str, Any]()
        if profile := image.info.get("icc_profile"):
            if profile[16:20] == b"GRAY" and plan["codec"] not in ("png", "jpeg"):
                raise KeptError("its colour profile is one of greys, and WebP has colours alone")
            info["icc_profile"] = profile
        xmp = image.info.get("xmp")
        _orient_by_exif_alone(image)
        orientation = _orientation(image)  # a TIFF is turned while it is loaded
        image.load()
        _orient_by_exif_alone(image)  # a PNG may have more after its pixels
        orientation = max(orientation, _orientation(image))
        upright = ImageOps.exif_transpose(image)
        if xmp and orientation > 1:
            xmp = XMP_ORIENTATION.sub(b"", xmp)  # it has been turned
        if not plan["drop_metadata"]:
            _refuse_lost_metadata(content, plan["from"])
            is_tiff = plan["from"] == "image/tiff"
            exif = _without_structure(image.getexif()) if is_tiff else upright.getexif()
            info |= _metadata(exif, xmp, image.info.get("comment"))
        # else encoders take more along by themselves
        upright.info = {name: image.info[name] for name in NEEDED_INFO if name in image.info}
        if "dpi" in upright.info and orientation in LYING:
            upright.info["dpi"] = upright.info["dpi"][::-1]
        if plan["codec"] in LOSSLESS:
            return _encode_lossless(upright, plan["codec"], info)
        return _encode_lossy(upright, plan, info)


def same_pixels(one: Content, other: Content) -> bool:
    """Whether two files are the same image, on all of its pages."""
    with Image.open(one.rewound()) as left, Image.open(other.rewound()) as right:
        _orient_by_exif_alone(left)
        _orient_by_exif_alone(right)
        pages = int(getattr(left, "n_frames", 1))
        if pages != int(getattr(right, "n_frames", 1)):
            return False
        for page in range(pages):
            left.seek(page)
            right.seek(page)
            if not _equal(left, right):
                return False
    return True


def _refuse_what_would_be_lost(
    image: Image.Image, content: Content, *, drop_metadata: bool
) -> None:
    is_camera_s = drop_metadata and image.format == "MPO"  # its further images are metadata
    if getattr(image, "n_frames", 1) != 1 and not is_camera_s:
        raise KeptError("it has more than one image")
    if image.mode not in MODES:
        raise KeptError(f"its pixels are {image.mode}")
    if isinstance(image, PngImagePlugin.PngImageFile):
        if content.data[24] > 8:
            raise KeptError(f"it has {content.data[24]} bits a sample")
        if content.data.find(b"cICP", 0, content.data.find(b"IDAT")) >= 0:
            raise KeptError("its colours are those of cICP")
        gamma = image.info.get("gamma")
        if gamma and "srgb" not in image.info and abs(gamma - S_RGB_GAMMA) > 0.001:
            raise KeptError(f"it has a gamma of {gamma}")
        colours = image.info.get("chromaticity", S_RGB_CHROMATICITY)
        is_said_better = "srgb" in image.info or "icc_profile" in image.info
        if not is_said_better and any(
            abs(one - usual) > 0.005 for one, usual in zip(colours, S_RGB_CHROMATICITY, strict=True)
        ):
            raise KeptError("its colours are not those of sRGB")
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        bits: Any = image.tag_v2.get(BITS_PER_SAMPLE, 1)
        if max(bits if isinstance(bits, tuple) else (bits,)) > 8:  # pyright: ignore[reportUnknownArgumentType]
            raise KeptError("it has more than 8 bits a sample")


def _orient_by_exif_alone(image: Image.Image) -> None:
    for name in NO_ORIENTATION:
        image.info.pop(name, None)
    if image.format == "JPEG" and "exif" in image.info:  # Pillow has read it, and XMP, at opening
        read = Image.Exif()
        read.load(image.info["exif"])
        if ExifTags.Base.Orientation not in read:
            image.getexif().pop(ExifTags.Base.Orientation, None)


def _orientation(image: Image.Image) -> int:
    """As EXIF has it: 1 is upright."""
    said: Any = image.getexif().get(ExifTags.Base.Orientation, 1)
    return said if isinstance(said, int) else 1


def _refuse_lost_metadata(content: Content, mime_type: str) -> None:
    if lost := set(find_metadata(content.data, mime_type)) - CARRIED:
        raise KeptError(f"it would lose metadata: {', '.join(sorted(lost))}")


def _metadata(exif: Image.Exif, xmp: bytes | None, comment: bytes | None) -> dict[str, Any]:
    """What goes along where metadata may: all but the orientation."""
    exif.pop(ExifTags.Base.Orientation, None)
    kept = {"exif": exif.tobytes() if len(exif) else None, "xmp": xmp, "comment": comment}
    return {name: value for name, value in kept.items() if value}


def _without_structure(fields: Image.Exif) -> Image.Exif:
    """EXIF of the fields of a TIFF, but for those that say how its pixels are stored."""
    exif = Image.Exif()
    for tag, value in fields.items():
        if tag not in (TIFF_STRUCTURE | {TIFF_XMP, *DIRECTORIES}):
            exif[tag] = value
    for directory in DIRECTORIES:
        if found := fields.get_ifd(directory):
            exif.get_ifd(directory).update(found)
    again = Image.Exif()
    again.load(exif.tobytes())
    for tag in exif:
        if tag not in DIRECTORIES and again.get(tag) != exif[tag]:
            raise KeptError(f"it would lose metadata: field {tag}")
    return exif


def _encode_lossless(image: Image.Image, codec: str, info: dict[str, Any]) -> bytes:
    made = io.BytesIO()
    if codec == "png":
        if xmp := info.pop("xmp", None):
            info["pnginfo"] = PngImagePlugin.PngInfo()
            info["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
        dpi = image.info.get("dpi")
        image.save(made, "PNG", optimize=False, **({"dpi": dpi} if dpi else {}), **info)
    else:
        _fit_for_webp(image).save(made, "WEBP", lossless=True, quality=75, exact=True, **info)
    with Image.open(made) as encoded:
        if not _equal(image, encoded):
            raise KeptError("it would not be the same image")
    return made.getvalue()


def _encode_lossy(image: Image.Image, plan: dict[str, Any], info: dict[str, Any]) -> bytes:
    edge = min(plan["edge_most"], WEBP_EDGE_MOST)
    if plan["codec"] == "webp":
        image = _fit_for_webp(image)
    elif image.mode not in ("L", "RGB") or image.has_transparency_data:
        raise KeptError(f"JPEG has no pixels like {image.mode}")
    if max(image.size) > edge:
        image = ImageOps.contain(image, (edge, edge), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    if plan["codec"] == "webp":
        image.save(made, "WEBP", quality=plan["quality"], method=4, **info)
    else:
        image.save(made, "JPEG", quality=plan["quality"], optimize=True, progressive=True, **info)
    return made.getvalue()


def _fit_for_webp(image: Image.Image) -> Image.Image:
    """The same pixels as WebP has them: in colour, with transparency or without."""
    if image.mode in ("RGB", "RGBA"):
        has_alpha = "transparency" in image.info
        return image.convert("RGBA") if has_alpha and image.mode == "RGB" else image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _equal(one: Image.Image, other: Image.Image) -> bool:
    if one.size != other.size:
        return False
    width, height = one.size
    for top in range(0, height, STRIP_ROWS):
        strip = (0, top, width, min(top + STRIP_ROWS, height))
        left, right = one.crop(strip), other.crop(strip)
        if left.mode != right.mode or left.mode == "P" or "transparency" in left.info:
            left, right = left.convert("RGBA"), right.convert("RGBA")
        if left.tobytes() != right.tobytes():
            return False
    return True
