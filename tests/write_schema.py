"""Write db/schema.txt: what a fresh installation holds, one line per thing (`make schema`)."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
from pydantic import SecretStr

from poller.migrate import migrate, schema_folder
from poller.sandbox.postgres import PostgresServer

DESCRIBE = "select * from public.describe_media_schema()"


def describe_fresh_schema() -> str:
    """The lines of a database of its own, on an embedded server."""
    with PostgresServer() as server:
        dsn = server.dsn()
        migrate(SecretStr(dsn))
        with psycopg.connect(dsn) as connection:
            return "".join(f"{line}\n" for (line,) in connection.execute(DESCRIBE))


def main(file: Path) -> None:
    file.write_text(describe_fresh_schema(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else schema_folder() / "schema.txt")
