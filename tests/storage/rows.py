"""Every way in which Storage fails that an upload or a removal can meet, and what each means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from poller.sandbox.faults import Fault
from poller.sandbox.storage_errors import (
    Reason,
    StorageError,
    bad_gateway,
    database_timeout,
    dropped,
    gateway_denial,
    internal_error,
    read_only,
    too_many_connections,
)

PAGE = "<html><body>Not what you are looking for</body></html>"
NO_AUTHORIZATION = StorageError(
    Reason.SCHEMA, "headers must have required property 'authorization'"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A failure and what it means: verdict, code, and words of the line for the operator."""

    name: str
    verdict: str
    code: str
    words: str
    fault: Fault | None = None
    key: str | None = None
    url: str | None = None


def of_body(error: StorageError) -> Fault:
    return Fault(400, error.reason.body(error.about))


ROWS = [
    Row("exists", "retry", "storage_failed", "already exists", Reason.OBJECT_EXISTS.fault()),
    Row("too large", "failed", "storage_size_refused", "exceeded", Reason.TOO_LARGE.fault()),
    Row(
        "type", "failed", "storage_type_refused", "mime type image/jpeg is not supported",
        of_body(StorageError(Reason.MIME_TYPE, "image/jpeg")),
    ),
    Row("bucket", "paused", "bucket_missing", "Bucket not found", Reason.NO_BUCKET.fault()),
    Row("anon key", "paused", "storage_key_refused", "row-level security", key="anon"),
    Row("foreign key", "paused", "storage_key_refused", "signature verification", key="foreign"),
    Row("expired key", "paused", "storage_key_refused", '"exp" claim', key="expired"),
    Row("malformed key", "paused", "storage_key_refused", "Invalid Compact JWS", key="malformed"),
    Row(
        "no key", "paused", "storage_answer_unexpected", "must have required property",
        of_body(NO_AUTHORIZATION),
    ),
    Row("bad path", "failed", "storage_path_refused", "Invalid key", Reason.KEY.fault()),
    Row(
        "bad bucket name", "paused", "bucket_missing", "name invalid", Reason.BUCKET_NAME.fault(),
    ),
    Row("read-only", "paused", "storage_unavailable", "read-only mode", read_only()),
    Row("internal", "retry", "storage_failed", "Internal Server Error", internal_error()),
    Row("database timeout", "retry", "storage_failed", "timed out", database_timeout()),
    Row("connections", "paused", "storage_rate_limited", "Too many", too_many_connections()),
    Row(
        "retry after", "paused", "storage_rate_limited", "HTTP 429",
        Fault(429, PAGE, {"Retry-After": "600"}),
    ),
    Row("gateway's 502", "paused", "storage_unavailable", "HTTP 502", bad_gateway()),
    Row("gateway's 504", "paused", "storage_unavailable", "HTTP 504", Fault(504, PAGE)),
    Row("gateway's 520", "paused", "storage_unavailable", "HTTP 520", Fault(520, PAGE)),
    Row("gateway's 530", "paused", "storage_unavailable", "HTTP 530", Fault(530, PAGE)),
    Row("unknown 531", "retry", "storage_failed", "HTTP 531", Fault(531, PAGE)),
    Row("gateway's 401", "paused", "storage_key_refused", "HTTP 401", gateway_denial()),
    Row("broken before", "retry", "storage_unreachable", "", dropped()),
    Row("broken answer", "retry", "storage_unreachable", "", Fault.disconnect()),
    Row("half an answer", "retry", "storage_unreachable", "", Fault.disconnect(after=5)),
    Row("silence", "retry", "storage_unreachable", "Timeout", Fault.stall()),
    Row("page with 200", "paused", "storage_answer_unexpected", "none of", Fault(200, PAGE)),
    Row("page with 404", "paused", "storage_answer_unexpected", "HTTP 404", Fault(404, PAGE)),
    Row("method", "paused", "storage_answer_unexpected", "HTTP 405", Fault(405, PAGE)),
    Row(
        "redirect", "paused", "storage_answer_unexpected", "HTTP 302",
        Fault(302, headers={"Location": "http://127.0.0.1:1/"}),
    ),
    Row("JSON of another", "paused", "storage_answer_unexpected", "none of", Fault(200, {"ok": 1})),
    Row("no server", "paused", "storage_absent", "Cannot connect", url="http://127.0.0.1:{port}"),
    Row("no host", "paused", "storage_absent", "Cannot connect", url="http://no-such-host.invalid"),
]  # fmt: skip


def fresh(fault: Fault) -> Fault:
    """The same fault, of this test's event loop."""
    return replace(fault, reached=asyncio.Event(), released=asyncio.Event())
