"""The page of a report."""

from __future__ import annotations

from datetime import date, datetime
from importlib import resources
from typing import Any

import jinja2
from rich.filesize import decimal

from poller import __version__
from poller.figures import compact
from poller.report import charts
from poller.report.figures import Report
from poller.report.summary import summary

LARGE = 10_000_000


def report_page(report: Report) -> str:
    """One HTML document that fetches nothing; everything from the database is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    filters: dict[str, Any] = {
        "size": decimal, "count": "{:,}".format, "time": _time, "day": _day, "moment": _moment,
        "amount": _amount, "plural": _plural,
    }  # fmt: skip
    environment.filters.update(filters)
    return environment.get_template("page.html").render(
        report=report,
        figures=summary(report),
        version=__version__,
        by="day" if report.period == 1 else "week",
        **_charts(report),
    )


def _file(name: str) -> str:
    return resources.files("poller.report").joinpath(name).read_text("utf-8")


def _charts(report: Report) -> dict[str, Any]:
    """The drawings; where there is nothing to draw, None."""
    files, failed = report.total("files"), report.total("failed_files")
    any_time = any(row.p50_ms is not None for row in report.rows)
    return {
        "files": charts.files_chart(report) if files else None,
        "bytes": charts.bytes_chart(report) if files else None,
        "dedupe": charts.dedupe_chart(report) if files else None,
        "failures": charts.failures_chart(report) if failed else None,
        "median": charts.times_chart(report, "p50_ms") if any_time else None,
        "slowest": charts.times_chart(report, "p95_ms") if any_time else None,
        "growth": charts.growth_chart(report) if any(report.stored) else None,
        "colours": charts.series(report),
    }


def _amount(count: int) -> str:
    """A number as it is up to seven digits, then in M and G."""
    return f"{count:,}" if count < LARGE else compact(count)


def _plural(count: int, noun: str) -> str:
    return f"{_amount(count)} {noun}{'' if count == 1 else 's'}"


def _time(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "none"
    seconds = milliseconds / 1000
    for unit, length in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{milliseconds:.0f} ms"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"
