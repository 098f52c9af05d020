"""The event loop of processes that serve: uvloop where there is one, as it costs less a request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # Windows, and Pythons other than CPython
    from asyncio import new_event_loop

Result = TypeVar("Result")


def run_fast(main: Coroutine[Any, Any, Result]) -> Result:
    """As asyncio.run."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)
