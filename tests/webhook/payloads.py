"""Webhook calls of every shape that Meta documents or sends, made up for the tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from typing import Any

PHONE_NUMBER_ID = "106540352242922"
SENDER = "4915112345678"
APP_SECRET = "test-app-secret"
VERIFY_TOKEN = "test-verify-token"

_numbers = itertools.count(1)

Json = dict[str, Any]

EXTRAS: dict[str, Json] = {
    "image": {"mime_type": "image/jpeg", "caption": "on the beach"},
    "video": {"mime_type": "video/mp4", "caption": "at sea"},
    "audio": {"mime_type": "audio/ogg; codecs=opus", "voice": True},
    "document": {
        "mime_type": "application/pdf", "filename": "Ünits/Q3.pdf", "caption": "the figures",
    },
    "sticker": {"mime_type": "image/webp", "animated": False},
}  # fmt: skip


def media(kind: str = "image", **changes: Any) -> Json:
    """A media object with an id and a hash of its own; a field changed to None is left out."""
    media_id = f"{next(_numbers):015}"
    made = {"id": media_id, "sha256": base64_hash(media_id), **EXTRAS[kind], **changes}
    return {name: value for name, value in made.items() if value is not None}


def message(kind: str = "image", **changes: Any) -> Json:
    """A message with its content; a field changed to None is left out."""
    made: Json = {
        "from": SENDER,
        "id": f"wamid.{next(_numbers):030}",
        "timestamp": "1732000000",
        "type": kind,
    }
    if kind in EXTRAS:
        made[kind] = media(kind)
    elif kind == "text":
        made["text"] = {"body": "hello"}
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def lost(code: int = 131052, **changes: Any) -> Json:
    """A media message that carries errors instead of its media."""
    errors = [{
        "code": code, "title": "Media download error", "message": "Media download error",
        "error_data": {"details": "Failed to download the media from the sender."},
    }]  # fmt: skip
    fields: Json = {"image": None, "errors": errors, **changes}
    return message("image", **fields)


def edit(of: str, content: Json) -> Json:
    """A message that replaces the content of another one."""
    return message("edit", edit={"original_message_id": of, "message": content})


def value(**parts: Any) -> Json:
    metadata = {"display_phone_number": "15550001111", "phone_number_id": PHONE_NUMBER_ID}
    return {"messaging_product": "whatsapp", "metadata": metadata, **parts}


def change(field: str = "messages", **parts: Any) -> Json:
    return {"field": field, "value": value(**parts)}


def call(*changes: Json) -> Json:
    """One call with one entry."""
    entry = {"id": "102290129340398", "changes": list(changes)}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def received(*messages: Json) -> Json:
    """One call that brings these messages."""
    contacts = [{"profile": {"name": "Ana"}, "wa_id": SENDER}]
    return call(change(contacts=contacts, messages=list(messages)))


def echoed(*messages: Json) -> Json:
    """What the business itself sent from its phone."""
    return call(change("smb_message_echoes", message_echoes=list(messages)))


def history(*messages: Json, threads: int = 1) -> Json:
    """A chunk of history, its messages dealt out to threads."""
    listed = list(messages)
    chunk = {
        "metadata": {"phase": 0, "chunk_order": 1, "progress": 40},
        "threads": [
            {"id": f"4915112345{n:03}", "messages": listed[n::threads]} for n in range(threads)
        ],
    }
    return call(change("history", history=[chunk]))


def status(state: str = "delivered") -> Json:
    return {
        "id": f"wamid.{next(_numbers):030}", "status": state, "timestamp": "1732000000",
        "recipient_id": SENDER,
    }  # fmt: skip


def base64_hash(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def hex_hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def signature(body: bytes, secret: str = APP_SECRET) -> str:
    """The header X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
