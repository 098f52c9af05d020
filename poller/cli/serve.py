"""What runs: the poller, the webhook's door, the demo."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from poller.cli.app import DryRun, Yes, app, ask, examples, give_up
from poller.config import Settings
from poller.logs import log_to_stderr, secrets_of


def start_log(settings: Settings, name: str) -> None:
    process = {"process": name, "poller": settings.pgmedia_poller_name}
    log_to_stderr(settings.pgmedia_log_format, secrets_of(settings), process)


@app.command(epilog=examples("pgmedia poll --drain"))
def poll(
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop when nothing is due, as for a run by cron.")
    ] = False,
) -> None:
    """Fetch, check and store what is queued, until stopped (SIGTERM; twice to stop at once).

    Needs the role media_poller.
    """
    from poller.event_loop import run_fast
    from poller.poll import poll as run
    from poller.serving import ListenError

    settings = Settings.from_env("supabase_url", "supabase_service_key", "whatsapp_token")
    start_log(settings, "poll")
    try:
        run_fast(run(settings, drain=drain))
    except ListenError as error:
        give_up(str(error))


@app.command()
def webhook() -> None:
    """Serve Meta's webhook: check the signature, store the call, queue its media.

    Needs the role media_client.
    """
    from poller.event_loop import run_fast
    from poller.serving import ListenError
    from poller.webhook import serve

    settings = Settings.from_env("whatsapp_app_secret", "whatsapp_verify_token")
    start_log(settings, "webhook")
    try:
        run_fast(serve(settings))
    except ListenError as error:
        give_up(str(error))


@app.command(epilog=examples("pgmedia demo --messages 50 --keep"))
def demo(
    folder: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Where the stand-in storage keeps its files; one of a demo is emptied.",
        ),
    ] = Path("sandbox"),
    messages: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="NUMBER", help="How many to send.")
    ] = 200,
    keep: Annotated[
        bool | None,
        typer.Option(help="Keep all of it up afterwards until Ctrl-C; so on a terminal."),
    ] = None,
    real: Annotated[
        bool,
        typer.Option("--real", help="Write into DATABASE_URL and SUPABASE_URL where they are set."),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Send WhatsApp messages with media of all formats through the real poller, on stand-ins.

    Needs pip install 'pgmedia[sandbox]', unless --real has a database to work on. With --real it
    asks first: what it writes stays there. With --dry-run it says where that is.
    """
    from poller.sandbox.demo import announce, configuration, run_demo
    from poller.sandbox.demo_folder import FolderError
    from poller.sandbox.postgres import NoProgramsError

    if real and (configured := configuration()):
        where = " and ".join(one for one in ("DATABASE_URL", "SUPABASE_URL") if one in configured)
        ask(f"Send {messages} made-up messages to {where}?", yes=yes, dry_run=dry_run)
    if dry_run:
        announce(configuration() if real else {})
        return
    stay = sys.stdin.isatty() if keep is None else keep
    try:
        code = asyncio.run(run_demo(folder, messages, keep=stay, real=real))
    except (NoProgramsError, FolderError) as error:
        give_up(str(error))
    raise typer.Exit(code)
