"""The demo: a small world on loopback, in which the real poller does the main job."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from dotenv import dotenv_values
from pydantic import SecretStr
from rich.console import Console

from poller.cli.progress import progress
from poller.errors import OperatorError
from poller.migrate import migrate
from poller.sandbox.demo_folder import demo_folder, written
from poller.sandbox.demo_messages import PHONE_NUMBER_ID, send_messages
from poller.sandbox.demo_report import print_next_steps, print_report, print_where
from poller.sandbox.postgres import PostgresServer
from poller.sandbox.samples import SAMPLES, variant
from poller.sandbox.storage import StorageApi
from poller.sandbox.whatsapp import WhatsAppApi

ONE_MORE = "1003383421387256"
"""A picture that nobody has queued yet, for whoever follows README.md on the demo's stand-ins."""
POLLER_ROLE = "demo_poller"
AT_WORK = "select exists (select from media_pollers)"
SETTLED = "select count(*) from media where id = any ($1) and (processed or failed_at is not null)"


@dataclass(frozen=True, slots=True)
class World:
    """Where the demo takes place: the stand-ins, or what is configured, and their addresses."""

    whatsapp: WhatsAppApi
    dsn: str
    environment: dict[str, str]

    def settings(self) -> str:
        """What a file `.env` says to be in this world, as the owner of the database."""
        names = ("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "WHATSAPP_API_URL", "WHATSAPP_TOKEN")
        values = {
            "DATABASE_URL": self.dsn,
            **{name: self.environment[name] for name in names},
            "WHATSAPP_APP_SECRET": "sandbox-app-secret",
            "WHATSAPP_VERIFY_TOKEN": "sandbox-verify-token",
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


@contextlib.asynccontextmanager
async def open_world(files: Path, configured: Mapping[str, str]) -> AsyncGenerator[World]:
    """Start a stand-in for whatever is not configured, and end them all in any case."""
    async with contextlib.AsyncExitStack() as stack:
        environment = {**os.environ, **configured, "PGMEDIA_GRACE_SECONDS": "2"}
        whatsapp = await stack.enter_async_context(WhatsAppApi())
        environment |= {"WHATSAPP_API_URL": whatsapp.url, "WHATSAPP_TOKEN": whatsapp.token}
        if "SUPABASE_URL" not in configured:
            storage = await stack.enter_async_context(StorageApi(files))
            environment["SUPABASE_URL"] = storage.url
            environment["SUPABASE_SERVICE_KEY"] = storage.service_key
        if dsn := configured.get("DATABASE_URL", ""):
            await asyncio.to_thread(migrate, SecretStr(dsn))
        else:
            postgres = stack.enter_context(PostgresServer())
            dsn = postgres.dsn("pgmedia")
            environment["DATABASE_URL"] = postgres.dsn("pgmedia", POLLER_ROLE)
            await _execute(postgres.dsn(), "create database pgmedia")
            await asyncio.to_thread(migrate, SecretStr(dsn))
            await _execute(dsn, f"create role {POLLER_ROLE} login in role media_poller")
            await _execute(dsn, "update media_settings set backoff_first = '50 ms'")
        yield World(whatsapp, dsn, environment)


async def run_demo(folder: Path, messages: int, *, keep: bool, real: bool) -> int:
    """Run the demo; returns the exit code. Raises FolderError where the folder is not its own.

    `keep`: hold the database up until Ctrl-C. `real`: use the Postgres and the Storage that are
    configured, where they are; the messages are made up all the same.
    """
    with demo_folder(folder) as files:
        return await _run_demo(files, messages, keep=keep, real=real)


async def _run_demo(files: Path, messages: int, *, keep: bool, real: bool) -> int:
    this_task = asyncio.current_task()
    assert this_task is not None  # noqa: S101
    interrupted_by = 0

    def interrupt(number: int) -> None:
        nonlocal interrupted_by
        if not interrupted_by:  # a second Ctrl-C does not interrupt the cleaning up
            interrupted_by = number
            this_task.cancel()

    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, interrupt, one)
    console = Console()
    configured = configuration() if real else {}
    announce(configured)
    settings = files.parent / ".env"
    finished = False
    try:
        async with open_world(files, configured) as world:
            await _run_to_end(
                world, "buckets", "--yes", DATABASE_URL=world.dsn
            )  # an operator's work
            connection: Any = await asyncpg.connect(world.dsn)
            media = await _work(world, connection, messages)
            await print_report(console, connection, media)
            print_where(console, None if "SUPABASE_URL" in configured else files)
            finished = True
            if "DATABASE_URL" in configured:
                console.print("\nThe rows are in your database, as messages wamid.demo.…")
            elif keep:
                await _stay(console, world, connection, settings)
            else:
                console.print("\nThe database stops now; with --keep it stays up.")
            await connection.close()
    except asyncio.CancelledError:
        return 0 if finished else 128 + interrupted_by
    return 0


async def _stay(console: Console, world: World, connection: Any, settings: Path) -> None:
    """Hold the stand-ins up until Ctrl-C, for commands and SQL from another terminal."""
    content = variant(SAMPLES[0], 2_000_000)
    world.whatsapp.add_media(
        content, "image/jpeg", media_id=ONE_MORE, phone_number_id=PHONE_NUMBER_ID
    )
    with written(settings, world.settings()):
        stored = await connection.fetchval("select id from media where processed limit 1")
        print_next_steps(console, settings.parent, world.dsn, stored)
        await asyncio.Event().wait()


def configuration() -> dict[str, str]:
    """The credentials that are set, in the environment or in `.env`, by part."""
    values = {name: value for name, value in {**dotenv_values(), **os.environ}.items() if value}
    names = ["DATABASE_URL"]
    if {"SUPABASE_URL", "SUPABASE_SERVICE_KEY"} <= values.keys():
        names += ["SUPABASE_URL", "SUPABASE_SERVICE_KEY"]
    return {name: values[name] for name in names if name in values}


def announce(configured: Mapping[str, str]) -> None:
    """Say what is real and what a stand-in."""
    console = Console()
    for part, name in (("Postgres", "DATABASE_URL"), ("Supabase Storage", "SUPABASE_URL")):
        real = f"yours, from {name}" if name in configured else "a stand-in on this machine"
        console.print(f"{part}: {real}")
    console.print("WhatsApp Cloud API: a stand-in on this machine; its messages are made up")
    console.print("\nIn some seconds database, buckets and poller are there: messages arrive.\n")


async def _work(world: World, connection: Any, messages: int) -> list[UUID]:
    """Start a poller, send the messages, show the progress until nothing is left to do."""
    poller = await _start(world, "poll")
    try:
        while not await connection.fetchval(AT_WORK):  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.02)
        media = await send_messages(world.whatsapp, connection, messages)
        with progress("attachments done") as report:
            settled = 0
            while settled < messages:
                settled = await connection.fetchval(SETTLED, media)
                report(settled, messages)
                if poller.returncode is not None:
                    raise OperatorError(f"the poller ended with exit code {poller.returncode}")
                await asyncio.sleep(0.05)
    finally:
        await _stop(poller)
    return media


async def _start(world: World, *command: str, **changes: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "poller", *command,
        env=world.environment | changes, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,  # none of them is to ask
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def _run_to_end(world: World, *command: str, **changes: str) -> None:
    process = await _start(world, *command, **changes)
    try:
        await process.wait()
    finally:
        await _stop(process)
    if process.returncode != 0:
        raise OperatorError(f"pgmedia {command[0]} ended with exit code {process.returncode}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        await process.wait()


async def _execute(dsn: str, statement: str) -> None:
    connection: Any = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
