"""The queue against a model: every function of it, in any order, by pollers that lose their leases.

A state machine calls what clients, operators, pollers and time itself may do, while storage is a
dict. After every call the invariants hold, the audit trail of each attachment tells where it is,
and the analytics are what the trail adds up to. At the end one good poller brings all to an end.

PGMEDIA_TEST_PROFILE=thorough looks much longer, and elsewhere every time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row

from tests.sql.queue_invariants import EMPTY, THOROUGH
from tests.sql.queue_pollers import WorkedQueue
from tests.sql.queue_world import (
    EVENTS,
    HINTS,
    HUGE,
    OFTEN,
    OPERATIONS,
    PAGE,
    PHOTO,
    PREPARE,
    SENT,
    TROUBLES,
    Connection,
    Job,
)

PROFILE = settings(
    max_examples=600 if THOROUGH else 50,
    stateful_step_count=60 if THOROUGH else 30,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# No rule has a precondition, as ids are random and a run must not draw by what they happen to be: a
# rule that finds nothing to act on does nothing.


class Queue(WorkedQueue):
    """All of it: a run begins, goes on by rules and by chance, and is brought to an end."""

    @initialize(seed=st.integers(0, 2**32 - 1), calls=st.sampled_from([0, 200, 200]))
    def start(self, seed: int, calls: int) -> None:
        self.db.execute(EMPTY.encode())
        self.messages = [self.new_message(str(number % 2)) for number in range(4)]
        self.call_by_chance(random.Random(seed), calls)  # noqa: S311

    # Rules say best what went wrong, but many calls by chance come further.

    def call_by_chance(self, chance: random.Random, calls: int) -> None:
        def number() -> int:
            return chance.randrange(1000)

        for name in chance.choices(list(OFTEN), weights=list(OFTEN.values()), k=calls):
            poller, limit = chance.choice(["one", "two"]), chance.randint(1, 5)
            arguments: dict[str, Any] = {
                "queue": {"attachments": [(
                    chance.randrange(4), chance.choice("abcd"), chance.choice(SENT),
                    chance.choice(HINTS), chance.choice([1, 5]),
                )]},
                "claim": {"poller": poller, "limit": limit},
                "work": {"numbers": [number()]},
                "work_together": {"poller": poller},
                "trouble": {
                    "number": number(), "what": chance.choice(TROUBLES),
                    "received": chance.choice([PHOTO, PAGE, HUGE]),
                },
                "happen": {"number": number(), "what": chance.choice([*OPERATIONS, *EVENTS])},
                "remove": {
                    "poller": poller, "limit": limit, "numbers": [number() for _ in range(3)],
                    "http_status": chance.choice([None, None, None, 500, 503]),
                },
            }[name]  # fmt: skip
            note(f"{name}({arguments})")
            getattr(self, name)(**arguments)
            self.holds_together()

    # The end: faults are over.

    def teardown(self) -> None:
        if not self.checked:  # it has failed
            return
        for job in self.jobs:  # whoever has uploaded says so, or sees that it goes
            while job.stage in ("uploaded", "lost"):
                self.step(job)
        for _ in self.rounds():
            for row in self.call("claim_media_jobs", "good", 10):
                job = Job(row["id"], "good", row["fencing_token"])
                while job.stage != "over":
                    self.step(job)
                self.holds_together()
            if not self.rows(
                "select from media_processing_queue where status not in ('failed', 'cancelled')"
            ):
                break
        for _ in self.rounds():
            self.claim_deletions("good", 10)
            for removal in self.open_removals:
                self.files.pop(removal.place, None)
                self.finish_removal(removal)
            self.holds_together()
            if not self.rows("select from media_deletion_queue"):
                break
        stored = self.rows(
            "select bucket_name, storage_path, content_hash, state from media_objects"
        )
        assert {row["state"] for row in stored} <= {"stored"}
        assert self.files == {
            (row["bucket_name"], row["storage_path"]): row["content_hash"] for row in stored
        }

    def rounds(self) -> Iterator[None]:
        """Enough rounds for all there is to do; in each, whatever had to be waited for has come."""
        for _ in range(30):
            self.resume_sources()
            self.run("delete from media_pauses")
            for poller in ("one", "two", "good"):
                self.end_leases(poller)
            self.make_due()
            yield
        pytest.fail("something waits for ever")


@pytest.mark.timeout(7200 if THOROUGH else 600)  # a failure takes minutes to shrink
def test_the_queue_keeps_its_promises(database: str) -> None:
    with Connection.connect(database, autocommit=True, row_factory=dict_row) as db:
        db.execute(PREPARE.encode())
        run_state_machine_as_test(lambda: Queue(db), settings=PROFILE)  # pyright: ignore[reportArgumentType]
