import pytest

pytest.register_assert_rewrite("tests.chaos.end_state", "tests.chaos.storm")
