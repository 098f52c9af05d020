"""The wheel: what it carries, and that it works where there is no checkout."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from poller.migrate import schema_folder
from poller.sandbox.samples import SAMPLES
from tests.helpers import run_module, sql

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = run_module("hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=CHECKOUT)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """A folder with nothing but the content of the wheel."""
    folder = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_it_carries_the_whole_schema(installed: Path) -> None:
    source, packaged = schema_folder(), installed / "poller" / "schema"

    files = [file for file in source.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    held = [file for file in packaged.rglob("*") if file.is_file()]

    assert {file.relative_to(packaged) for file in held} == {
        file.relative_to(source) for file in files
    }
    for file in files:
        assert (packaged / file.relative_to(source)).read_bytes() == file.read_bytes()
    names = {file.name for file in held}
    assert {"schema.txt", "post-apply.install-functions.py"} <= names
    assert len([name for name in names if name.endswith(".rollback.sql")]) >= 5
    assert len(list((packaged / "functions").rglob("*.sql"))) >= 47


def test_it_carries_the_package_and_nothing_else(installed: Path) -> None:
    top = {entry.name.partition("-")[0] for entry in installed.iterdir()}
    assert top == {"poller", "pgmedia"}
    package = installed / "poller"
    for file in (CHECKOUT / "poller").rglob("*.py"):
        assert (package / file.relative_to(CHECKOUT / "poller")).is_file()
    assert (package / "py.typed").is_file()
    assert {file.name for file in package.rglob("sample.*")} == {one.name for one in SAMPLES}
    assert not list(installed.rglob("__pycache__"))
    assert not list(installed.rglob("test*"))
    assert not list(installed.rglob(".env"))


def test_it_describes_itself(installed: Path) -> None:
    (metadata,) = installed.glob("pgmedia-*.dist-info")

    entry_points = (metadata / "entry_points.txt").read_text()
    assert "pgmedia = poller.cli:main" in entry_points
    assert "psycopg3+postgresql" in entry_points
    assert (metadata / "licenses" / "LICENSE").is_file()
    assert "Requires-Python: >=3.11" in (metadata / "METADATA").read_text()


def test_it_migrates_without_a_checkout(
    installed: Path, tmp_path: Path, empty_database: str
) -> None:
    done = run_module(
        "poller",
        "migrate",
        "--yes",
        cwd=tmp_path,
        PYTHONPATH=str(installed),
        DATABASE_URL=empty_database,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "the schema is that of version" in done.stdout
    assert sql(empty_database, "select count(*) > 40 from media_schema_functions") == [(True,)]


def test_its_demo_runs_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    done = run_module("poller", "demo", "--messages", "25", cwd=tmp_path, PYTHONPATH=str(installed))

    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "sandbox" / "files").rglob("*.pdf"))
