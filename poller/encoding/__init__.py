"""Stored files that are smaller than the received ones, or without their metadata.

What to do is decided by the database (plan_media_encoding), and what came of it judged there.
Nothing here runs in the poller's own process: see poller.inspection.
"""

from __future__ import annotations

from typing import Any

from poller.checks import Content
from poller.encoding.kept import KeptError
from poller.metadata import drop_metadata

__all__ = ["KeptError", "encode"]

SOUND = ("flac", "opus")


def encode(content: Content, plan: dict[str, Any]) -> bytes:
    """What a plan makes of a file, never larger than the file itself.

    `plan`: as plan_media_encoding gives it. Raises KeptError where something of the file would be
    lost that the plan does not let go.
    """
    if "codec" not in plan:
        encoded = _without_metadata(content, plan["from"])
    elif plan["codec"] in SOUND:
        from poller.encoding import sound

        encoded = sound.encode(content, plan["codec"], plan.get("bit_rate"))
    else:
        from poller.encoding import images

        encoded = images.encode(content, plan)
    if len(encoded) > len(content.data):
        raise KeptError(f"it would grow from {len(content.data)} to {len(encoded)} bytes")
    return encoded


def _without_metadata(content: Content, mime_type: str) -> bytes:
    from poller.encoding.images import same_pixels

    try:
        encoded = drop_metadata(content.data, mime_type)
    except ValueError as error:
        raise KeptError(f"its metadata cannot be dropped: {error}") from error
    if mime_type == "image/tiff" and not same_pixels(content, Content.of_bytes(encoded)):
        raise KeptError("without its metadata it is another image")
    return encoded
