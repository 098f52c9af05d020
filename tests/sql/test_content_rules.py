"""What the content check found, judged by rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers import (
    claim,
    describe,
    events,
    finish_upload,
    media_row,
    queue_media,
    sha256,
    status,
)

HASH = sha256(b"a file")
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


async def begin(
    db: Any, mime_type: str, kind: str = "document", declared: str | None = None, **checks: Any
) -> tuple[Any, Any, int]:
    """The verdict on a file of which this was found; with its media id and fencing token."""
    media = await queue_media(db, media_type=kind, mime_type=declared)
    token = (await claim(db))[media]
    if declared:
        await describe(db, media, token, mime_type=declared)
    begun = await db.fetchrow(
        "select * from begin_media_upload($1, 'poller-1', $2, $3, 1000, $4, $5)",
        media, token, HASH, mime_type, json.dumps({"mime_type": mime_type, **checks}),
    )  # fmt: skip
    return begun, media, token


@pytest.mark.parametrize(
    ("mime_type", "flags", "reason", "words"),
    [
        ("image/jpeg", ["html"], "active_content", "HTML"),
        ("image/gif", ["script"], "active_content", "text of a program"),
        ("image/jpeg", ["pdf"], "polyglot", "a PDF as well"),
        ("application/pdf", ["archive"], "polyglot", "an archive in it"),
        ("application/pdf", ["pdf_launch"], "active_content", "starts a program"),
        ("application/msword", ["macros"], "macros", "macros"),
        (DOCX, ["remote_template"], "active_content", "template"),
        (DOCX, ["xml_entities"], "active_content", "entities"),
        (DOCX, ["bomb"], "decompression_bomb", "unpack"),
        ("video/mp4", ["truncated"], "damaged_file", "ends too early"),
        ("video/mp4", ["damaged"], "damaged_file", "damaged"),
        ("text/plain", ["undecodable"], "damaged_file", "not text"),
        ("application/CDFV2", ["damaged"], "damaged_file", "damaged"),
        ("image/jpeg", ["damaged", "html"], "active_content", "HTML"),
        ("application/x-msi", [], "executable", "installs"),
        ("text/x-script.python", [], "active_content", "text of a program"),
        ("image/heic", [], "type_not_allowed", "image/heic"),
    ],
)
async def test_what_is_refused(
    db: Any, mime_type: str, flags: list[str], reason: str, words: str
) -> None:
    begun, media, _ = await begin(db, mime_type, flags=flags, problem="it is odd at byte 7")

    assert (begun["verdict"], begun["reason"]) == ("rejected", reason)
    found = await status(db, media)
    assert found["error_code"] == reason
    assert words in found["error_text"]
    if flags:
        assert found["error_text"].endswith("it is odd at byte 7")


@pytest.mark.parametrize(
    ("mime_type", "flag"),
    [
        ("application/pdf", "encrypted"),
        ("application/pdf", "pdf_script"),
        ("application/pdf", "attachments"),
        (DOCX, "embedded"),
        ("image/jpeg", "never heard of"),
    ],
)
async def test_what_is_accepted_and_marked(db: Any, mime_type: str, flag: str) -> None:
    begun, _, _ = await begin(db, mime_type, flags=[flag])

    assert begun["verdict"] == "upload"
    checks = json.loads(await db.fetchval("select checks from media_objects"))
    assert checks["flags"] == [flag]


async def test_a_rule_is_a_row(db: Any) -> None:
    await db.execute(
        "update media_content_rules set action = 'accept' where finding = 'macros';"
        "update media_content_rules set action = 'refuse' where finding = 'encrypted'"
    )

    assert (await begin(db, DOCX, flags=["macros"]))[0]["verdict"] == "upload"
    refused, media, _ = await begin(db, "application/pdf", flags=["encrypted"])
    assert (refused["verdict"], refused["reason"]) == ("rejected", "encrypted")
    assert "nobody sees what is in it" in (await status(db, media))["error_text"]


async def test_a_type_that_a_format_allows_is_not_refused_by_its_name(db: Any) -> None:
    await db.execute(
        "insert into media_formats (mime_type, media_type, extension, arrives_as)"
        " values ('application/zip', 'document', 'zip', '{document}')"
    )

    assert (await begin(db, "application/zip"))[0]["verdict"] == "upload"


async def test_pixels(db: Any) -> None:
    most = await db.fetchval("select set_media_setting('image_pixels_most', '1000000')")
    assert most == "1000000"

    exactly, _, _ = await begin(db, "image/png", "image", width=1000, height=1000)
    one_line_more, media, _ = await begin(db, "image/png", "image", width=1000, height=1001)

    assert exactly["verdict"] == "upload"
    assert one_line_more["reason"] == "too_many_pixels"
    assert "1000 by 1001 pixels, 1000000 allowed" in (await status(db, media))["error_text"]


@pytest.mark.parametrize(
    ("policy", "declared", "verdict"),
    [
        ("any", "application/pdf", "upload"),
        ("family", "image/png", "upload"),
        ("family", "application/pdf", "rejected"),
        ("family", None, "upload"),
        ("family", "application/octet-stream", "upload"),
        ("same", "image/jpg", "upload"),
        ("same", "image/png", "rejected"),
    ],
)
async def test_bytes_that_are_not_what_was_declared(
    db: Any, policy: str, declared: str | None, verdict: str
) -> None:
    await db.execute("update media_formats set declared_as = $1", policy)

    begun, media, _ = await begin(db, "image/jpeg", declared=declared)

    assert begun["verdict"] == verdict
    if verdict == "rejected":
        assert begun["reason"] == "type_mismatch"
        assert f"declared as {declared}" in (await status(db, media))["error_text"]


@pytest.mark.parametrize(
    ("declared", "content_type"),
    [(DOCX, DOCX), ("application/pdf", None), (None, None)],
)
async def test_only_the_declared_type_tells_what_is_encrypted(
    db: Any, declared: str | None, content_type: str | None
) -> None:
    begun, _, _ = await begin(db, "application/encrypted", declared=declared, flags=["encrypted"])

    assert begun["content_type"] == content_type
    assert begun["reason"] == (None if content_type else "type_not_allowed")


async def test_the_record_of_checks(db: Any) -> None:
    begun, media, token = await begin(
        db, "image/jpeg", "image", "image/png", width=4, height=3, checked_by="Pillow"
    )
    await finish_upload(db, media, token, begun["object_id"])

    known = {
        "mime_type": "image/jpeg", "declared": "image/png",
        "width": 4, "height": 3, "checked_by": "Pillow",
    }  # fmt: skip
    assert json.loads(await db.fetchval("select checks from media_objects")) == known
    trail = await db.fetch("select event, detail from get_media_audit_trail($1)", media)
    assert json.loads(trail[-1]["detail"])["checks"] == known


async def test_what_is_refused_leaves_its_size_hash_and_checks(db: Any) -> None:
    _, media, _ = await begin(db, "image/jpeg", flags=["html"], width=4)

    row = await media_row(db, media)
    assert (row["content_hash"], row["file_size"], row["processed"]) == (HASH, 1000, False)
    assert (row["bucket_name"], row["storage_path"], row["object_id"]) == (None, None, None)
    assert await events(db, media) == ["queued", "claimed", "failed"]
    trail = await db.fetch("select detail from get_media_audit_trail($1)", media)
    assert json.loads(trail[-1]["detail"])["checks"] == {
        "mime_type": "image/jpeg", "flags": ["html"], "width": 4,
    }  # fmt: skip
    assert await db.fetchval("select count(*) from media_objects") == 0


async def test_what_was_cut_off_has_no_hash(db: Any) -> None:
    media = await queue_media(db)
    token = (await claim(db))[media]
    await db.fetchrow(
        "select * from begin_media_upload($1, 'poller-1', $2, $3, 52428801, 'image/jpeg', '{}')",
        media, token, HASH,
    )  # fmt: skip

    row = await media_row(db, media)
    assert (row["failure_code"], row["content_hash"], row["file_size"]) == ("too_large", None, None)


@pytest.mark.parametrize("removal_queued", [False, True])
async def test_stored_content_is_judged_by_the_rules_of_today(
    db: Any, removal_queued: bool
) -> None:
    """By whichever way another attachment would come to refer to it; nothing is rescued in vain."""
    begun, media, token = await begin(db, "application/pdf", flags=["pdf_script"])
    await finish_upload(db, media, token, begun["object_id"])
    if removal_queued:
        await db.execute("delete from media where id = $1", media)
    await db.execute(
        "update media_content_rules set action = 'refuse' where finding = 'pdf_script'"
    )

    second = await queue_media(db, media_type="document", sha256=HASH)
    assert (await status(db, second))["status"] == "pending"
    token = (await claim(db))[second]
    verdict = await describe(db, second, token, mime_type="application/pdf", sha256=HASH)

    if removal_queued:
        assert verdict["verdict"] == "download"  # it is another upload, judged by its own bytes
        assert await db.fetchval("select count(*) from media_deletion_queue") == 1
    else:
        assert (verdict["verdict"], verdict["reason"]) == ("rejected", "active_content")


async def test_an_image_sent_as_a_document_stays_private(db: Any) -> None:
    public, media, token = await begin(db, "image/jpeg", "image")
    await finish_upload(db, media, token, public["object_id"])

    private, media, token = await begin(db, "image/jpeg", "document")
    await finish_upload(db, media, token, private["object_id"])

    assert (public["bucket_name"], private["bucket_name"]) == ("images", "documents")
    assert (await media_row(db, media))["public_url"] is None
