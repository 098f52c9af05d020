"""What Supabase Storage accepts: names, sizes and MIME types."""

import re

from poller.sandbox.storage_errors import Reason, StorageError
from poller.sandbox.storage_files import METADATA

OBJECT_NAME = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
BUCKET_NAME = re.compile(r"[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}")
UNUSABLE_BUCKET_NAMES = (".", "..", METADATA)
"""Valid on Supabase, but not as the name of a folder here."""
ALLOWED_MIME_TYPE = re.compile(
    r"^([a-zA-Z0-9\-+.]+)/([a-zA-Z0-9\-+.]+)(;\s*charset=[a-zA-Z0-9\-]+)?$|\*$"
)
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(gb|mb|kb|b)", re.IGNORECASE)
SIZE_UNITS = {"gb": 10**9, "mb": 10**6, "kb": 10**3, "b": 1}


def check_object_name(name: str) -> None:
    """Refuse a name with other characters than the allowed ones."""
    if not OBJECT_NAME.fullmatch(name):
        raise StorageError(Reason.KEY, name)


def check_bucket_name(name: str) -> None:
    """Refuse a name that is too long, has outer space or characters that are not allowed."""
    fits = BUCKET_NAME.fullmatch(name) and name == name.strip()
    if not fits or name in UNUSABLE_BUCKET_NAMES:
        raise StorageError(Reason.BUCKET_NAME)


def check_allowed_mime_type(mime_type: str) -> None:
    """Refuse what a bucket cannot allow, such as a type with parameters other than charset."""
    if len(mime_type) > 1000 or not ALLOWED_MIME_TYPE.search(mime_type):
        raise StorageError(Reason.MIME_TYPE, mime_type)


def check_mime_type(mime_type: str, allowed: list[str] | None) -> None:
    """Refuse a type that is not among `allowed`, letter by letter; `image/*` allows a family."""
    kind, slash, rest = mime_type.partition("/")
    if allowed and (not slash or not {f"{kind}/*", f"{kind}/{rest}"}.intersection(allowed)):
        raise StorageError(Reason.MIME_TYPE, mime_type)


def parse_size(text: str) -> int | None:
    """The bytes in a size like "50MB", of which three digits count; None if it is not one."""
    match = SIZE.fullmatch(text)
    if match is None:
        return None
    return int(float(f"{float(match[1]):.3g}") * SIZE_UNITS[match[2].lower()])
