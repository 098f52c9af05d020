"""Brings Procrastinate's schema and queues the files: its connector wants a program of its own."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from procrastinate.types import JSONDict

from bench.pipeline.workers import procrastinate_app


async def main() -> None:
    app, fetch = procrastinate_app()
    ids: list[str] = []
    for path in Path(os.environ["BENCH_IDS"]).parent.glob("ids-*"):
        ids += json.loads(path.read_text())
    jobs: list[JSONDict] = [{"media_id": one} for one in ids]
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await fetch.batch_defer_async(*jobs)


asyncio.run(main())
