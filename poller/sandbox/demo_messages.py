"""The messages of the demo: media of all 23 formats, repeats and broken ones among them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.whatsapp import WhatsAppApi

PHONE_NUMBER_ID = "106540352242922"
MESSAGES_A_NUMBER = 1000
"""The next ones go to another number: of each 100 one has expired, and a number is left alone for
an hour when WhatsApp has refused it 17 requests.
"""
REPEATS = 0.3
"""Share of messages whose content was sent before, as forwarded media is."""
BROKEN_EVERY = 25
TOO_LARGE_BYTES = 60_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """Media that was sent: its id at WhatsApp, and what its webhook says about it."""

    media_id: str
    media_type: str
    mime_type: str
    sha256: str | None


async def send_messages(
    whatsapp: WhatsAppApi, connection: Any, messages: int, seed: int = 1
) -> list[UUID]:
    """Queue media for so many messages, all 23 formats, repeats and broken ones among them."""
    chance = random.Random(seed)  # noqa: S311 - a demo, no secret
    contents: list[tuple[bytes, str, str]] = []
    queued: list[UUID] = []
    for number in range(messages):
        if number % BROKEN_EVERY == BROKEN_EVERY - 1:
            sent = _send_broken(whatsapp, number // BROKEN_EVERY)
        else:
            fresh = len(contents) < len(SAMPLES) or chance.random() >= REPEATS
            if fresh:
                sample = SAMPLES[len(contents) % len(SAMPLES)]
                content = variant(sample, len(contents) // len(SAMPLES))
                contents.append((content, sample.media_type, sample.mime_type))
            sent = _send(whatsapp, *(contents[-1] if fresh else chance.choice(contents)))
        phone_number_id = str(int(PHONE_NUMBER_ID) + number // MESSAGES_A_NUMBER)
        queued.append(await queue_message(connection, sent, phone_number_id))
    return queued


def _send(whatsapp: WhatsAppApi, content: bytes, media_type: str, mime_type: str) -> Sent:
    media_id = whatsapp.add_media(content, mime_type)
    return Sent(media_id, media_type, mime_type, None)


def _send_broken(whatsapp: WhatsAppApi, kind: int) -> Sent:
    """Too large, of another type than it claims, with a wrong hash, or expired."""
    content = variant(SAMPLES[0], 1_000_000 + kind)
    match kind % 4:
        case 0:
            media_id = whatsapp.add_media(TOO_LARGE_BYTES, "application/pdf")
            return Sent(media_id, "document", "application/pdf", None)
        case 1:
            script = b"<!doctype html><script>alert(1)</script>" + bytes(str(kind), "ascii")
            media_id = whatsapp.add_media(script, "image/jpeg")
        case 2:
            media_id = whatsapp.add_media(content, "image/jpeg", sha256="0" * 60 + f"{kind:04}")
        case _:
            media_id = whatsapp.add_media(content, "image/jpeg")
            whatsapp.expire_media(media_id)
    return Sent(media_id, "image", "image/jpeg", None)


async def queue_message(
    connection: Any, sent: Sent, phone_number_id: str = PHONE_NUMBER_ID
) -> UUID:
    """What a bot does for a message: its row, and one call for its media."""
    async with connection.transaction():
        message_id = await connection.fetchval(
            "insert into messages"
            " (whatsapp_message_id, phone_number_id, sender, message_type, sent_at)"
            " values ($1, $2, $3, $4, now()) returning id",
            f"wamid.demo.{uuid4()}", phone_number_id, "4915112345678", sent.media_type,
        )  # fmt: skip
        return await connection.fetchval(
            "select queue_media_processing(message_id => $1, whatsapp_media_id => $2,"
            " media_type => $3, mime_type => $4, sha256 => $5)",
            message_id, sent.media_id, sent.media_type, sent.mime_type, sent.sha256,
        )  # fmt: skip
