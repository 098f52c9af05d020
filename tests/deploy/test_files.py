"""The files in deploy/ are well-formed, and lead to what there is. tests/docker builds it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # pyright: ignore[reportMissingTypeStubs]
import pytest
import typer.main

from poller.cli import app
from poller.metrics import STATUSES, PollerMetrics, WebhookMetrics
from poller.monitor import Monitor
from tests.deploy.files import (
    ALERTS,
    CHECKOUT,
    DASHBOARD,
    DOCKERFILE,
    MANIFESTS,
    UNITS,
    load,
    pods,
    relative,
    services,
)

KUBERNETES = "1.31"
CONTAINERS_PORT = 19400
EXPORTERS = range(9090, 10_000)
"""Prometheus, what belongs to it, and all that its list of default ports has given out."""
FIRST_EPHEMERAL_PORT = 32_768
SUFFIXES = {
    "counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "info": ["_info"],
}  # fmt: skip
METRIC = re.compile(r"\b(?:pgmedia|process|python)_[a-z_]+\b")
LABEL = re.compile(r'\b(\w+)[=!]~?"([^"]*)"')
COPIED = re.compile(r"^COPY (?!--from)(.*) \S+$", re.MULTILINE)
VERSION = re.compile(r"^(\S+==[^\s\\]+)(.*\n    --hash=sha256:)?", re.MULTILINE)


@pytest.mark.parametrize(
    "file", [file for file in MANIFESTS if file.name != "kustomization.yaml"], ids=relative
)
def test_a_manifest_is_what_kubernetes_takes(file: Path) -> None:
    for one in load(file):
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_every_manifest_is_applied() -> None:
    (kustomization,) = [load(file)[0] for file in MANIFESTS if file.name == "kustomization.yaml"]
    others = {file.name for file in MANIFESTS} - {"kustomization.yaml", "secret.example.yaml"}

    assert set(kustomization["resources"]) == others


def test_the_keys_of_the_secret_are_those_that_are_asked_for() -> None:
    (secret,) = [load(file)[0] for file in MANIFESTS if file.name == "secret.example.yaml"]
    asked = {
        one["valueFrom"]["secretKeyRef"]["key"]
        for pod in pods().values()
        for one in pod["containers"][0]["env"]
    }

    assert asked == set(secret["stringData"])


def test_probes_ask_what_is_answered() -> None:
    async def never() -> Any:
        raise AssertionError

    monitor = Monitor(PollerMetrics().registry, never, never, never)
    answered = {route.path for route in monitor.application().routes}  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    for command in ("poll", "webhook"):
        (container,) = pods()[command]["containers"]
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        for kind, path in (("liveness", "/healthz"), ("readiness", "/readyz")):
            probe = container[f"{kind}Probe"]["httpGet"]
            assert probe["path"] == path
            assert path in answered
            assert f"PGMEDIA_METRICS_PORT={ports[probe['port']]}" in DOCKERFILE.read_text("utf-8")
        assert ports["metrics"] == CONTAINERS_PORT
    for name in ("poller", "webhook"):
        (file,) = [file for file in MANIFESTS if file.name == f"{name}.yaml"]
        assert load(file)[0]["spec"]["template"]["metadata"]["annotations"] == {
            "prometheus.io/scrape": "true", "prometheus.io/port": str(CONTAINERS_PORT),
        }  # fmt: skip


def unit(name: str) -> str:
    (file,) = [file for file in UNITS if file.name == name]
    return file.read_text("utf-8")


def port_of(instance: int) -> int:
    """The port that the unit of a poller sets, as systemd and the shell make it."""
    (script,) = re.findall(
        r"^ExecStart=/bin/sh -c '(.*)'$", unit("pgmedia-poller@.service"), re.MULTILINE
    )
    script = script.replace("$$", "$").replace("%i", str(instance))
    assert script.endswith(" exec /opt/pgmedia/bin/pgmedia poll")
    shown = script.replace("/opt/pgmedia/bin/pgmedia poll", "printenv PGMEDIA_METRICS_PORT")
    done = subprocess.run(["/bin/sh", "-c", shown], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_each_process_on_a_machine_has_a_port_of_its_own_that_no_exporter_has() -> None:
    (webhook,) = re.findall(
        r"^Environment=PGMEDIA_METRICS_PORT=(\d+)$", unit("pgmedia-webhook.service"), re.MULTILINE
    )
    ports = [int(webhook), *(port_of(instance) for instance in range(1, 100))]

    assert len(set(ports)) == 100
    assert ports[0] == CONTAINERS_PORT
    for port in ports:
        assert 1024 <= port < FIRST_EPHEMERAL_PORT
        assert port not in EXPORTERS


def test_no_pod_is_root_or_may_become_it() -> None:
    for pod in pods().values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        closed = pod["containers"][0]["securityContext"]
        assert closed["readOnlyRootFilesystem"] is True
        assert closed["allowPrivilegeEscalation"] is False
        assert closed["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in pod["containers"][0]["resources"]["limits"]


def test_the_image_is_built_of_what_there_is_and_of_locked_versions() -> None:
    text = DOCKERFILE.read_text("utf-8")
    ignored = (CHECKOUT / ".dockerignore").read_text("utf-8")

    for sources in COPIED.findall(text):
        for source in sources.split():
            assert (CHECKOUT / source).exists(), source
            assert f"\n!{source}\n" in ignored, source
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    for lock in re.findall(r"-r (requirements/\S+)", text):
        versions = VERSION.findall((CHECKOUT / lock).read_text("utf-8"))
        assert versions
        assert all(hashed for _, hashed in versions)
    assert text.count("--require-hashes") == 2


def test_an_images_versions_are_those_that_are_tested() -> None:
    def versions(name: str) -> set[str]:
        content = (CHECKOUT / "requirements" / name).read_text("utf-8")
        return {version for version, _ in VERSION.findall(content)}

    assert versions("run.txt") | versions("build.txt") <= versions("dev.txt")


def test_everything_runs_a_command_that_there_is() -> None:
    group: Any = typer.main.get_command(app)
    used = set(pods())
    used |= {
        one["command"][0]
        for one in services().values()
        if one.get("image") == "pgmedia" and "profiles" not in one
    }
    for unit in UNITS:
        used |= set(re.findall(r"^ExecStart=.*/pgmedia (\w+)'?$", unit.read_text("utf-8"), re.M))

    assert used == {"migrate", "buckets", "poll", "webhook"}
    calls = [one["containers"][0]["args"] for one in pods().values()]
    calls += [
        one["command"]
        for one in services().values()
        if one.get("image") == "pgmedia" and "profiles" not in one
    ]
    for name, *options in calls:  # nobody is there to be asked
        can_ask = any("--yes" in one.opts for one in group.commands[name].params)
        assert ("--yes" in options) == can_ask, name
    assert used <= set(group.commands)


def metrics() -> set[str]:
    """The names of all samples that a poller or a webhook may show."""
    names: set[str] = set()
    for registry in (PollerMetrics().registry, WebhookMetrics().registry):
        for one in registry.collect():
            names |= {one.name + suffix for suffix in SUFFIXES.get(one.type, [""])}
    return names


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard: Any = json.loads(DASHBOARD.read_text("utf-8"))
    expressions = [one["expr"] for panel in dashboard["panels"] for one in panel.get("targets", [])]
    named = {name for text in expressions for name in METRIC.findall(text)}
    variables = json.dumps(dashboard["templating"])

    assert len(expressions) > 20
    assert named <= metrics()
    assert set(METRIC.findall(variables)) - metrics() == set()
    own = {name for name in metrics() if name.startswith("pgmedia_")}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    unseen = {re.sub(r"_(bucket|count|sum)$", "", name) for name in own} - shown
    assert unseen == {"pgmedia_build_info"}  # a variable of the dashboard
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_what_is_asked_of_labels_is_what_they_say() -> None:
    known: dict[str, set[str]] = {"code": {""}, "status": set(STATUSES)}
    for registry in (PollerMetrics().registry, WebhookMetrics().registry):
        for one in registry.collect():
            for sample in one.samples:
                for name, value in sample.labels.items():
                    known.setdefault(name, set()).add(value)
    for file in (DASHBOARD, ALERTS):
        text = file.read_text("utf-8").replace('\\"', '"')
        for name, values in LABEL.findall(text):
            assert name == "job" or set(values.split("|")) <= known[name], (file.name, name, values)


def test_the_alerts_ask_for_metrics_that_there_are_and_are_explained() -> None:
    rules = [rule for group in load(ALERTS)[0]["groups"] for rule in group["rules"]]
    explained = (CHECKOUT / "docs" / "operations.md").read_text("utf-8")

    assert {name for rule in rules for name in METRIC.findall(rule["expr"])} <= metrics()
    named = set(re.findall(r"`(Pgmedia\w+)`", explained))
    assert named == {rule["alert"] for rule in rules}
