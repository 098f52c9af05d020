"""What the throw-away Postgres leaves behind when its owner is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from poller.sandbox.postgres import SECONDS_TO_LOCK, PostgresServer

OWNER = """
from poller.sandbox.postgres import PostgresServer
print(PostgresServer(settings={}).folder, flush=True)
input()
"""


def test_what_a_killed_owner_left_goes_with_the_next_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of an owner that is alive stays, and so does one that is not locked yet."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    new = tmp_path / "pgmedia-server-new"
    new.mkdir()
    owners = [
        subprocess.Popen(
            [sys.executable, "-c", OWNER], env=os.environ | {"TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    folders: list[Path] = []
    for owner in owners:
        assert owner.stdout is not None
        folders.append(Path(owner.stdout.readline().strip()))
        made = folders[-1].stat().st_mtime - SECONDS_TO_LOCK - 1
        os.utime(folders[-1], (made, made))
    alive, killed = folders
    owners[1].kill()
    owners[1].communicate()

    server = PostgresServer(settings={})
    assert set(tmp_path.iterdir()) == {new, alive, server.folder}
    assert not killed.exists()

    server.close()
    owners[0].communicate("\n")
    PostgresServer(settings={}).close()
    assert set(tmp_path.iterdir()) == {new}
