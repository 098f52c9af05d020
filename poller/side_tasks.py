"""What a poller does beside its work, for as long as it lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from poller.db import WrongProjectError

log = logging.getLogger(__name__)


async def keep_alive(
    keeper: Callable[[], Awaitable[None]], give_up: Callable[[BaseException], None]
) -> None:
    """Run a side task, whatever it stumbles over; only where the project is wrong, `give_up`."""
    while True:
        try:
            await keeper()
        except WrongProjectError as error:
            give_up(error)
            return
        except Exception:
            log.exception("side task failed, starting it again")
            await asyncio.sleep(1)
