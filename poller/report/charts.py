"""The charts of a report, as SVG without any colour of its own: the page's style has them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import matplotlib as untyped
from matplotlib import dates as untyped_dates
from matplotlib import ticker as untyped_ticker
from matplotlib.figure import Figure
from rich.filesize import decimal

from poller.report.figures import MOST_BARS, Report

HALF, WHOLE, NARROW = (4.9, 2.45), (9.9, 2.6), (3.4, 2.35)
"""Sizes in inches, of half and all of a page and of a phone: text is as large on each of them."""
COLOURS = {
    "text": "#0a0a01", "muted": "#0a0a02", "grid": "#0a0a03", "accent": "#0a0a04",
    "saved": "#0a0a05", "bad": "#0a0a06", "series-1": "#0a0a11", "series-2": "#0a0a12",
    "series-3": "#0a0a13", "series-4": "#0a0a14", "series-5": "#0a0a15", "series-6": "#0a0a16",
}  # fmt: skip
"""What the library draws with, and the name that the page knows the colour by."""
STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "pgmedia", "font.family": "sans-serif",
    "font.size": 9, "text.color": COLOURS["text"], "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"], "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"], "xtick.major.size": 0, "ytick.major.size": 0,
    "ytick.minor.size": 0, "grid.color": COLOURS["grid"], "grid.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "axes.axisbelow": True, "lines.solid_capstyle": "round", "figure.dpi": 72,
}  # fmt: skip
MOST_SERIES = 6
DECADE, MINUTE = 10, 60

Draw = Callable[[Any], None]
mpl: Any = untyped  # whose declarations of types are incomplete
dates: Any = untyped_dates
ticker: Any = untyped_ticker


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing in both sizes, and the names of its colours with what each stands for."""

    wide: str
    narrow: str
    legend: list[tuple[str, str]]


def series(report: Report) -> list[tuple[str, str]]:
    """The media types and their colours, the commonest first."""
    return [
        (f"series-{min(number, MOST_SERIES)}", name) for number, name in enumerate(report.types, 1)
    ]


def files_chart(report: Report) -> Chart:
    return _stacked(report, "files", _count)


def bytes_chart(report: Report) -> Chart:
    return _stacked(report, "bytes", _size)


def dedupe_chart(report: Report) -> Chart:
    received, saved = report.by_period("bytes"), report.by_period("saved_bytes")
    new = [all_ - less for all_, less in zip(received, saved, strict=True)]
    parts = [("accent", new), ("saved", saved)]
    legend = [("accent", "new content"), ("saved", "not stored again")]
    return _chart(legend, lambda axes: _bars(axes, report, parts, _size))


def failures_chart(report: Report) -> Chart:
    failed, files = report.by_period("failed_files"), report.by_period("files")
    share = [
        100 * bad / (bad + good) if bad + good else 0
        for bad, good in zip(failed, files, strict=True)
    ]
    legend = [("bad", "share of attachments that failed")]
    return _chart(legend, lambda axes: _bars(axes, report, [("bad", share)], _percent))


def times_chart(report: Report, percentile: str) -> Chart:
    def draw(axes: Any) -> None:
        for colour, name in series(report):
            times = [float("nan") if one is None else one for one in report.times(percentile, name)]
            axes.plot(
                _middles(report), times, color=COLOURS[colour], linewidth=1.8, marker="o",
                markersize=3,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 3), numticks=6))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        _frame(axes, report.days, _time)
        low, high = axes.get_ylim()
        if high / low < DECADE:  # so that two values are marked
            axes.set_ylim(low / 2, high * 2)

    return _chart(series(report), draw)


def growth_chart(report: Report) -> Chart:
    legend = [("accent", "stored")]
    if report.forecast:
        legend.append(("muted", "if it goes on like this"))

    def draw(axes: Any) -> None:
        axes.fill_between(
            report.days, report.stored, color=COLOURS["accent"], alpha=0.18, linewidth=0
        )
        axes.plot(
            report.days, report.stored, color=COLOURS["accent"], linewidth=2,
            marker="o" if len(report.days) == 1 else "",
        )  # fmt: skip
        shown = report.days
        if one := report.forecast:
            shown = [*report.days, one.until]
            axes.plot(
                [report.days[-1], one.until], [report.stored[-1], one.bytes],
                color=COLOURS["muted"], linewidth=1.6, linestyle=(0, (4, 3)),
            )  # fmt: skip
        _from_zero(axes, max(*report.stored, report.forecast.bytes if report.forecast else 0))
        _frame(axes, shown, _size)

    return _chart(legend, draw, WHOLE)


def _stacked(report: Report, figure: str, tick: Callable[[float], str]) -> Chart:
    legend = series(report)
    parts = [(colour, report.by_period(figure, name)) for colour, name in legend]
    return _chart(legend, lambda axes: _bars(axes, report, parts, tick))


def _bars(
    axes: Any, report: Report, parts: list[tuple[str, Any]], tick: Callable[[float], str]
) -> None:
    days = _middles(report)
    base = [0.0] * len(days)
    for colour, values in parts:
        top = [below + value for below, value in zip(base, values, strict=True)]
        axes.bar(
            days,
            values,
            bottom=base,
            width=0.72 * report.period,
            color=COLOURS[colour],
            linewidth=0,
        )
        base = top
    _from_zero(axes, max([*base, 1e-9]))
    _frame(axes, report.days, tick)


def _middles(report: Report) -> list[float]:
    """Where a period stands on the scale of days."""
    numbers = [dates.date2num(day) for day in report.days]
    return [numbers[one.stop - 1] - (report.period - 1) / 2 for one in report.periods]


def _from_zero(axes: Any, highest: float) -> None:
    """A scale from 0 to the first marked value that is no lower than the highest."""
    marks = ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(0, highest)
    axes.set_ylim(0, marks[-1])
    axes.yaxis.set_major_locator(ticker.FixedLocator(list(marks)))


def _frame(axes: Any, days: Sequence[date], tick: Callable[[float], str]) -> None:
    axes.grid(axis="y")
    if len(days) == 1:
        axes.set_xlim(dates.date2num(days[0]) - 3, dates.date2num(days[0]) + 3)
        axes.set_xticks([dates.date2num(days[0])])
    else:
        axes.set_xlim(dates.date2num(days[0]) - 0.7, dates.date2num(days[-1]) + 0.7)
        locator = dates.AutoDateLocator(minticks=3, maxticks=6)
        locator.intervald[dates.DAILY] = [1, 2, 7, 14]
        axes.xaxis.set_major_locator(locator)
    months = (days[-1] - days[0]).days > MOST_BARS
    axes.xaxis.set_major_formatter(dates.DateFormatter("%b %Y" if months else "%-d %b"))

    def label(value: float, _: int) -> str:
        return tick(value)

    axes.yaxis.set_major_formatter(ticker.FuncFormatter(label))


def _chart(legend: list[tuple[str, str]], draw: Draw, size: tuple[float, float] = HALF) -> Chart:
    return Chart(_svg(size, draw), _svg(NARROW, draw), legend)


def _svg(size: tuple[float, float], draw: Draw) -> str:
    """An SVG element whose colours are variables of the page, and whose text has its font."""
    with mpl.rc_context(STYLE):
        figure: Any = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        axes: Any = figure.subplots()
        axes.patch.set_alpha(0)
        draw(axes)
        out = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing, transparent=True)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'(<g|<defs|<text)? id="(?:[a-z0-9]+\.)?[a-z0-9]+_\d+"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", text)
    text = re.sub(r"font: [^;\"]*px [^;\"]*", "font-size: 9px", text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return re.sub(r"\n\s*", "\n", text).strip()


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else ""


def _size(value: float) -> str:
    return decimal(round(value)).replace(".0 ", " ") if value >= 1 else "0"


def _percent(value: float) -> str:
    return f"{value:g} %"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.0f} s" if seconds < MINUTE else f"{seconds / MINUTE:.0f} min"
