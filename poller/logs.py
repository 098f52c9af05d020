"""The log of what runs: a JSON object a line, or plain lines on a terminal. Never a secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

from pydantic import SecretStr

from poller.records import Job
from poller.redaction import Redactor
from poller.text import plain

if TYPE_CHECKING:
    from poller.config import Settings

FIELDS = ("media_id", "attempt", "outcome", "code", "webhook")
"""What a line may say beside its message, by `extra`."""

_job: ContextVar[Job | None] = ContextVar("job", default=None)


def about_job(job: Job) -> None:
    """From now on, every line of this task is about this attachment."""
    _job.set(job)


def of_job(job: Job, **more: Any) -> dict[str, Any]:
    """The `extra` of a line about an attachment that another task works on."""
    return {"media_id": str(job.id), "attempt": job.attempt, **more}


def secrets_of(settings: Settings) -> list[str]:
    """Every secret among the settings, and the passwords in the database's URL."""
    from psycopg.conninfo import conninfo_to_dict

    values = [getattr(settings, name) for name in type(settings).model_fields]
    found = [one.get_secret_value() for one in values if isinstance(one, SecretStr)]
    parts = conninfo_to_dict(settings.database_url.get_secret_value())
    return [*found, *(str(parts[name]) for name in ("password", "sslpassword") if parts.get(name))]


class Stamp(logging.Filter):
    """Gives a line the attachment that its task works on."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (job := _job.get()) is not None and not hasattr(record, "media_id"):
            record.__dict__.update(of_job(job))
        return True


class PlainFormatter(logging.Formatter):
    """Time, level, attachment, message: in one line, but for a traceback."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        media_id = getattr(record, "media_id", None)
        about = "" if media_id is None else f"media {media_id}: "
        record.message = plain(about + record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """A JSON object: at, level, logger, message, and what else there is to say."""

    def __init__(self, redact: Redactor, process: dict[str, str]) -> None:
        super().__init__()
        self._redact = redact
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._process,
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return self._redact(json.dumps(line, ensure_ascii=False, default=str))


def is_terminal() -> bool:
    """Is there somebody who reads standard error?"""
    return bool(sys.stderr) and sys.stderr.isatty()


def log_to_stderr(
    form: Literal["auto", "json", "plain"], secrets: Iterable[str], process: dict[str, str],
    stream: TextIO | None = None,
) -> None:  # fmt: skip
    """Log from now on. `process`: what every JSON line says of the process, such as its name."""
    stream = stream or sys.stderr
    redact = Redactor(secrets)
    is_json = form == "json" or (form == "auto" and not is_terminal())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(redact, process) if is_json else PlainFormatter(redact))
    handler.addFilter(Stamp())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # uvicorn tells of each server, also of the one for metrics; whoever serves says so itself
    for noisy in ("httpx", "httpcore", "asyncio", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("asyncpg").setLevel(logging.ERROR)  # warns of what its callers are told too


def logs_json() -> bool:
    """Is the log one of JSON objects?"""
    handlers = logging.getLogger().handlers
    return any(isinstance(one.formatter, JsonFormatter) for one in handlers)
