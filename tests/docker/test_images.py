"""deploy/Dockerfile and deploy/compose.yaml for real: built, started, used, stopped: `make docker`.

Needs Docker with Compose 2.24 or newer. The project has a name of its own, and nothing of it stays
but the images.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.files import CHECKOUT, COMPOSE

PROJECT = "pgmedia-test"
SETTINGS = {
    "SUPABASE_URL": "http://stand-ins:8002",
    "SUPABASE_SERVICE_KEY": "sb_secret_sandbox",
    "WHATSAPP_TOKEN": "sandbox-whatsapp-token",
    "WHATSAPP_APP_SECRET": "app-secret",
    "WHATSAPP_VERIFY_TOKEN": "verify-token",
    "POSTGRES_PASSWORD": "postgres1",
    "POLLER_PASSWORD": "poller1",
    "WEBHOOK_PASSWORD": "webhook1",
    "PGMEDIA_CONCURRENCY": "3",
}
MOST_BYTES = 280_000_000
"""What the image may be larger than the one it is built on; most of it is FFmpeg."""
SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")
QUEUE = "select status, attempts from media_processing_queue"
CRON = "select count(*) from cron.job_run_details where status = 'succeeded'"


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | SETTINGS, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def eventually(condition: Callable[[], Any], seconds: float = 90) -> Any:
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.2)
    return found


@dataclass(frozen=True, slots=True)
class World:
    """The containers, and the stand-ins of WhatsApp and Storage among them."""

    def compose(self, *arguments: str, check: bool = True) -> str:
        files = ("-f", str(COMPOSE), "-f", str(Path(__file__).parent / "compose.yaml"))
        return run("docker", "compose", "-p", PROJECT, *files, *arguments, check=check).stdout

    def inspect(self, service: str, what: str) -> str:
        container = self.compose("ps", "--all", "--quiet", service).strip()
        return run("docker", "inspect", "--format", f"{{{{{what}}}}}", container).stdout.strip()

    def asked(self, query: str) -> list[str]:
        psql = ("psql", "-U", "postgres", "-d", "pgmedia", "-Atc", query)
        return self.compose("exec", "-T", "postgres", *psql).splitlines()

    def send(self, how: str = "") -> str:
        """Let Meta bring a message with a picture; its SHA-256."""
        answer = httpx.post(f"{self._control}/send{how}", timeout=30).json()
        assert answer["status"] == 200
        return answer["sha256"]

    def is_stored(self, sha256: str) -> bool:
        return sha256 in httpx.get(f"{self._control}/files").json()

    @property
    def _control(self) -> str:
        return f"http://{self.compose('port', 'stand-ins', '8000').strip()}"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    try:
        made.compose("up", "--build", "--detach")
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "5", check=False)


def test_a_message_through_the_webhook_becomes_a_file(world: World) -> None:
    sha256 = world.send()

    eventually(lambda: world.is_stored(sha256))
    stats = json.loads(world.compose("run", "--rm", "pgmedia", "status", "--json"))
    assert stats["files"] == 1
    assert len(stats["pollers_alive"]) == 1
    media = world.asked("select id from media")[0]
    url = world.compose("run", "--rm", "pgmedia", "url", media)
    assert url.startswith(f"{SETTINGS['SUPABASE_URL']}/storage/v1/object/public/images/")


def test_what_set_all_up_has_ended_well(world: World) -> None:
    for service in ("migrate", "buckets", "logins"):
        assert world.inspect(service, ".State.Status") == "exited"
        assert world.inspect(service, ".State.ExitCode") == "0"
    assert world.inspect("poller", ".RestartCount") == "0"


def test_a_setting_of_env_reaches_the_poller(world: World) -> None:
    assert ": 3 at once" in world.compose("logs", "--no-color", "poller")


@pytest.mark.parametrize("service", ["poller", "webhook"])
def test_a_container_has_no_rights(world: World, service: str) -> None:
    look = "id -u; touch /opt/pgmedia/x 2>/dev/null || echo closed; touch /tmp/x && echo open"
    closed = world.compose("exec", "-T", service, "sh", "-c", look).split()
    capabilities = world.compose("exec", "-T", service, "grep", "CapBnd", "/proc/1/status").split()

    assert closed == ["10001", "closed", "open"]
    assert int(capabilities[1], 16) == 0


@pytest.mark.parametrize("service", ["poller", "webhook"])
def test_a_container_becomes_healthy(world: World, service: str) -> None:
    eventually(lambda: world.inspect(service, ".State.Health.Status") == "healthy")


def test_pg_cron_runs_the_maintenance(world: World) -> None:
    eventually(lambda: world.asked(CRON) != ["0"])


def test_a_stopped_poller_gives_its_work_back_and_another_does_it(world: World) -> None:
    sha256 = world.send("?stalled")
    eventually(lambda: world.asked(QUEUE) == ["processing|1"])

    world.compose("stop", "poller")

    assert world.inspect("poller", ".State.ExitCode") == "0"
    assert world.asked(QUEUE) == ["pending|0"]
    world.compose("up", "--detach", "--no-recreate")  # migrate and the others run again
    eventually(lambda: world.is_stored(sha256))
    assert world.inspect("migrate", ".State.ExitCode") == "0"


def test_no_log_has_a_secret(world: World) -> None:
    logs = world.compose("logs", "--no-color")

    assert "stored" in logs
    assert not [name for name, secret in SETTINGS.items() if SECRET.search(name) and secret in logs]


@pytest.mark.usefixtures("world")
def test_the_image_is_small() -> None:
    sizes = run(
        "docker", "image", "inspect", "--format", "{{.Size}}", "pgmedia", "python:3.13-slim"
    )
    whole, base = (int(line) for line in sizes.stdout.split())

    assert whole - base < MOST_BYTES
