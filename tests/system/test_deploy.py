"""The files in deploy/, as the programs that read them see them. Needs what .ci/run installs.

Images are neither built nor pulled here.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from poller.migrate import migrate
from poller.sandbox.postgres import FAST_AND_FORGETFUL, PostgresServer
from tests.deploy.files import ALERTS, COMPOSE, DEPLOY, UNITS, load, relative
from tests.helpers import sql

DEBIANS = Path("/usr/lib/postgresql/15/bin")
ALERTS_TRIED = Path(__file__).parent / "alerts.yaml"
VALUES = (
    "POSTGRES_PASSWORD", "POLLER_PASSWORD", "WEBHOOK_PASSWORD", "SUPABASE_URL",
    "SUPABASE_SERVICE_KEY", "WHATSAPP_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN",
)  # fmt: skip


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(one) for one in command], env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("unit", UNITS, ids=relative)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    """With a program that there is, as pgmedia is not installed in /opt here."""
    file = tmp_path / unit.name.replace("@", "@1")
    file.write_text(unit.read_text().replace("/opt/pgmedia/bin/pgmedia", "/bin/true"))

    done = run("systemd-analyze", "verify", file)

    assert (done.returncode, done.stderr) == (0, "")


def test_prometheus_takes_the_alerts() -> None:
    done = run("promtool", "check", "rules", ALERTS)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_tells_trouble_from_quiet() -> None:
    done = run("promtool", "test", "rules", ALERTS_TRIED)
    tried = {
        one["alertname"] for world in load(ALERTS_TRIED)[0]["tests"]
        for one in world["alert_rule_test"] if one["exp_alerts"]
    }  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert tried == {
        rule["alert"] for group in load(ALERTS)[0]["groups"] for rule in group["rules"]
    }


@pytest.mark.parametrize("missing", [None, "POLLER_PASSWORD", "WHATSAPP_TOKEN"])
def test_compose_takes_the_file(tmp_path: Path, missing: str | None) -> None:
    """Debian's docker-compose knows all of it but `name`."""
    content = load(COMPOSE)[0]
    del content["name"]
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(content))
    values = {name: "x" for name in VALUES if name != missing}

    done = run("docker-compose", "-f", file, "config", "--quiet", **values)

    assert (done.returncode == 0) is (missing is None), done.stderr
    if missing:
        assert missing in done.stderr


def test_the_logins_of_compose_are_made_and_may_be_made_again() -> None:
    settings = FAST_AND_FORGETFUL | {
        "shared_preload_libraries": "pg_cron",
        "cron.database_name": "postgres",
    }
    with PostgresServer(DEBIANS, settings=settings) as server:
        dsn = server.dsn()
        migrate(SecretStr(dsn))
        for password in ("first'one", "second"):
            done = run(
                DEBIANS / "psql", dsn, f"--set=poller_password={password}",
                "--set=webhook_password=x", f"--file={DEPLOY / 'logins.sql'}",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        (jobs,) = sql(dsn, "select count(*) from cron.job")
        roles = sql(
            dsn,
            "select member::regrole::text, roleid::regrole::text from pg_auth_members"
            " where member::regrole::text like 'pgmedia%' order by 1",
        )

    assert jobs == (1,)
    assert roles == [("pgmedia_poller", "media_poller"), ("pgmedia_webhook", "media_client")]
