"""What a setting may be: each type refuses what is of no use, and says what it must be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import AfterValidator, SecretStr

POSTGRES_HOST = r"([^\[\]:@,/?]*|\[[0-9a-fA-F:.]+\])(:[0-9]*)?"
MOST_PORTS = 65536
POSTGRES_URL = re.compile(
    rf"postgres(ql)?://([^@\[\]/?]*@)?{POSTGRES_HOST}(,{POSTGRES_HOST})*(/[^?/]*)?(\?(?P<query>.*))?"
)
TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
UNFIT_FOR_A_HEADER = re.compile(r"[^!-~]")
NOT_IN_A_URL = re.compile(r"[^!-~]|[#]|%(?![0-9a-fA-F]{2})")


def _postgres_url(value: SecretStr) -> SecretStr:
    """Refuse what a client would stumble over, as most of them then quote a part of it."""
    import psycopg  # as httpx below: not for --help
    from psycopg.conninfo import conninfo_to_dict

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
    for name in TLS_FILES:
        if problem := _unreadable(dict(parse_qsl(parts["query"] or "")).get(name)):
            raise ValueError(f"{name} is {problem}")
    return value


def _unreadable(file: str | None) -> str | None:
    """What is in the way of reading a file that a URL names."""
    if file is None:
        return None
    try:
        Path(file).open("rb").close()
    except OSError as error:
        return f"{file}, which cannot be read: {error.strerror}"
    return None


def _http_url(value: str) -> str:
    import httpx

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
    import httpx

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
