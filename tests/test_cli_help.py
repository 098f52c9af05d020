"""The help of each command: what it is called with works, and what it needs is said."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import pgmedia
from tests.test_cli_conventions import CHANGING, commands

EXAMPLE = re.compile(r"^  (pgmedia .*?)( \| .*)?$|\$\((pgmedia .*?)\)", re.MULTILINE)
ROLES = {"migrate": "the login that owns the schema", "poll": "media_poller",
         "webhook": "media_client"}  # fmt: skip


def called(command: str) -> list[str]:
    """What the help of a command says that it is called with."""
    said: str = commands()[command].epilog or ""
    return [whole or inner for whole, _, inner in EXAMPLE.findall(said)]


@pytest.mark.parametrize("command", [name for name in commands() if called(name)])
def test_its_examples_are_taken(command: str) -> None:
    for line in called(command):
        _, name, *arguments = shlex.split(line)
        assert name == command
        found = commands()[command]
        with found.make_context(command, arguments):  # raises on what it does not take
            pass
        assert len(line) < 79


def test_what_has_many_ways_to_be_called_has_examples() -> None:
    many = {name for name in commands() if len(commands()[name].params) > 5}
    assert many <= {name for name in commands() if called(name)}


@pytest.mark.parametrize("command", sorted({*CHANGING, *ROLES, "status", "show", "url", "report"}))
def test_it_says_which_role_it_needs(command: str) -> None:
    said = " ".join(commands()[command].help.split())

    assert ROLES.get(command, "media_") in said


@pytest.mark.parametrize("command", commands())
def test_arguments_have_names_of_their_own(command: str) -> None:
    for one in commands()[command].params:
        if one.param_type_name == "argument" or not one.is_flag:
            name: Any = one.metavar
            assert name == name.upper()


def test_the_short_option_is_the_long_one(tmp_path: Path) -> None:
    for arguments in ([], ["retry"]):
        short, long = (pgmedia(*arguments, one, cwd=tmp_path) for one in ("-h", "--help"))
        assert (short.returncode, short.stdout) == (0, long.stdout)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("pgmedia sta", ["status"]), ("pgmedia status --w", ["--watch"]), ("pgmedia zzz", [])],
)
def test_a_shell_completes_commands_and_options(typed: str, completed: list[str]) -> None:
    words = shlex.split(typed)
    script = f"""
        PATH="{Path(sys.executable).parent}:$PATH"
        eval "$(pgmedia --show-completion bash)"
        COMP_WORDS=({typed}) COMP_CWORD={len(words) - 1}
        _pgmedia_completion pgmedia
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """

    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)

    assert (done.stdout.split(), done.stderr) == (completed, "")
