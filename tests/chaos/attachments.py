"""What is sent: files of all formats, repeats of them, and some that have to fail."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.whatsapp import WhatsAppApi
from tests.helpers import sha256

NUMBERS = 8
"""Phone numbers that media are sent to."""
CLOSED_NUMBER, BARRED_NUMBER = "closed", "barred"
"""One that WhatsApp refuses everything while the storm lasts, and one that it tells what its files
are, and refuses them: neither may be asked too often."""
CLOSED, BARRED = 0.1, 0.1
"""Parts of the attachments that are of those numbers."""
REPEATS = 0.3
RECENT = 40
"""What is repeated is one of so many before it, many of them still under way."""
HASH_KNOWN = 0.5
"""Part of the webhooks that tell the hash."""
AS_DOCUMENT = 0.1
"""Part of the images that are sent as documents, which are private."""
ROTTEN = 0.04
"""Part of the attachments that cannot be stored, whatever is tried."""
LONG_SECONDS = 120
"""From here on everything that may go wrong has."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; the long version sets all of it in the environment."""

    pollers: int
    attachments: int
    seconds: float
    seed: int

    @classmethod
    def from_env(cls) -> Sizes:
        def given(name: str, otherwise: int) -> int:
            return int(os.environ.get(f"PGMEDIA_CHAOS_{name}") or otherwise)

        return cls(
            pollers=given("POLLERS", 3),
            attachments=given("ATTACHMENTS", 400),
            seconds=given("SECONDS", 16),
            seed=given("SEED", secrets.randbelow(1_000_000)),
        )

    @property
    def are_long(self) -> bool:
        """So long that every kind of fault has happened, whatever the machine is at."""
        return self.seconds >= LONG_SECONDS

    def chance(self, use: str) -> random.Random:
        """Dice of their own for each use, so that one does not disturb the others."""
        return random.Random(f"{self.seed} {use}")  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it is sent; `failure` is the code it has to fail with, if it has to."""

    data: bytes | int
    media_type: str
    mime_type: str
    failure: str | None = None


@dataclass(slots=True)
class Attachment:
    """One attachment of a message of its own, and what the test asked to be done with it."""

    content: Content
    whatsapp_media_id: str
    phone_number_id: str
    known_hash: str | None
    message_id: UUID = field(default_factory=uuid4)
    media: UUID | None = None
    cancelled: bool = False
    deleted: bool = False

    async def queue(self, db: Any) -> UUID:
        """What a bot does for a message; it may be repeated."""
        await db.execute(
            "insert into messages"
            " (id, whatsapp_message_id, phone_number_id, sender, message_type, sent_at)"
            " values ($1, $2, $3, '4915112345678', $4, now()) on conflict do nothing",
            self.message_id, f"wamid.{self.message_id}", self.phone_number_id,
            self.content.media_type,
        )  # fmt: skip
        return await db.fetchval(
            "select queue_media_processing("
            "message_id => $1, whatsapp_media_id => $2, sha256 => $3)",
            self.message_id, self.whatsapp_media_id, self.known_hash,
        )  # fmt: skip


def make_attachments(whatsapp: WhatsAppApi, sizes: Sizes) -> list[Attachment]:
    chance = sizes.chance("attachments")
    fresh = _fresh_contents(chance)
    contents: list[Content] = []
    attachments: list[Attachment] = []
    for _ in range(sizes.attachments):
        repeated = bool(contents) and chance.random() < REPEATS
        content = chance.choice(contents[-RECENT:]) if repeated else fresh()
        contents.append(content)
        phone = _pick_number(chance)
        media_id = whatsapp.add_media(content.data, content.mime_type, phone_number_id=phone)
        if content.failure == "media_expired_or_foreign":
            whatsapp.expire_media(media_id)
        known = None
        if isinstance(content.data, bytes) and chance.random() < HASH_KNOWN:
            known = sha256(content.data)
        attachments.append(Attachment(content, media_id, phone, known))
    return attachments


def _pick_number(chance: random.Random) -> str:
    drawn = chance.random()
    if drawn < CLOSED + BARRED:
        return CLOSED_NUMBER if drawn < CLOSED else BARRED_NUMBER
    return str(chance.randrange(NUMBERS))


def _fresh_contents(chance: random.Random) -> Callable[[], Content]:
    made = 0

    def fresh() -> Content:
        nonlocal made
        made += 1
        if chance.random() < ROTTEN:
            return _rotten(made)
        sample = SAMPLES[made % len(SAMPLES)]
        data = variant(sample, made)
        private = sample.media_type == "image" and chance.random() < AS_DOCUMENT
        return Content(data, "document" if private else sample.media_type, sample.mime_type)

    return fresh


def _rotten(number: int) -> Content:
    match number % 4:
        case 0:
            return Content(60_000_000 + number, "video", "video/mp4", "too_large")
        case 1:
            page = f"<!doctype html><script>alert({number})</script>".encode()
            return Content(page, "image", "image/jpeg", "active_content")
        case 2:
            pdf = variant(next(one for one in SAMPLES if one.name.endswith("pdf")), number)
            return Content(pdf, "image", "image/jpeg", "type_mismatch")
        case _:
            jpeg = variant(SAMPLES[0], number)
            return Content(jpeg, "image", "image/jpeg", "media_expired_or_foreign")
