"""Public URLs, names of downloads, and get_media_url_policy."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

import pytest

from poller.migrate import schema_folder
from tests.conftest import Connect
from tests.helpers import (
    add_message,
    blocked,
    claim,
    fail,
    media_row,
    queue_media,
    refused,
    sha256,
    store,
)

PROJECT = "https://abc.supabase.co"
PUBLIC = f"{PROJECT}/storage/v1/object/public"
HASH = sha256(b"content")


async def policy(db: Any, media: UUID | None, *arguments: object) -> Any:
    parameters = "".join(f", ${number}" for number in range(2, len(arguments) + 2))
    call = f"select * from get_media_url_policy($1{parameters})"
    return await db.fetchrow(call, media, *arguments)


async def download_name(db: Any, name: str | None, *extensions: str) -> str:
    call = "select media_download_name($1, 'the-id', $2)"
    return await db.fetchval(call, name, extensions or ("pdf",))


async def test_a_text_is_percent_encoded_as_a_browser_would(db: Any) -> None:
    every_kind = [chr(code) for code in (*range(1, 0x3000), 0xFFFD, 0x1F600, 0x10FFFF)]
    texts = ["", "a b", "100%", "a/b\\c", "x" * 1000, *every_kind]

    encoded = await db.fetchval(
        "select array_agg(percent_encode(x) order by n) from unnest($1::text[])"
        " with ordinality u (x, n)",
        texts,
    )

    assert encoded == [quote(text, safe="") for text in texts]
    assert await db.fetchval("select percent_encode(null)") is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("Rechnung für Zoë 📎.PDF", "Rechnung für Zoë 📎.PDF"),
        ("report (1).pdf", "report (1).pdf"),
        ("John's résumé.pdf", "John\u2019s résumé.pdf"),
        ('a"b.pdf', "a_b.pdf"),
        ("a\r\nSet-Cookie: x\tb.pdf", "a__Set-Cookie_ x_b.pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\temp\\a.pdf", "a.pdf"),
        ("folder/", "the-id.pdf"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe.pdf"),
        ("a\u200bb\u2066c\ufeff.pdf", "a_b_c_.pdf"),
        ("setup.exe", "setup.exe.pdf"),
        ("page.pdf.html", "page.pdf.html.pdf"),
        ("pdf", "pdf.pdf"),
        (".pdf", "pdf.pdf"),
        ("..", "the-id.pdf"),
        (" . . ", "the-id.pdf"),
        ("name. ", "name.pdf"),
        ("", "the-id.pdf"),
        (None, "the-id.pdf"),
        ("x" * 1000, "x" * 251 + ".pdf"),
        ("x" * 1000 + ".pdf", "x" * 251 + ".pdf"),
        ("ü" * 1000 + ".pdf", "ü" * 125 + ".pdf"),
        ("📎" * 100 + ".pdf", "📎" * 62 + ".pdf"),
    ],
)
async def test_the_name_of_a_download(db: Any, given: str | None, name: str) -> None:
    assert await download_name(db, given) == name
    assert len(name.encode()) <= 255


async def test_a_name_keeps_another_extension_of_its_format(db: Any) -> None:
    assert await download_name(db, "a.JPEG", "jpg", "jpeg") == "a.JPEG"
    assert await download_name(db, "a.png", "jpg", "jpeg") == "a.png.jpg"


async def test_only_what_a_browser_shows_safely_is_served_inline(db: Any) -> None:
    rows = await db.fetch("select media_type, served_inline from media_formats")

    assert {row["media_type"] for row in rows if row["served_inline"]} == {
        "image", "audio", "video",
    }  # fmt: skip
    assert {row["media_type"] for row in rows if not row["served_inline"]} == {"document"}
    added = await db.fetchval(
        "insert into media_formats (mime_type, media_type, extension, arrives_as)"
        " values ('image/svg+xml', 'image', 'svg', '{image}') returning served_inline"
    )
    assert added is False


async def test_formats_that_were_added_before_are_attachments(db: Any) -> None:
    migration = schema_folder() / "migrations" / "0008.serve-media-urls.sql"
    await db.execute(migration.with_suffix(".rollback.sql").read_text())
    await db.execute(
        "insert into media_formats (mime_type, media_type, extension, arrives_as)"
        " values ('image/svg+xml', 'image', 'svg', '{image}')"
    )

    await db.execute(migration.read_text())

    inline = await db.fetch("select mime_type from media_formats where served_inline")
    assert len(inline) == 17
    assert "image/svg+xml" not in {row[0] for row in inline}


async def test_a_public_image_has_a_plain_url(db: Any) -> None:
    await db.execute("select set_media_project_url($1)", PROJECT)
    media = await store(db, HASH)
    path = (await media_row(db, media))["storage_path"]

    answer = await policy(db, media)

    assert (await media_row(db, media))["public_url"] == f"{PUBLIC}/images/{path}"
    assert dict(answer) == {
        "media_id": media, "bucket_name": "images", "storage_path": path,
        "public_url": f"{PUBLIC}/images/{path}", "expires_seconds": None, "attachment_name": None,
    }  # fmt: skip


async def test_the_download_of_a_public_image(db: Any) -> None:
    await db.execute("select set_media_project_url($1)", PROJECT)
    media = await store(db, HASH, file_name="für & wider?.jpeg")

    answer = await policy(db, media, None, True)

    assert answer["attachment_name"] == "für & wider_.jpeg"
    url = urlsplit(str(answer["public_url"]))
    assert parse_qs(url.query) == {"download": ["für & wider_.jpeg"]}
    assert answer["public_url"].isascii()


async def test_a_public_file_that_is_not_for_showing_is_an_attachment(db: Any) -> None:
    await db.execute("select set_media_project_url($1)", PROJECT)
    await db.execute("update media_formats set served_inline = false")
    one = await store(db, HASH, file_name="a b.jpg")
    other = await queue_media(db, sha256=HASH)  # the same object, under another name

    path = (await media_row(db, one))["storage_path"]
    for media, name in ((one, "a%20b.jpg"), (other, f"{other}.jpg")):
        url = f"{PUBLIC}/images/{path}?download={name}"
        assert (await media_row(db, media))["public_url"] == url
        assert (await policy(db, media))["public_url"] == url
    (found,) = await db.fetch("select * from check_media_exists($1)", HASH)
    assert found["public_url"] == f"{PUBLIC}/images/{path}?download={found['object_id']}.jpg"


async def test_public_urls_follow_the_policy(db: Any) -> None:
    await db.execute("select set_media_project_url($1)", PROJECT)
    media = await store(db, HASH, file_name="a.jpg")
    await store(db, sha256(b"other"), media_type="document")
    plain = (await media_row(db, media))["public_url"]

    await db.execute("update media_formats set served_inline = false")
    await db.execute("select set_media_project_url($1)", PROJECT)

    assert (await media_row(db, media))["public_url"] == f"{plain}?download=a.jpg"
    before = await db.fetchval("select xmin::text from media where id = $1", media)
    await db.execute("select set_media_project_url($1)", PROJECT)
    assert await db.fetchval("select xmin::text from media where id = $1", media) == before


async def test_urls_are_rebuilt_in_the_order_in_which_others_lock(
    connect: Connect, db: Any
) -> None:
    """In the order of id, as a deletion does: so there is no deadlock with it, nor of two runs."""
    await db.execute("select set_media_project_url($1)", PROJECT)
    medias = sorted([await store(db, sha256(bytes([n]))) for n in range(4)])
    for media in reversed(medias):  # so that a scan of the table meets them the other way round
        await db.execute("update media set caption = 'x' where id = $1", media)
    await db.execute("update media_formats set served_inline = false")
    deleting, rebuilding = await connect(), await connect()
    lock = "select from media where id = $1 for update"
    async with deleting.transaction():
        await deleting.execute(lock, medias[0])
        rebuilt = asyncio.create_task(
            rebuilding.fetchval("select set_media_project_url($1)", PROJECT)
        )
        await blocked(db, rebuilding)

        await deleting.execute(lock, medias[-1])

    assert await rebuilt == 4


async def test_the_format_of_a_stored_file_was_taken_off_the_list(db: Any) -> None:
    media = await store(db, HASH, file_name="a.html")
    await db.execute("delete from media_formats where mime_type = 'image/jpeg'")

    assert (await policy(db, media))["attachment_name"] == "a.html.jpg"


@pytest.mark.parametrize("media_type", ["document", "image"])
async def test_what_is_private_is_to_be_signed(db: Any, media_type: str) -> None:
    """So is what is public, as long as the project URL is not known."""
    media = await store(db, HASH, media_type=media_type)
    row = await media_row(db, media)
    if media_type == "document":
        await db.execute("select set_media_project_url($1)", PROJECT)

    answer = await policy(db, media)

    assert (answer["bucket_name"], answer["storage_path"]) == (
        row["bucket_name"], row["storage_path"],
    )  # fmt: skip
    assert (answer["public_url"], answer["expires_seconds"]) == (None, 3600)
    assert answer["attachment_name"] is None


@pytest.mark.parametrize("download", [False, None, True])
async def test_a_document_is_always_an_attachment(db: Any, download: bool | None) -> None:
    media = await queue_media(db, media_type="document", file_name="Vertrag.pdf")
    token = (await claim(db))[media]
    begun = await db.fetchrow(
        "select * from begin_media_upload($1, 'poller-1', $2, $3, 10, 'application/pdf')",
        media, token, HASH,
    )  # fmt: skip
    await db.execute(
        "select finish_media_upload($1, 'poller-1', $2, $3)", media, token, begun["object_id"]
    )

    answer = await policy(db, media, timedelta(days=7), download)

    assert answer["attachment_name"] == "Vertrag.pdf"
    assert (answer["bucket_name"], answer["expires_seconds"]) == ("documents", 604_800)


async def test_how_long_a_url_may_work(db: Any) -> None:
    media = await store(db, HASH, media_type="document")

    for given, seconds in ((1, 1), (1.9, 1), (604_800, 604_800)):
        assert (await policy(db, media, timedelta(seconds=given)))["expires_seconds"] == seconds
    for given in (0, -1, 0.9, 604_801):
        with refused("MD020", "it must be between 00:00:01 and 7 days"):
            await policy(db, media, timedelta(seconds=given))
    await db.execute("update media_settings set url_expires = '1 minute', url_expires_most = '1 h'")
    assert (await policy(db, media))["expires_seconds"] == 60
    with refused("MD020", "between 00:00:01 and 01:00:00"):
        await policy(db, media, timedelta(hours=2))


@pytest.mark.parametrize("given", [UUID(int=5), None])
async def test_an_unknown_id(db: Any, given: UUID | None) -> None:
    with refused("MD016", f"no media with id {given or 'null'}"):
        await policy(db, given)


async def test_a_deleted_one_says_when(db: Any) -> None:
    media = await store(db, HASH)
    await db.execute("select delete_media($1)", media)

    with refused("MD016", f"media {media} was deleted at 20"):
        await policy(db, media)


async def test_what_is_not_stored_says_why(db: Any) -> None:
    failed, pending, retried = [await queue_media(db) for _ in range(3)]
    held = await claim(db)
    await fail(db, failed, held[failed], code="131051", text="no such type")
    await fail(db, retried, held[retried], http_status=500, text="later")
    await db.execute("select release_media_jobs('poller-1', $1, $2)", [pending], [held[pending]])
    own = await db.fetchval(
        "insert into media (message_id, whatsapp_media_id, processed) values ($1, '1', true)"
        " returning id",
        await add_message(db),
    )

    for media, words in (
        (failed, "status is failed, message_type_unsupported (no such type (code 131051))"),
        (pending, "status is pending"),
        (retried, "status is pending, whatsapp_unavailable (later (http 500))"),
        (own, "status is stored, but not by pgmedia"),
    ):
        with refused("MD019", f"media {media} is not stored: its {words}"):
            await policy(db, media)
