"""`pgmedia report`: what the store did, on one page for people who run none of it."""

from __future__ import annotations

from poller.report.figures import Report, read_report
from poller.report.summary import report_json

__all__ = ["Report", "read_report", "report_json"]
