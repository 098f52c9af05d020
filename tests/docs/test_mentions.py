"""What the documentation names is there: commands, their options, files and headings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from poller.cli import app
from tests.docs.fences import CHECKOUT, documents
from tests.helpers import claim, queue_many

MENTION = re.compile(r"(?:`|^\$? ?)pgmedia((?: +[^`\n#]+)?)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
WORD = re.compile(r"[a-z][a-z-]+")
JOB = "maintenance"
"""`pgmedia maintenance` is the job of pg_cron, and no command."""


def name(file: Path) -> str:
    return file.relative_to(CHECKOUT).as_posix()


@pytest.mark.parametrize("file", [*documents(), CHECKOUT / "CHANGELOG.md"], ids=name)
def test_every_command_and_option_exists(file: Path) -> None:
    group: Any = typer.main.get_command(app)
    for mention in MENTION.findall(file.read_text("utf-8")):
        words = mention.split()
        if not words or not WORD.fullmatch(words[0]) or words == [JOB]:
            continue
        assert words[0] in group.commands, mention
        known: set[str] = set()
        for parameter in group.commands[words[0]].params:
            known |= {*parameter.opts, *parameter.secondary_opts}
        used = {word for word in words if word.startswith("--")}
        assert used <= known | {"--help"}, mention


@pytest.mark.parametrize("file", [*documents(), CHECKOUT / "CHANGELOG.md"], ids=name)
def test_every_link_leads_somewhere(file: Path) -> None:
    for link in LINK.findall(file.read_text("utf-8")):
        if link.startswith("http"):
            continue
        path, _, heading = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, link


REFUSED = [
    ("operations.md", r"pgmedia stops at (\d+):"),
    ("operations.md", r"WhatsApp refused (\d+) requests of this number"),
]
AT_ONCE = [
    ("operations.md", r"no more than (\d+) files of a number at once"),
    ("operations.md", r"no more than (\d+) files at once, however"),
    ("scaling.md", r"`refusals_per_hour` says:\s+(\d+)\."),
    ("scaling.md", r"`(\d+) / t` files a second"),
]
"""Where the documentation says how much a number is asked."""


async def test_how_much_a_number_is_asked_is_what_the_setting_says(db: Any) -> None:
    setting = await db.fetchval("select refusals_per_hour from media_settings")
    await queue_many(db, 30)
    at_once = len(await claim(db))
    for expected, mentions in ((setting, REFUSED), (at_once, AT_ONCE)):
        for file, words in mentions:
            (found,) = re.findall(words, (CHECKOUT / "docs" / file).read_text("utf-8"))
            assert int(found) == expected, (file, words)


PAUSE_TABLE = re.compile(r"^\| reason of a pause .*?\n\n", re.MULTILINE | re.DOTALL)


async def test_every_reason_of_a_pause_is_explained_and_no_other(db: Any) -> None:
    rows = await db.fetch(
        "select failure_code from media_failure_rules where action = 'pause'"
        " union select 'whatsapp_refusals_spent'"
    )
    (table,) = PAUSE_TABLE.findall((CHECKOUT / "docs" / "operations.md").read_text("utf-8"))
    reasons = [line.split("|")[1] for line in table.strip().splitlines()[2:]]

    assert set(re.findall(r"`(\w+)`", "".join(reasons))) == {row[0] for row in rows}
