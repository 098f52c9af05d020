"""What is about single files."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from poller.cli.app import app, connected, duration, examples, say, say_json, uuid
from poller.config import Settings


@app.command(
    epilog=examples(
        "pgmedia url 7f3c2a54-5a0e-4f0e-8f3d-2f3f0b8a7a10 --expires 30m",
        'curl -o photo.jpg "$(pgmedia url 7f3c2a54-5a0e-4f0e-8f3d-2f3f0b8a7a10)"',
    )
)
def url(
    media_id: Annotated[
        UUID,
        typer.Argument(
            parser=uuid, metavar="MEDIA_ID", help="The id that queue_media_processing returned."
        ),
    ],
    expires: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="How long a signed URL works, such as 90s, 30m, 1h or 7d; by default as set in "
            "media_settings.url_expires. A public URL does not expire.",
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="For saving, also where a browser may show the file.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print JSON, for programs: with its expiry and the name of the download."
        ),
    ] = False,
) -> None:
    """Print a URL of a stored file: the public one, or a signed one where the file is private.

    Needs the role media_client or media_admin. Documents are always for saving.
    """
    from poller.urls import ExpiryError, get_media_url

    settings = Settings.from_env("supabase_url", "supabase_service_key")

    async def run() -> None:
        async with connected(settings) as database:
            made = await get_media_url(
                settings, database, media_id, expires_in=expires, download=download
            )
        if not as_json:
            say(made.url)
            return
        seconds = None if made.expires_in is None else int(made.expires_in.total_seconds())
        answer = {
            "media_id": str(made.media_id),
            "url": made.url,
            "expires_in_seconds": seconds,
            "attachment_name": made.attachment_name,
        }
        say_json(answer)

    try:
        asyncio.run(run())
    except ExpiryError as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from None
