"""The folder of a demo: only what a demo made is emptied, and one demo at a time is in it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator
from pathlib import Path

from poller.sandbox.postgres import lock_folder

MARK = ".made-by-pgmedia-demo"


class FolderError(Exception):
    """This folder is somebody else's, or another demo's."""


@contextlib.contextmanager
def demo_folder(folder: Path) -> Generator[Path]:
    """Hold the folder until the end; gives the one for files in it, which is empty.

    Raises FolderError, and then has changed nothing.
    """
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.callback(os.close, lock_folder(folder))
            if any(folder.iterdir()) and not (folder / MARK).exists():
                raise FolderError(
                    f"{folder} has files that no demo made: name another folder with --folder"
                )
            (folder / MARK).touch()
        except BlockingIOError:
            raise FolderError(
                f"another demo is in {folder}: end it, or name another folder with --folder"
            ) from None
        except OSError as error:
            raise FolderError(f"{folder} cannot be used: {error.strerror}") from error
        files = (folder / "files").resolve()
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        yield files


@contextlib.contextmanager
def written(file: Path, text: str) -> Generator[None]:
    """A new file that nobody else may read, until the end."""
    file.unlink(missing_ok=True)  # of a demo that was killed
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    try:
        yield
    finally:
        file.unlink()
