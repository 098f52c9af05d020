"""Every setting, with its default and its meaning: the one place where they are documented.

The table in docs/reference.md and `pgmedia --help` are made from these fields.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

POSTGRES_HOST = r"([^\[\]:@,/?]*|\[[0-9a-fA-F:.]+\])(:[0-9]*)?"
MOST_PORTS = 65536
POSTGRES_URL = re.compile(
    rf"postgres(ql)?://([^@\[\]/?]*@)?{POSTGRES_HOST}(,{POSTGRES_HOST})*(/[^?/]*)?(\?(?P<query>.*))?"
)
UNFIT_FOR_A_HEADER = re.compile(r"[^!-~]")
NOT_IN_A_URL = re.compile(r"[^!-~]|[#]|%(?![0-9a-fA-F]{2})")


class SettingsError(Exception):
    """Settings are missing or malformed. `problems` has one line for each; none shows a secret."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """`problems`: the field and the line of each."""
        self.problems = [line for _, line in problems]
        self.by_field = dict(problems)
        super().__init__("\n".join(self.problems))


def _postgres_url(value: SecretStr) -> SecretStr:
    """Refuse what a client would stumble over, as most of them then quote a part of it."""
    url = value.get_secret_value()
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://")
    parts = POSTGRES_URL.fullmatch(url)
    try:
        if parts is None or NOT_IN_A_URL.search(url):
            raise ValueError  # noqa: TRY301 - parse_qsl raises the same
        if parts["query"]:
            parse_qsl(parts["query"], keep_blank_values=True, strict_parsing=True)
        ports = conninfo_to_dict(url).get("port") or ""
        if any(not 0 < int(port) < MOST_PORTS for port in str(ports).split(",") if port):
            raise ValueError  # noqa: TRY301
    except (ValueError, psycopg.ProgrammingError):
        raise ValueError(
            "is not of the form postgresql://user:password@host:port/database; special characters"
            " of user and password must be percent-escaped, such as @ as %40"
        ) from None
    return value


def _http_url(value: str) -> str:
    value = value.strip().rstrip("/")
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or (url.port or 1) >= MOST_PORTS:
        raise ValueError("must be a URL that begins with https:// (or http://)")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("must be a URL without user, query and fragment")
    return value


def _project_url(value: str) -> str:
    if httpx.URL(value).path != "/":
        raise ValueError("must be the URL of the project alone, without a path")
    return value


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text:
        raise ValueError("must not be empty")
    if UNFIT_FOR_A_HEADER.search(text):
        raise ValueError("must be one word of ASCII characters")
    return SecretStr(text)


def _folder(value: Path) -> Path:
    if not value.is_dir() or not os.access(value, os.W_OK | os.X_OK):
        raise ValueError("must be a folder that can be written to")
    return value


def _name(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise ValueError("must be printable characters")
    return value


Folder = Annotated[Path, AfterValidator(_folder)]
Name = Annotated[str, AfterValidator(_name)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
ProjectUrl = Annotated[str, AfterValidator(_http_url), AfterValidator(_project_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]


class Settings(BaseSettings):
    """The environment of pgmedia. Secrets are SecretStr, so no log and no repr shows them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: PostgresUrl = Field(
        description="Postgres to work on, as postgresql://user:password@host:port/database. "
        "`pgmedia poll` needs no more rights than the role media_poller."
    )
    supabase_url: ProjectUrl | None = Field(
        default=None, description="URL of the Supabase project, for its Storage."
    )
    supabase_service_key: Secret | None = Field(
        default=None, description="Key of the role service_role; uploads and removes files."
    )
    supabase_anon_key: Secret | None = Field(
        default=None,
        description="Key that everybody may have; `pgmedia doctor` tries that it opens nothing.",
    )
    whatsapp_token: Secret | None = Field(
        default=None, description="Access token of the WhatsApp Business Cloud API."
    )
    whatsapp_phone_id: str | None = Field(
        default=None,
        description="Phone number id to ask with, for messages that carry none themselves.",
    )
    whatsapp_api_url: HttpUrl = Field(
        default="https://graph.facebook.com/v23.0",
        description="Graph API with its version. The token goes only to this host and to Meta's.",
    )
    whatsapp_app_secret: Secret | None = Field(
        default=None, description="App secret of the Meta app, which signs webhook calls."
    )
    whatsapp_verify_token: Secret | None = Field(
        default=None, description="What Meta must know when it verifies the webhook's address."
    )
    pgmedia_webhook_host: str = Field(
        default="127.0.0.1",
        description="Address that `pgmedia webhook` listens on; Meta comes by HTTPS, so through a "
        "proxy.",
    )
    pgmedia_webhook_port: int = Field(
        default=8080, ge=0, le=65535, description="Port that `pgmedia webhook` listens on."
    )
    pgmedia_webhook_seconds: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="How long a request to `pgmedia webhook` may take to come in, to its last "
        "byte.",
    )
    pgmedia_concurrency: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="Attachments a poller works on at once. Of one phone number, all pollers "
        "together ask for fewer than media_settings.refusals_per_hour (17) files at once.",
    )
    pgmedia_poll_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How long an idle poller waits before it looks at the queue again unasked.",
    )
    pgmedia_spool_memory_bytes: int = Field(
        default=1_048_576,
        ge=0,
        description="A download is held in memory up to this size, on disk beyond it.",
    )
    pgmedia_spool_folder: Folder | None = Field(
        default=None, description="Where downloads are held on disk; the system's own by default."
    )
    pgmedia_check_seconds: float = Field(
        default=20.0,
        gt=0,
        le=3600,
        description="How long the check of one file's content may take.",
    )
    pgmedia_check_memory_bytes: int = Field(
        default=1_073_741_824,
        ge=268_435_456,
        le=1_099_511_627_776,
        description="Address space that the check of one file's content may use.",
    )
    pgmedia_encode_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="How long it may take to compress one file; it is stored as it came otherwise.",
    )
    pgmedia_encode_memory_bytes: int = Field(
        default=1_610_612_736,
        ge=268_435_456,
        le=1_099_511_627_776,
        description="Address space that it may take to compress one file. As many files as half "
        "the processors are compressed at once.",
    )
    pgmedia_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Longest silence of WhatsApp or Storage that is borne.",
    )
    pgmedia_grace_seconds: float = Field(
        default=25.0,
        ge=0,
        le=86_400,
        description="After SIGTERM, how long work in hand may take before it is given back.",
    )
    pgmedia_metrics_host: str = Field(
        default="127.0.0.1",
        description="Address of /metrics, /healthz and /readyz of `pgmedia poll` and `webhook`.",
    )
    pgmedia_metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of these; without one there are none. 0: any free one, which the log "
        "names. Each process needs its own.",
    )
    pgmedia_log_format: Literal["auto", "json", "plain"] = Field(
        default="auto",
        description="How `pgmedia poll` and `webhook` log: auto is plain lines on a terminal, and "
        "otherwise a JSON object a line.",
    )
    pgmedia_poller_name: Name = Field(
        default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}",
        description="Name of this poller, unique to the process: host, pid and a random part.",
    )

    @classmethod
    def from_env(cls, *needed: str) -> Settings:
        """Read the environment and `.env`; the environment wins.

        `needed` names optional settings that the caller cannot work without. Raises SettingsError
        with one line per problem.
        """
        required = {name: (_required(cls.model_fields[name]), ...) for name in needed}
        model: type[Settings] = create_model(cls.__name__, __base__=cls, **required)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]
        try:
            return model(_env_file=".env")  # pyright: ignore
        except ValidationError as error:
            problems = [
                (str(one["loc"][0]), _problem(one["loc"], one["type"], one["msg"]))
                for one in error.errors()
            ]
            raise SettingsError(problems) from None


def examine_settings() -> tuple[Settings, dict[str, str]]:
    """The settings as far as they can be read, and what is wrong with the others, by field.

    A setting with a problem has its default; database_url, which has none, must not be read then.
    """
    try:
        return Settings.from_env(), {}
    except SettingsError as error:
        problems = error.by_field
    defaults = {name: _default(Settings.model_fields[name]) for name in problems}
    replaced = {
        name: (Annotated[Any, AfterValidator(lambda _, default=default: default)], default)
        for name, default in defaults.items()
    }
    model: type[Settings] = create_model("Settings", __base__=Settings, **replaced)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]
    return model(_env_file=".env"), problems  # pyright: ignore


def _default(field: FieldInfo) -> object:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _required(field: FieldInfo) -> object:
    """The type of an optional setting, without the None."""
    return next(kind for kind in get_args(field.annotation) if kind is not type(None))


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(place[0]).upper()
    if kind == "missing":
        return f"{name} is not set"
    message = message.removeprefix("Value error, ")
    return f"{name}: {message[0].lower()}{message[1:]}"


def settings_table() -> list[tuple[str, str, str]]:
    """Every setting as (name, default, meaning), in the order they are declared."""
    rows: list[tuple[str, str, str]] = []
    for name, field in Settings.model_fields.items():
        if field.default_factory is not None:
            default = "made at start"
        elif field.is_required():
            default = "required"
        else:
            default = "" if field.default is None else str(field.default)
        rows.append((name.upper(), default, field.description or ""))
    return rows
