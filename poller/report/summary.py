"""What a report says in numbers: for the page, and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from poller.report.figures import COUNTED, Report


def summary(report: Report) -> dict[str, Any]:
    """Shares from 0 to 1, processing_ms over the last seven days, and what lies in storage now."""
    finished = report.total("files") + report.failed()
    buckets = report.stats["by_bucket"].values()
    return {
        "saved_share": _share(report.total("saved_bytes"), report.total("bytes")),
        "failed_share": _share(report.failed(), finished),
        "processing_ms": report.stats["processing_ms"],
        "in_storage": {name: sum(one[name] for one in buckets) for name in ("objects", "bytes")},
    }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def report_json(report: Report) -> str:
    """The figures of the page. Sizes in bytes, times in milliseconds, days in UTC."""
    return json.dumps(
        {
            "at": report.at.isoformat(),
            "from": report.days[0].isoformat(),
            "to": report.days[-1].isoformat(),
            **{name: report.total(name) for name in COUNTED},
            "failed_files": report.failed(),
            **summary(report),
            "stored_files": report.stats["stored_files"],
            "stored_bytes": report.stats["stored_bytes"],
            "forecast": report.forecast and dataclasses.asdict(report.forecast),
            "failures": [dataclasses.asdict(reason) for reason in report.reasons],
            "stored_bytes_by_day": dict(
                zip([day.isoformat() for day in report.days], report.stored, strict=True)
            ),
            "by_day": [dataclasses.asdict(row) for row in report.rows],
        },
        indent=2,
        default=lambda moment: moment.isoformat(),
    )
