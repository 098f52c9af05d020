"""The figures equal a recount after a random history, folded or not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Connect
from tests.helpers import (
    begin_upload,
    claim,
    finish_upload,
    make_due,
    queue_row,
    sha256,
    store,
)
from tests.sql.media_history import CONTENTS, FIGURES, TYPES, History, consistent, fold, stats


@pytest.mark.parametrize("seed", range(6))
async def test_the_figures_equal_a_recount_after_a_random_history(db: Any, seed: int) -> None:
    history = History(db, seed)
    for _ in range(150):
        await history.step()
    total, by_type = await history.recount()
    assert total["deduplicated_files"] > 0
    assert total["failed_files"] > 0
    assert total["stored_files"] > 0

    for _ in range(2):  # before and after folding
        found = await stats(db)
        assert {name: found[name] for name in FIGURES} == {name: total[name] for name in FIGURES}
        assert {
            kind: {name: of[name] for name in FIGURES} for kind, of in found["by_type"].items()
        } == {kind: {name: of[name] for name in FIGURES} for kind, of in by_type.items()}
        queue = await db.fetch("select status, count(*) from media_processing_queue group by 1")
        assert found["queue"] == {row[0]: row[1] for row in queue}
        stored = await db.fetch(
            "select bucket_name, count(*), sum(stored_size) from media_objects"
            " where state = 'stored' group by 1"
        )
        assert {name: of for name, of in found["by_bucket"].items() if of["objects"]} == {
            row[0]: {"objects": row[1], "bytes": row[2]} for row in stored
        }
        assert found["throughput"]["last_day"] == {
            name: total[name] for name in ("files", "bytes", "failed_files")
        }
        await fold(db)
    assert await db.fetchval("select count(*) from media_analytics_deltas") == 0
    await consistent(db)


@pytest.mark.parametrize("seed", range(4))
async def test_every_history_comes_to_an_end(db: Any, seed: int) -> None:
    """With pollers that do their work, everything is stored or dead, and every file is used."""
    history = History(db, 100 + seed)
    for _ in range(80):
        await history.step()
    await history.crash()
    for _ in range(300):
        await make_due(db)
        held = await claim(db)
        waiting = await db.fetchval(
            "select count(*) from media_processing_queue"
            " where status in ('pending', 'processing', 'waiting')"
        )
        if not waiting:
            break
        for media, token in held.items():
            row = await queue_row(db, media)
            if row is None or row["fencing_token"] != token or row["status"] != "processing":
                continue
            content = history.content[media]
            begun = await begin_upload(
                db, media, token, content_hash=content, file_size=CONTENTS[content],
                mime_type=TYPES[history.kind[media]],
            )  # fmt: skip
            if begun["verdict"] == "upload":
                await finish_upload(db, media, token, begun["object_id"])

    states = await db.fetch("select distinct status from media_processing_queue")
    assert {row[0] for row in states} <= {"failed", "cancelled"}
    assert await db.fetchval("select count(*) from media_objects where state = 'uploading'") == 0
    await consistent(db)


async def test_folding_counts_what_it_folded(db: Any) -> None:
    await store(db, sha256(b"x"))
    await store(db, sha256(b"y"))

    assert await fold(db) == 2
    assert await fold(db) == 0
    row = await db.fetchrow("select * from media_analytics")
    assert (row["total_files"], row["media_type"]) == (2, "image")
    await store(db, sha256(b"z"))
    assert await fold(db) == 1
    assert await db.fetchval("select total_files from media_analytics") == 3


async def test_only_one_folds_at_a_time_and_nobody_waits(connect: Connect, db: Any) -> None:
    one = await connect()
    await store(db, sha256(b"x"))
    transaction = one.transaction()
    await transaction.start()
    assert await fold(one) == 1

    assert await fold(db) == 0
    await store(db, sha256(b"y"))  # what is counted meanwhile is not lost
    assert (await stats(db))["files"] == 2  # and neither is what is being folded
    await transaction.commit()

    assert (await stats(db))["files"] == 2
    assert await fold(db) == 1
