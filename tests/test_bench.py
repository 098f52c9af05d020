"""`python -m bench`: each part a program of its own, and one file of figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import bench.__main__ as benches

QUICK = """
from bench.command import main


def run(bench):
    bench.report.table("Numbers", ("", ""), ("number", ",d"))
    bench.report.add("one", bench.size(1000, 1))


main("Quick.", run)
"""


def test_a_part_that_fails_is_told_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quick.py").write_text(QUICK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(benches, "PARTS", {"broken": "no_such_module", "quick": "quick"})
    written = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["bench", "--short", "--json", str(written)])

    with pytest.raises(SystemExit) as ended:
        benches.main()

    assert ended.value.code == 1
    parts = json.loads(written.read_text())["parts"]
    assert parts["broken"]["failed"] == "exit code 1"
    assert parts["quick"]["tables"][0]["rows"] == [["one", 1]]
    shown = capfd.readouterr().out
    assert "broken FAILED: exit code 1" in shown
    assert "| one " in shown


def test_a_part_that_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "queue", "speed"])
    with pytest.raises(SystemExit) as ended:
        benches.main()
    assert ended.value.code == 2
    assert "no such part: speed; there are queue, pipeline" in capsys.readouterr().err
