"""What is calculated outside of the database: what was stored on which day, and the forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from poller.report.figures import Report, TypeOfDay, forecast, stored_by_day

FIRST = date(2026, 2, 1)


def row(day: int, grown: int, media_type: str = "image") -> TypeOfDay:
    return TypeOfDay(FIRST + timedelta(days=day), media_type, 1, 500, 1, 0, 0, 0, grown, None, None)


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=day) for day in range(count)]


def test_what_was_stored_is_counted_back_from_now() -> None:
    rows = [row(0, 100), row(2, -20), row(2, 5, media_type="video"), row(3, 10)]

    assert stored_by_day(days(4), rows, now=200) == [205, 205, 190, 200]


def test_it_is_never_less_than_nothing() -> None:
    assert stored_by_day(days(2), [row(1, 100)], now=40) == [0, 40]


def test_a_forecast_goes_on_from_now_as_whole_days_went() -> None:
    found = forecast(days(5), [100, 200, 300, 400, 410])  # today has only begun

    assert found.bytes_a_day == 100
    assert (found.bytes, found.until) == (410 + 5 * 100, FIRST + timedelta(days=9))


def test_what_shrinks_ends_at_nothing() -> None:
    assert forecast(days(4), [400, 300, 200, 100]).bytes == 0


def test_only_what_went_lately_is_carried_on_and_not_for_ever() -> None:
    stored = [0] * 170 + [10 * day for day in range(30)] + [300]

    found = forecast(days(201), stored)

    assert found.bytes_a_day == 10
    assert (found.bytes, found.until) == (300 + 90 * 10, FIRST + timedelta(days=290))


def test_a_young_store_is_not_thinned_by_the_days_before_it() -> None:
    found = forecast(days(30), [0] * 21 + [100 * day for day in range(1, 9)] + [810])

    assert found.bytes_a_day == 100
    assert found.until == FIRST + timedelta(days=29 + 3 * 9), "9 days say nothing of 90"


def test_a_store_whose_files_have_gone_again_stays_empty() -> None:
    assert forecast(days(30), [0] * 30).bytes == 0


def report(span: list[date], rows: list[TypeOfDay]) -> Report:
    return Report(
        at=datetime.combine(span[-1], datetime.min.time(), UTC), days=span, types=["image"],
        rows=rows, reasons=[], stored=[0] * len(span), forecast=None, stats={},
    )  # fmt: skip


@pytest.mark.parametrize(("count", "bars"), [(1, 1), (30, 30), (92, 92), (93, 13), (400, 57)])
def test_many_days_are_drawn_by_the_week(count: int, bars: int) -> None:
    found = report(days(count), [row(day, 0) for day in range(count)])
    lengths = [one.stop - one.start for one in found.periods]

    assert len(lengths) == bars
    assert (sum(lengths), found.periods[-1].stop) == (count, count)
    assert set(lengths[1:]) <= {found.period}
    assert found.period <= lengths[0] < 2 * found.period
    assert found.by_period("files") == [1.0] * bars, "an average, so that no bar is cut short"


def test_the_time_of_a_week_is_that_of_its_middle_day() -> None:
    times = [9000, 1000, 5000, None, 7000]
    rows = [replace(row(93 + day, 0), p50_ms=time) for day, time in enumerate(times)]

    assert report(days(98), rows).times("p50_ms", "image") == [None] * 13 + [5.0]


def test_an_average_begins_with_the_first_day_that_had_any() -> None:
    assert report(days(10), [row(8, 0), row(9, 0)]).a_day("files") == 1
