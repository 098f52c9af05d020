"""Whatever a call looks like: nothing raises, nothing is queued twice, twice is as good as once."""

from __future__ import annotations

import copy
import json
from typing import Any, cast

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhook.payloads import (
    call,
    change,
    echoed,
    edit,
    history,
    lost,
    media,
    message,
    received,
    status,
)

TABLES = (
    "messages", "media", "media_processing_queue", "media_audit_log", "media_analytics_deltas",
    "whatsapp_webhook_events",
)  # fmt: skip

SHAPES = [
    received(message("image", image=media(url="https://example.com")), message("text"), lost()),
    received(message("audio"), message("sticker"), edit("wamid.1", message("video"))),
    echoed(message("document")),
    history(message("image"), message("media_placeholder"), message("video"), threads=2),
    call(change(statuses=[status()]), {"field": "account_update", "value": {"event": "X"}}),
]

texts = st.text(st.characters(), max_size=20) | st.sampled_from(["", "\0", "\ud800", "9" * 600])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
anything = st.recursive(
    scalars | st.builds(media) | st.builds(message),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a payload."""
    match node:
        case dict():
            keys: list[Any] = list(cast("dict[str, Any]", node))
        case list():
            keys = list(range(len(cast("list[Any]", node))))
        case _:
            return []
    container = cast("Any", node)
    return [(container, key) for key in keys] + [
        place for key in keys for place in places(container[key])
    ]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The body of a call of some shape, with up to four changes anywhere in it."""
    payload = copy.deepcopy(
        {"all": draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2))}
    )
    for _ in range(draw(st.integers(0, 4))):
        container, key = draw(st.sampled_from(places(payload)[1:] or places(payload)))
        match draw(st.sampled_from(["replace", "wrap", "drop", "double", "swap"])):
            case "replace":
                container[key] = draw(anything)
            case "wrap":
                container[key] = [container[key]]
            case "drop" if container is not payload:
                del container[key]
            case "double" if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            case _:
                other, at = draw(st.sampled_from(places(payload)))
                container[key] = copy.deepcopy(other[at])
    merged = payload.get("all")
    if isinstance(merged, list) and len(merged) == 1:
        merged = merged[0]
    return json.dumps(merged)


def snapshot(db: psycopg.Connection) -> list[Any]:
    """Everything a call can change."""
    return [
        db.execute(f"select t::text from {table} t order by 1".encode()).fetchall()
        for table in TABLES
    ]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=mutated())
def test_any_call(database: str, body: str) -> None:
    with psycopg.connect(database) as db:
        first = _receive(db, body)
        after_one = snapshot(db)
        second = _receive(db, body)

        assert snapshot(db) == after_one
        assert second["new"] == second["media_queued"] == second["media_failed"] == 0
        assert first["messages"] == second["messages"]
        queued = db.execute(
            "select count(*), count(distinct (message_id, whatsapp_media_id))"
            " from media_processing_queue"
        ).fetchone()
        assert queued == (first["media_queued"], first["media_queued"])
        kept = db.execute("select payload::text from whatsapp_webhook_events").fetchall()
        assert kept == [(body,)]
        db.rollback()


def _receive(db: psycopg.Connection, body: str) -> dict[str, Any]:
    row = db.execute("select receive_whatsapp_webhook(%s)", (body,)).fetchone()
    assert row is not None
    return row[0]
