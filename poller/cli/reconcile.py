"""What compares storage with the database."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from poller.cli.app import (
    FAILED,
    SECONDS_BETWEEN_LINES,
    DryRun,
    Yes,
    app,
    connected,
    examples,
    json_of,
    need_an_answer,
    say,
)
from poller.config import Settings
from poller.records import Difference, Fix, StoredFile
from poller.text import counted, plain

KINDS = ("orphan", "missing", "differs")


@app.command(
    epilog=examples("pgmedia reconcile --bucket images", "pgmedia reconcile --fix --dry-run")
)
def reconcile(
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Queue orphans for removal, and the attachments of missing and wrong files for"
            " another download; those that WhatsApp keeps no longer fail.",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, for programs: an object a line, the totals last."),
    ] = False,
    bucket: Annotated[str | None, typer.Option(metavar="BUCKET", help="This one only.")] = None,
) -> None:
    """Find files without a row, rows without a file, and files of another size or type.

    Only what is older than media_settings.reconcile_min_age (an hour), in folders of a year and a
    month. Without --fix it changes nothing, as with --dry-run, which says what --fix would do.
    Exits 1 on differences that were not fixed. Needs the role media_admin.
    """
    from poller.reconcile import reconciling

    if fix:
        need_an_answer(yes=yes, dry_run=dry_run)
    settings = Settings.from_env("supabase_url", "supabase_service_key")

    async def run() -> bool:
        report = Report(as_json=as_json, dry_run=dry_run or not fix)
        async with (
            connected(settings) as database,
            reconciling(settings, database, bucket, report.progress) as work,
        ):
            buckets = (await database.storage_stats())["by_bucket"]
            report.files = await work.list_files(
                sum(one["objects"] for name, one in buckets.items() if bucket in (None, name))
            )
            report.foreign = await work.compare()
            async for one in work.confirmed():
                if isinstance(one, Difference):
                    report.found(one)
                else:
                    report.unknown(one)
            to_fix = fix and not dry_run and report.differences.total()
            if to_fix and (yes or await _agreed(f"{report.plan()}?")):
                async for fixed in work.fix():
                    report.fixed(fixed)
        report.totals()
        if fix and dry_run and report.differences.total() and not as_json:
            say(f"dry run: --fix would {report.plan().lower()}")
        return report.differences.total() == report.outcomes["fixed"] and not report.unknowns

    if not asyncio.run(run()):
        raise typer.Exit(FAILED)


class Report:
    """Says what is found and done, a line each, and keeps count."""

    def __init__(self, *, as_json: bool, dry_run: bool) -> None:
        self.files = 0
        self.foreign = 0
        self.unknowns = 0
        self.differences: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._as_json = as_json
        self._dry_run = dry_run
        self._live = sys.stderr.isatty()
        self._attachments = 0
        self._told = time.monotonic()

    def progress(self, line: str = "") -> None:
        """Show how far it is: on a terminal in a line that the next one replaces."""
        if not self._live and line and time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            sys.stderr.write(f"{plain(line)}\n")
            sys.stderr.flush()
        elif self._live:
            sys.stderr.write(f"\r\x1b[2K{plain(line)[:100]}")
            sys.stderr.flush()

    def found(self, one: Difference) -> None:
        if self._as_json:
            self._say(json_of(asdict(one)))
        else:
            self._row(one.difference, one, _detail(one))
        self.differences[one.difference] += 1
        self._attachments += one.attachments

    def unknown(self, one: StoredFile) -> None:
        """Tell of a file that seems to differ, and of which storage did not say."""
        if self._as_json:
            place = {"bucket_name": one.bucket_name, "storage_path": one.storage_path}
            self._say(json_of({"difference": "unknown", **place, "problem": one.problem}))
        else:
            self._row("unknown", one, one.problem or "")
        self.unknowns += 1

    def fixed(self, one: Fix) -> None:
        self.outcomes["fixed" if one.done else "left"] += 1
        self.outcomes[one.outcome] += (one.attachments or 1) - (one.expired or 0)
        self.outcomes["expired"] += one.expired or 0
        if self._as_json:
            self._say(json_of(asdict(one)))
        elif not one.done:
            self._say(
                f"not fixed: {plain(one.bucket_name)}/{plain(one.storage_path)}: {one.outcome}"
            )

    def plan(self) -> str:
        return (
            f"Remove {counted(self.differences['orphan'], 'file')} and download"
            f" {counted(self._attachments, 'attachment')} again"
        )

    def totals(self) -> None:
        kinds = {kind: self.differences[kind] for kind in KINDS}
        fixed, left = self.outcomes["fixed"], self.outcomes["left"]
        if self._as_json:
            totals = {
                "files": self.files, **kinds, "unknown": self.unknowns, "foreign": self.foreign,
                "fixed": fixed, "expired": self.outcomes["expired"], "left": left,
                "dry_run": self._dry_run,
            }  # fmt: skip
            self._say(json_of({"totals": totals}))
            return
        found = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
        if self.unknowns:
            found += f", {self.unknowns:,} unknown"
        self._say(f"{counted(self.files, 'file')} in storage: {found}")
        if self.foreign:
            self._say(f"{counted(self.foreign, 'file')} that pgmedia did not make, left alone")
        if fixed or left:
            self._say(
                f"{counted(self.outcomes['removal queued'], 'file')} queued for removal,"
                f" {counted(self.outcomes['queued again'], 'attachment')} queued again,"
                f" {left:,} not fixed"
            )
        if expired := self.outcomes["expired"]:
            self._say(
                f"{counted(expired, 'attachment')} failed as media_expired: WhatsApp keeps them"
                " no longer"
            )

    def _row(self, kind: str, one: Difference | StoredFile, detail: str) -> None:
        if not self.differences and not self.unknowns:
            self._say(f"{'DIFFERENCE':<11} {'FILE':<62} DETAIL")
        file = plain(f"{one.bucket_name}/{one.storage_path}")
        self._say(f"{kind:<11} {file:<62} {detail}")

    def _say(self, line: str) -> None:
        self.progress()
        say(line)


def _detail(one: Difference) -> str:
    size, kind = _bytes(one.file_size), plain(one.mime_type or "type unknown")
    if one.difference == "orphan":
        return f"{size}, {kind}, of {one.changed_at:%Y-%m-%d %H:%M} UTC"
    attachments, expected = counted(one.attachments, "attachment"), _bytes(one.expected_size)
    if one.difference == "missing":
        return f"{attachments}, {expected}, {one.expected_type}"
    wrong = [
        f"{held}, not {wanted}"
        for held, wanted, differs in (
            (size, expected, one.file_size not in (None, one.expected_size)),
            (kind, one.expected_type, one.mime_type not in (None, one.expected_type)),
        )
        if differs
    ]
    return f"{attachments}; {'; '.join(wrong)}"


def _bytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size:,} bytes"


async def _agreed(question: str) -> bool:
    """Ask on the terminal. Not by a call that blocks: Ctrl-C would go unheard."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    loop, answered = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
