"""The files in deploy/ set what pgmedia reads, and leave it the time that it needs to stop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from poller.cli.serve import poll, webhook
from poller.config import Settings, settings_table
from poller.db.pool import CLOSE_SECONDS
from poller.loop import GOODBYE_SECONDS
from tests.deploy.files import COMPOSE, DEPLOY, DOCKERFILE, UNITS, pods, relative, seconds, services

NAME = re.compile(r"\b(?:DATABASE_URL|(?:SUPABASE|WHATSAPP|PGMEDIA)_[A-Z_]+)\b")
KNOWN = {name for name, _, _ in settings_table()}
NEEDED = {
    "migrate": {"DATABASE_URL"},
    "buckets": {"DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_KEY"},
    "poll": {"DATABASE_URL", "SUPABASE_URL", "SUPABASE_SERVICE_KEY", "WHATSAPP_TOKEN"},
    "webhook": {"DATABASE_URL", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"},
}
"""What each command refuses to begin without, and all that it is given."""
SECRETS = {
    "SUPABASE_SERVICE_KEY", "WHATSAPP_APP_SECRET", "WHATSAPP_TOKEN", "WHATSAPP_VERIFY_TOKEN",
}  # fmt: skip
STOP_SECONDS = Settings.model_fields["pgmedia_grace_seconds"].default + 2 * GOODBYE_SECONDS
FILES = [file for file in sorted(DEPLOY.rglob("*")) if file.is_file()]


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    named = set(NAME.findall(file.read_text("utf-8")))

    assert named <= KNOWN


@pytest.mark.parametrize("command", NEEDED)
def test_compose_gives_each_service_what_it_needs(command: str) -> None:
    (service,) = [one for one in services().values() if one.get("command", [None])[0] == command]

    given = set(service["environment"])

    assert NEEDED[command] <= given
    assert given & SECRETS == NEEDED[command] & SECRETS


def test_whatever_is_set_in_env_reaches_the_containers() -> None:
    poller, webhook, others = (services()[name] for name in ("poller", "webhook", "pgmedia"))
    of_the_webhook = {"WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"}
    address = {"PGMEDIA_WEBHOOK_HOST", "PGMEDIA_WEBHOOK_PORT"}

    assert KNOWN - address <= set(others["environment"])
    assert KNOWN - address - of_the_webhook - {"SUPABASE_ANON_KEY"} <= set(poller["environment"])
    own = {name for name in KNOWN - address if name.startswith("PGMEDIA_")}
    assert own | of_the_webhook <= set(webhook["environment"])
    assert all(f"${{{name}:-" in webhook["ports"][0] for name in address)
    for service in (poller, webhook, others):
        for name, value in service["environment"].items():
            assert value is None or name == "DATABASE_URL" or value.startswith(f"${{{name}:")


@pytest.mark.parametrize("command", NEEDED)
def test_kubernetes_gives_each_pod_what_it_needs(command: str) -> None:
    (container,) = pods()[command]["containers"]

    assert {one["name"] for one in container["env"]} == NEEDED[command]


def test_the_commands_need_what_is_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    for run, command in ((lambda: poll(drain=True), "poll"), (webhook, "webhook")):
        with pytest.raises(Exception, match="is not set") as raised:
            run()
        assert set(NAME.findall(str(raised.value))) == NEEDED[command]


def test_everything_has_the_time_to_give_its_work_back() -> None:
    least = STOP_SECONDS + CLOSE_SECONDS
    lasting: list[Any] = [pods()[command] for command in ("poll", "webhook")]

    assert all(pod["terminationGracePeriodSeconds"] >= least for pod in lasting)
    assert all("lifecycle" not in pod["containers"][0] for pod in lasting)
    for name in ("poller", "webhook"):
        assert seconds(services()[name]["stop_grace_period"]) >= least
    for unit in UNITS:
        (stop,) = re.findall(r"^TimeoutStopSec=(.*)$", unit.read_text("utf-8"), re.MULTILINE)
        assert seconds(stop) >= least


def test_a_wrong_setting_is_not_tried_again() -> None:
    for unit in UNITS:
        assert "\nRestartPreventExitStatus=2\n" in unit.read_text("utf-8")


def test_each_part_logs_in_with_its_own_role() -> None:
    text = COMPOSE.read_text("utf-8")
    assert text.count("postgresql://postgres:") == 4  # migrate, buckets, logins, commands
    for name in ("poller", "webhook"):
        url = services()[name]["environment"]["DATABASE_URL"]
        assert url.startswith(f"postgresql://pgmedia_{name}:")
        assert f"'pgmedia_{name}'" in (DEPLOY / "logins.sql").read_text("utf-8")
    assert "postgres:" not in DOCKERFILE.read_text("utf-8")
