"""`pgmedia report`, as a process of its own that may read the views and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import claim, describe, fail, queue_media, sha256, store
from tests.report.conftest import Run
from tests.report.history import write_failures, write_history

FETCHES = re.compile(
    r"<(?:script|link|img|iframe|object)\b|@import|url\((?!#)|\bsrc=", re.IGNORECASE
)
COLOUR = re.compile(r"#[0-9a-f]{6}\b")


async def test_the_figures_are_those_of_the_database(db: Any, run: Run, today: date) -> None:
    content = sha256(b"x")
    await store(db, content)  # an image of 1,000 bytes
    again = await queue_media(db)
    token = (await claim(db))[again]
    assert (await describe(db, again, token, sha256=content))["verdict"] == "deduplicated"
    await write_failures(db, "no such type")
    for _ in range(3):  # that fails four times, and stays one
        (media,) = await db.fetchrow("select id from media where failed_at is not null")
        await db.execute("select retry_media($1)", media)
        token = (await claim(db))[media]
        await fail(db, media, token, code="131051", http_status=400, text="no such type")

    code, said, _ = await run("--json", "--days", "3")
    found = json.loads(said)

    assert code == 0
    assert (found["files"], found["unique_files"], found["deduplicated_files"]) == (2, 1, 1)
    assert (found["bytes"], found["saved_bytes"], found["saved_share"]) == (2000, 1000, 0.5)
    assert (found["failed_files"], found["failed_share"]) == (1, 0.3333)
    assert found["in_storage"] == {"objects": 1, "bytes": 1000}
    assert list(found["stored_bytes_by_day"].values()) == [0, 0, 2000]
    (reason,) = found["failures"]
    assert (reason["code"], reason["files"]) == ("message_type_unsupported", 1)
    assert found["forecast"] is None
    assert found["to"] == today.isoformat()


async def test_a_page_of_a_month(db: Any, run: Run, tmp_path: Path, today: date) -> None:
    await write_history(db, today, 45)

    code, said, _ = await run("-o", "month.html")
    page = (tmp_path / "month.html").read_text("utf-8")

    assert code == 0
    files = await db.fetchval(
        "select sum(files) from media_daily_report where date > $1::date - 30", today
    )
    assert said == f"month.html: {files:,} files in 30 days\n"
    assert f">{files:,}</div>" in page
    assert page.count("<svg") == 14
    assert "at this rate" in page
    assert len(page.encode()) < 500_000


@pytest.mark.parametrize("days", ["1", "400"])
@pytest.mark.parametrize("history", [0, 1])
async def test_where_there_is_little_to_tell(
    db: Any, run: Run, tmp_path: Path, today: date, days: str, history: int
) -> None:
    await write_history(db, today, history)
    if not history:
        await db.execute("delete from media_bucket_totals")

    code, _, complaints = await run("--days", days)
    page = (tmp_path / "report.html").read_text("utf-8")

    assert (code, complaints) == (0, "")
    assert page.count("<svg") == (14 if history else 0)
    assert ("No files in these days." in page) is not history
    assert "A forecast takes a week" in page
    assert "nan" not in page.lower()


async def test_the_page_fetches_nothing_and_has_every_colour_in_its_style(
    db: Any, run: Run, today: date
) -> None:
    await write_history(db, today, 9)

    _, page, _ = await run("-o", "-")
    body = page.partition("</style>")[2]

    assert not FETCHES.search(page)
    assert "default-src 'none'" in page
    assert not COLOUR.search(body), "a colour that knows no dark page"
    for variable in set(re.findall(r"var\(--([\w-]+)\)", page)):
        assert page.count(f"--{variable}: #") == 2, variable  # light and dark


async def test_what_senders_and_bots_wrote_is_escaped(db: Any, run: Run, today: date) -> None:
    await write_history(db, today, 1)
    await write_failures(db, '"><script>alert(1)</script>')
    await db.execute(
        "update media_analytics set media_type = '<b>image</b>' where media_type = 'image'"
    )
    await db.execute("alter table media drop constraint if exists media_media_type_check")
    await db.execute("update media set failure_code = '<i>code</i>'")

    _, page, _ = await run("-o", "-")

    for tag in ("<script", "<b>", "<i>code"):
        assert tag not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;image" in page
    assert "&lt;i&gt;code" in page


async def test_without_the_extra_it_says_what_to_install(reader: str, tmp_path: Path) -> None:
    program = "import sys; sys.modules['matplotlib'] = None; from poller.cli import main; main()"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, "report", *arguments], cwd=tmp_path, check=False,
            capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": reader},
        )  # fmt: skip

    page, figures = run(), run("--json")

    assert page.returncode == 1
    assert page.stderr == "pgmedia: matplotlib is missing: pip install 'pgmedia[report]'\n"
    assert figures.returncode == 0
    assert json.loads(figures.stdout)["files"] == 0


async def test_a_folder_that_is_not_there(run: Run) -> None:
    code, said, complaint = await run("-o", "nowhere/report.html")

    assert (code, said) == (1, "")
    assert "nowhere/report.html" in complaint


async def test_a_reason_is_in_words_and_one_file_is_no_files(
    db: Any, run: Run, tmp_path: Path
) -> None:
    await store(db, sha256(b"x"), media_type="image")
    await write_failures(db, "a type that no row allows")
    await db.execute("select run_media_maintenance()")

    _, said, _ = await run("--days", "1")
    page = (tmp_path / "report.html").read_text("utf-8")

    assert said == "report.html: 1 file in 1 day\n"
    assert "<td>A kind of message that has no file<br>" in page
    assert ">1 file</div>" in page
    assert "1 files" not in page


async def test_a_year_is_drawn_by_the_week(db: Any, run: Run, today: date) -> None:
    await write_history(db, today, 3)

    for days, words in (("92", "Files by day"), ("93", "Files a day, averaged by week")):
        _, page, _ = await run("--days", days, "-o", "-")
        assert f"<h3>{words}</h3>" in page
