"""Every setting, with its default and its meaning: the one place where they are documented.

The table in docs/reference.md and `pgmedia --help` are made from these fields.
"""

from __future__ import annotations

import os
import socket
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from poller.settings_types import Folder, HttpUrl, Name, PostgresUrl, ProjectUrl, Secret


class SettingsError(Exception):
    """Settings are missing or malformed. `problems` has one line for each; none shows a secret."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """`problems`: the field and the line of each."""
        self.problems = [line for _, line in problems]
        self.by_field = dict(problems)
        super().__init__("\n".join(self.problems))


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
        description="Attachments whose bytes a poller has in hand at once; of as many more it may "
        "be recording that they are stored. Of one phone number, all pollers "
        "together ask for five sixths of media_settings.refusals_per_hour (19) files at once.",
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
