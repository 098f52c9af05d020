"""No clock of a poller's machine decides anything: all time is the database's, or monotonic."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import poller

WALL_CLOCKS = {
    "time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime",
    "time.clock_gettime", "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "email.utils.formatdate", "email.utils.localtime", "uuid.uuid1",
}  # fmt: skip
PACKAGE = Path(poller.__file__).parent
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not {"sandbox", "doctor"}.intersection(path.relative_to(PACKAGE).parts)
]
"""All but the stand-ins, and the doctor, who compares the clocks for a person to read."""


def wall_clocks(source: str) -> set[str]:
    """The wall clocks that a module reads, however it has imported them."""
    tree = ast.parse(source)
    full_names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full_names |= {one.asname or one.name: one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            full_names |= {
                one.asname or one.name: f"{node.module}.{one.name}" for one in node.names
            }
    read: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            name = full_names.get(first, first) + dot + rest
            read |= {clock for clock in WALL_CLOCKS if f".{name}".endswith(f".{clock}")}
    return read


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "from time import time as now\nnow()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "from datetime import datetime as d\nd.now()",
        "import datetime as dt\nread = dt.date.today",
    ],
)
def test_a_wall_clock_is_seen(source: str) -> None:
    assert wall_clocks(source)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_reads_the_wall_clock(path: Path) -> None:
    assert wall_clocks(path.read_text()) == set()
