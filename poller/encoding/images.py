"""Images, encoded anew by Pillow: upright, and with their colour profile."""

from __future__ import annotations

import io
from typing import Any

from PIL import ExifTags, Image, ImageOps, PngImagePlugin, TiffImagePlugin

from poller.checks import Content
from poller.checks.images import DECODERS
from poller.encoding.kept import KeptError

MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
"""Pixels that every encoder here can hold; not CMYK, 16 bits or floating point."""

LOSSLESS = ("png", "webp-lossless")
WEBP_EDGE_MOST = 16_383
NEEDED_INFO = ("transparency", "dpi")
STRIP_ROWS = 256
"""Rows that are compared at once, so that no second copy of an image is held."""

S_RGB_GAMMA = 0.45455
BITS_PER_SAMPLE = 258


def encode(content: Content, plan: dict[str, Any]) -> bytes:
    """The image as `plan` says. Raises KeptError."""
    with Image.open(content.rewound(), formats=DECODERS[plan["from"]]) as image:
        _refuse_what_would_be_lost(image, content)
        image.load()
        upright = ImageOps.exif_transpose(image)
        info = _metadata(upright, image.format) if not plan["drop_metadata"] else {}
        if profile := image.info.get("icc_profile"):
            info["icc_profile"] = profile
        # else encoders take more along by themselves
        upright.info = {name: image.info[name] for name in NEEDED_INFO if name in image.info}
        if plan["codec"] in LOSSLESS:
            return _encode_lossless(upright, plan["codec"], info)
        return _encode_lossy(upright, plan, info)


def same_pixels(one: Content, other: Content) -> bool:
    """Whether two files are the same image, on all of its pages."""
    with Image.open(one.rewound()) as left, Image.open(other.rewound()) as right:
        pages = int(getattr(left, "n_frames", 1))
        if pages != int(getattr(right, "n_frames", 1)):
            return False
        for page in range(pages):
            left.seek(page)
            right.seek(page)
            if not _equal(left, right):
                return False
    return True


def _refuse_what_would_be_lost(image: Image.Image, content: Content) -> None:
    if getattr(image, "n_frames", 1) != 1:
        raise KeptError("it has more than one image")
    if image.mode not in MODES:
        raise KeptError(f"its pixels are {image.mode}")
    if isinstance(image, PngImagePlugin.PngImageFile):
        if content.data[24] > 8:
            raise KeptError(f"it has {content.data[24]} bits a sample")
        if b"cICP" in content.data[:4096]:
            raise KeptError("its colours are those of cICP")
        gamma = image.info.get("gamma")
        if gamma and "srgb" not in image.info and abs(gamma - S_RGB_GAMMA) > 0.001:
            raise KeptError(f"it has a gamma of {gamma}")
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        bits: Any = image.tag_v2.get(BITS_PER_SAMPLE, 1)
        if max(bits if isinstance(bits, tuple) else (bits,)) > 8:  # pyright: ignore[reportUnknownArgumentType]
            raise KeptError("it has more than 8 bits a sample")


def _metadata(image: Image.Image, form: str | None) -> dict[str, Any]:
    """What goes along where metadata may: EXIF but for the orientation, XMP and comments."""
    exif = image.getexif()
    exif.pop(ExifTags.Base.Orientation, None)
    if form == "TIFF":  # its fields of structure are no EXIF
        exif = Image.Exif()
    kept = {
        "exif": exif.tobytes() if len(exif) else None,
        "xmp": image.info.get("xmp"),
        "comment": image.info.get("comment"),
    }
    return {name: value for name, value in kept.items() if value}


def _encode_lossless(image: Image.Image, codec: str, info: dict[str, Any]) -> bytes:
    made = io.BytesIO()
    if codec == "png":
        info.pop("xmp", None)  # Pillow's PNG has no place for it
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
    elif image.mode not in ("L", "RGB"):
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
        if left.mode != right.mode:
            left, right = left.convert("RGBA"), right.convert("RGBA")
        if left.tobytes() != right.tobytes():
            return False
    return True
