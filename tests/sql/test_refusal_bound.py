"""What WhatsApp really refuses to a number within an hour, counted at WhatsApp's end.

Pollers are killed at the worst moments: whoever is refused dies before it can tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from tests.helpers import (
    begin_upload,
    claim,
    describe,
    expire_lease,
    finish_upload,
    make_due,
    queue_many,
    sha256,
)

LIMIT = 19
"""The default of media_settings.refusals_per_hour."""
FILES = 120
SEEDS = [1, 2, 3]


@dataclass
class Number:
    """A phone number at WhatsApp, which refuses some requests: `refuses` by file and request."""

    refuses: Callable[[int, str], bool]
    files: dict[UUID, int]
    refused: int = 0
    stored: set[UUID] = field(default_factory=set[UUID])

    def answers(self, media: UUID, request: str) -> bool:
        if self.refuses(self.files[media], request):
            self.refused += 1
            return False
        return True


WORLDS: dict[str, Callable[[int, str], bool]] = {
    "all": lambda _file, _request: True,
    "all downloads": lambda _, request: request == "download",
    "every second file": lambda file, _: file % 2 == 1,
    "every second download": lambda file, request: (file % 2, request) == (1, "download"),
    "downloads of some, metadata of others": lambda file, request: (
        request == ("download", "metadata", "nothing")[file % 3]
    ),
    "urls of webhooks": lambda _, request: request == "webhook url",
}
"""What is refused: of which files, and which requests."""


async def attempt(db: Any, number: Number, media: UUID, token: int, url: str | None) -> None:
    """Work on a file until it is stored, or until a request is refused, of which nobody hears."""
    if url is None and not number.answers(media, "metadata"):
        return
    await describe_as(db, media, token, url)
    if number.answers(media, "download" if url is None else "webhook url"):
        begun = await begin_upload(db, media, token, content_hash=sha256(media.bytes))
        await finish_upload(db, media, token, begun["object_id"])
        number.stored.add(media)


async def describe_as(db: Any, media: UUID, token: int, url: str | None) -> None:
    """Where the webhook brought a URL, WhatsApp has not been asked what the file is."""
    told: dict[str, Any] = {} if url is None else {"mime_type": None, "file_size": None}
    await describe(db, media, token, **told)


async def claimed(db: Any, limit: int) -> list[Any]:
    return await db.fetch(
        "select id, fencing_token, source_url from claim_media_jobs('poller-1', $1)", limit
    )


async def open_number(db: Any, refuses: Callable[[int, str], bool], *, urls: bool) -> Number:
    media = await queue_many(db, FILES)
    if urls:
        await db.execute(
            "update media_processing_queue set source_url = 'https://lookaside.fbsbx.com/1',"
            " source_url_until = now() + interval '5 minutes'"
        )
    return Number(refuses, {one: place for place, one in enumerate(media)})


async def time_passes(db: Any) -> None:
    """Every backoff and pause is over but the one that guards the hour, and no hour passes."""
    await make_due(db)
    await db.execute("update media_processing_queue set attempts = 0 where status = 'pending'")
    await db.execute(
        "update media_pauses set until = now() where reason <> 'whatsapp_refusals_spent'"
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("urls", [False, True])
@pytest.mark.parametrize("world", WORLDS)
async def test_no_more_are_refused_than_may_be_whoever_dies(
    db: Any, world: str, urls: bool, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    number = await open_number(db, WORLDS[world], urls=urls)

    for _ in range(60):
        await time_passes(db)
        held = await claimed(db, chance.choice([1, 3, 8, 100]))
        chance.shuffle(held)
        for row in held:
            await attempt(db, number, *row)
        for row in held:
            await expire_lease(db, row["id"])

    assert number.refused <= LIMIT


@pytest.mark.parametrize("urls", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_number_that_is_well_goes_on_whoever_dies(db: Any, urls: bool, seed: int) -> None:
    """One attempt of five ends unheard, at any point of it, and sometimes all at once do."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    number = await open_number(db, lambda _file, _request: False, urls=urls)
    claims = 0

    while len(number.stored) < FILES:
        claims += 1
        assert claims < 60
        await time_passes(db)
        held = await claimed(db, 100)
        all_die = claims % 6 == 0
        for media, token, url in held:
            if all_die or chance.random() < 0.2:
                if chance.random() < 0.5:
                    await describe_as(db, media, token, url)
                await expire_lease(db, media)
            else:
                await attempt(db, number, media, token, url)

    assert await db.fetchval("select count(*) from media_pauses") == 0
    assert await claim(db) == {}
    assert await db.fetchval("select count(*) from media_unheard_requests") == 0
