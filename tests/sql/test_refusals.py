"""How many requests WhatsApp may refuse to a number in an hour, whoever hears of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    claim,
    expire_lease,
    fail,
    make_due,
    pause_row,
    queue_many,
    refuse_one,
    refused,
    sha256,
)

SOURCE = "whatsapp:1"


async def test_five_sixths_of_what_may_be_refused_are_in_work(db: Any) -> None:
    await queue_many(db, 30)
    await queue_many(db, 3, "2")

    held = await claim(db)

    assert len(held) == 19
    assert await claim(db) == {}


async def test_a_claim_leaves_a_number_that_another_one_has_locked_to_it(
    connect: Connect, db: Any
) -> None:
    await queue_many(db, 1)
    media = await queue_many(db, 2, "2")
    await db.execute("insert into media_sources (source) values ($1)", SOURCE)
    other = await connect()
    await db.execute("set lock_timeout = '5 s'")

    async with other.transaction():
        await other.execute("select from media_sources where source = $1 for update", SOURCE)
        assert list(await claim(db)) == media


async def test_what_is_handed_out_cannot_be_refused_and_makes_room(db: Any) -> None:
    await queue_many(db, 30)
    held = await claim(db)

    for number, (media, token) in enumerate(list(held.items())[:5]):
        await begin_upload(db, media, token, content_hash=sha256(b"%d" % number))

    assert len(await claim(db)) == 5


async def test_every_refusal_of_the_last_hour_counts(db: Any) -> None:
    await queue_many(db, 60)
    for media, token in list((await claim(db)).items())[:12]:
        await fail(db, media, token, code="100", http_status=400)

    assert await claim(db) == {}  # 12 refused, 7 in work
    await db.execute(
        "update media_sources set refused_at ="
        " array(select t - interval '61 minutes' from unnest(refused_at) t)"
    )
    assert len(await claim(db)) == 12


async def test_spent_refusals_pause_the_number_until_the_oldest_is_an_hour_old(db: Any) -> None:
    await queue_many(db, 25)
    for _ in range(4):
        for media, token in (await claim(db)).items():
            await fail(db, media, token, code="100", http_status=400)

    pause = await pause_row(db)

    assert (pause["scope"], pause["reason"]) == (SOURCE, "whatsapp_refusals_spent")
    assert timedelta(minutes=59) < pause["remaining"] <= timedelta(hours=1)
    assert await claim(db) == {}


async def refuse_at(db: Any, *minutes_ago: int) -> None:
    """Let so many requests have been refused, so many minutes ago, and the number tell of it."""
    await db.execute(
        "insert into media_sources (source, refused_at) select $1,"
        " array(select now() - make_interval(mins => t.ago) from unnest($2::integer[]) t (ago))"
        " on conflict (source) do update set refused_at = excluded.refused_at",
        SOURCE, minutes_ago,
    )  # fmt: skip
    await db.execute("select pause_spent_sources(array[$1])", SOURCE)


async def test_refusals_of_an_earlier_hour_pause_nothing(db: Any) -> None:
    await db.execute("update media_settings set refusals_per_hour = 3")

    await refuse_at(db, 90, 20, 10)
    assert await pause_row(db) is None

    await refuse_at(db, 90, 20, 10, 5)
    assert "refused 3 requests" in (await pause_row(db))["detail"]


async def test_the_pause_ends_an_hour_after_the_oldest_refusal_that_counts(db: Any) -> None:
    await db.execute("update media_settings set refusals_per_hour = 3")

    await refuse_at(db, 90, 40, 30, 20)

    remaining = (await pause_row(db))["remaining"]
    assert timedelta(minutes=19) < remaining <= timedelta(minutes=20)


async def test_a_number_that_an_operator_resumes_has_been_refused_nothing(db: Any) -> None:
    await queue_many(db, 30)
    await refuse_at(db, *range(20))
    assert await claim(db) == {}

    await db.execute("select resume_media_source($1)", SOURCE)
    ((media, token),) = (await claim(db)).items()  # the probe
    await begin_upload(db, media, token, content_hash=sha256(b"x"))

    assert await refused_at(db) == []
    assert await pause_row(db) is None
    assert len(await claim(db)) == 16


async def test_failures_that_are_no_refusals_do_not_count(db: Any) -> None:
    await queue_many(db, 3)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, http_status=500)

    assert await db.fetchval("select refused_at from media_sources") == []


async def refused_at(db: Any) -> list[Any]:
    return await db.fetchval("select refused_at from media_sources where source = $1", SOURCE)


@pytest.mark.parametrize(("http_status", "counted"), [(401, 1), (400, 1), (500, 0), (None, 0)])
async def test_a_refusal_that_is_heard_of_after_the_lease_counts(
    db: Any, http_status: int | None, counted: int
) -> None:
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    await expire_lease(db, media)
    await claim(db, poller="two")
    with refused("MD001"):
        await fail(db, media, token, code="190", http_status=http_status)

    note = "select note_late_answer($1, $2, '1', $3, null, $4)"
    await db.execute(note, media, token, "whatsapp", http_status)
    await db.execute(note, media, token, "storage", 400)

    assert len(await refused_at(db)) == counted


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_pollers_that_die_while_they_probe_spend_the_refusals(db: Any, how: str) -> None:
    await queue_many(db, 30)
    await refuse_one(db)
    probes = 0
    for _ in range(30):
        await db.execute(
            "update media_pauses set until = now() - interval '1 s'"
            " where reason <> 'whatsapp_refusals_spent'"
        )
        await make_due(db)
        for media, token in (await claim(db)).items():
            probes += 1
            if how == "killed":
                await expire_lease(db, media)
            else:
                await db.execute(
                    "select release_media_jobs('poller-1', array[$1::uuid], array[$2::integer])",
                    media, token,
                )  # fmt: skip

    assert probes == 18
    assert (await pause_row(db))["reason"] == "whatsapp_refusals_spent"


async def test_no_probe_is_sent_when_the_work_in_hand_may_spend_the_limit(db: Any) -> None:
    """Fifteen are in work from before the pause, and one was refused."""
    await queue_many(db, 30)
    held = await claim(db)
    refusing = next(iter(held))
    await fail(db, refusing, held[refusing], code="190", http_status=401)
    for left in (1, 1, 1, 0):
        await db.execute("update media_pauses set until = now()")
        await make_due(db)
        probes = await claim(db)
        assert len(probes) == left
        for media, token in probes.items():
            await fail(db, media, token, code="190", http_status=401)


async def test_a_refusal_counts_once(db: Any) -> None:
    await queue_many(db, 3)
    for media, token in (await claim(db)).items():
        await fail(db, media, token, code="190", http_status=401)

    assert len(await refused_at(db)) == 3


async def test_a_report_that_is_repeated_counts_once(db: Any) -> None:
    """Its first answer was lost on the way: to the poller, the lease seems to be."""
    (media,) = await queue_many(db, 1)
    token = (await claim(db))[media]
    await fail(db, media, token, code="190", http_status=401)

    await db.execute("select note_late_answer($1, $2, '1', 'whatsapp', '190', 401)", media, token)

    assert len(await refused_at(db)) == 1
