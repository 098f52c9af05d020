"""Standard output and error as every command needs them: open, in an encoding that takes any text.

What cannot be written is said as what it is: a library in between would take it for its own, and
the command would end with words about a database.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

READER_GONE = 128 + signal.SIGPIPE
"""The exit code where whoever reads has read enough, as of `pgmedia status | head -1`."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
"""What a write to a file fails with; the network never does."""


class OutputError(Exception):
    """Standard output takes no more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"cannot write to standard output: {error.strerror}")
        self.reader_is_gone = error.errno == errno.EPIPE


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputError(error) from None


@contextmanager
def standard_output() -> Generator[None]:
    """Set up the standard streams, and write out what is left at the end.

    Raises OutputError, here or wherever something is written; nothing more is written after it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _closed(number))
    # a name from a chat may hold what the terminal's encoding has no character for
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding=sys.stdout.encoding, errors="replace", line_buffering=sys.stdout.isatty(),
    )  # fmt: skip
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is in the buffer still
        raise


def _closed(number: int) -> io.TextIOWrapper:
    """A standard stream that was closed. Its number must be taken, or a connection would get it.

    What is written to standard error is lost, as whoever closed it wants; of the output, which is
    what a command is for, it is said.
    """
    opened = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    return os.fdopen(number, "r" if number == 0 else "w", closefd=False)


def is_about_a_file(error: OSError) -> bool:
    """Is it what a file says? Opening one names it, and writing fails as the network never does."""
    return error.filename is not None or error.errno in FULL


def describe_file_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename is not None else f"a file: {reason}"
