"""What is in deploy/."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOY = CHECKOUT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
COMPOSE = DEPLOY / "compose.yaml"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
DASHBOARD = DEPLOY / "grafana" / "pgmedia.json"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def relative(file: Path) -> str:
    return file.relative_to(CHECKOUT).as_posix()


def load(file: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    documents = cast("list[dict[str, Any]]", list(yaml.safe_load_all(file.read_text("utf-8"))))
    return [one for one in documents if one]


def services() -> dict[str, Any]:
    """The services of compose.yaml."""
    return load(COMPOSE)[0]["services"]


def pods() -> dict[str, Any]:
    """The specification of each kind of pod, by the command that it runs."""
    found: dict[str, Any] = {}
    for file in MANIFESTS:
        for one in load(file):
            if template := one.get("spec", {}).get("template"):
                (container,) = template["spec"]["containers"]
                found[container["args"][0]] = template["spec"]
    return found


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s?", text)
    assert found, text
    return int(found[1])
