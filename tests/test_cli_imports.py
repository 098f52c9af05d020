"""What a command does not need it does not wait for: `--help` and `status` begin quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "PIL", "aiohttp", "av", "httpx", "jwt", "matplotlib", "psycopg", "rich", "starlette",
    "supabase", "uvicorn", "yoyo",
}  # fmt: skip
LIST = "import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"


@pytest.mark.parametrize("module", ["poller.cli", "poller.client", "poller.db"])
def test_nothing_heavy_is_imported_for_nothing(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST.format(module=module)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) & HEAVY == set()
