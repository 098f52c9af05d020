import pytest

pytest.register_assert_rewrite(
    "tests.sql.queue_asking", "tests.sql.queue_clients", "tests.sql.queue_pollers"
)
