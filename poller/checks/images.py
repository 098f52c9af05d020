"""Images: decoded by Pillow, as many pixels as memory allows."""

from __future__ import annotations

import PIL
from PIL import Image

from poller.checks.content import Content, Facts, describe
from poller.metadata import find_metadata

MOST_PIXELS = 100_000_000
"""Larger images are never decoded; media_settings.image_pixels_most cannot be set above this."""

MOST_FRAME_PIXELS = 20_000_000
"""Pixels of the further frames of an animation that are decoded, all together."""

MOST_FRAMES = 5000
"""Frames of an animation that are decoded: a million of one pixel take as long as any photo."""

DECODERS = {
    "image/jpeg": ["JPEG", "MPO"],  # MPO: a JPEG followed by others, as cameras make them
    "image/png": ["PNG"],
    "image/gif": ["GIF"],
    "image/webp": ["WEBP"],
    "image/bmp": ["BMP", "DIB"],
    "image/x-ms-bmp": ["BMP", "DIB"],
    "image/tiff": ["TIFF"],
}

Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns above this, and refuses above twice this


def parse(content: Content, facts: Facts) -> None:
    """Decode an image of a type that may be stored; of any other, nothing is known."""
    decoders = DECODERS.get(facts.mime_type)
    if decoders is None:
        return
    facts.checked_by = f"Pillow {PIL.__version__}"
    try:
        _decode(content, decoders, facts)
    except Image.DecompressionBombError as error:  # a frame may be larger than the image it is in
        facts.object_to("bomb", describe(error))
    except OSError as error:
        facts.object_to("truncated" if "truncated" in str(error) else "damaged", describe(error))
    else:
        if metadata := find_metadata(content.data, facts.mime_type):
            facts.details["metadata"] = metadata


def _decode(content: Content, decoders: list[str], facts: Facts) -> None:
    with Image.open(content.rewound(), formats=decoders) as image:
        width, height = image.size
        facts.details |= {"width": width, "height": height}
        image.draft(None, (1, 1))  # a JPEG is read to its end, but at an eighth of its size
        image.load()
        facts.details["frames"] = frames = int(getattr(image, "n_frames", 1))
        if image.format != "MPO":
            most = min(MOST_FRAMES, 1 + MOST_FRAME_PIXELS // (width * height))
            for number in range(1, min(frames, most)):
                image.seek(number)
                image.load()
