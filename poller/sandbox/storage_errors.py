"""How Supabase Storage says no: with HTTP 400 nearly always, and the real code in the body."""

from enum import Enum

from poller.sandbox.faults import Answer, Fault

TRUE_STATUSES = (416, 429, 500, 544)
"""The codes that are the HTTP status as well; all others come as HTTP 400."""


class Reason(Enum):
    """A refusal: its code, `error`, `message` ({} stands for what it is about) and `code`."""

    OBJECT_EXISTS = (409, "Duplicate", "The resource already exists", "KeyAlreadyExists")
    BUCKET_EXISTS = (409, "Duplicate", "The resource already exists", "BucketAlreadyExists")
    TOO_LARGE = (
        413,
        "Payload too large",
        "The object exceeded the maximum allowed size",
        "EntityTooLarge",
    )
    MIME_TYPE = (415, "invalid_mime_type", "mime type {} is not supported", "InvalidMimeType")
    CONTENT_TYPE = (415, "invalid_mime_type", "Invalid Content-Type header", "InvalidMimeType")
    NO_OBJECT = (404, "not_found", "Object not found", "NoSuchKey")
    NO_BUCKET = (404, "Bucket not found", "Bucket not found", "NoSuchBucket")
    DENIED = (403, "Unauthorized", "{}", "AccessDenied")
    KEY = (400, "InvalidKey", "Invalid key: {}", "InvalidKey")
    BUCKET_NAME = (400, "Invalid Input", "Bucket name invalid", "InvalidBucketName")
    SIGNED_TOKEN = (400, "InvalidJWT", "{}", "InvalidJWT")
    SIGNED_PATH = (400, "InvalidSignature", "Invalid signature", "InvalidSignature")
    BUCKET_NOT_EMPTY = (
        409,
        "ResourceNotEmpty",
        "The bucket you tried to delete is not empty",
        "ResourceNotEmpty",
    )
    SCHEMA = (400, "Error", "{}", "InvalidRequest")
    REQUEST = (400, "InvalidRequest", "{}", "InvalidRequest")
    RANGE = (416, "invalid_range", "invalid range provided", "InvalidRange")
    READ_ONLY = (
        503,
        "DatabaseReadOnly",
        "The database is currently in read-only mode. Please try again later.",
        "DatabaseReadOnly",
    )
    TIMEOUT = (
        544,
        "DatabaseTimeout",
        "The connection to the database timed out",
        "DatabaseTimeout",
    )
    TOO_MANY_CONNECTIONS = (
        429,
        "too_many_connections",
        "Too many connections issued to the database",
        "SlowDown",
    )
    INTERNAL = (500, "Internal", "Internal Server Error", "InternalError")

    def body(self, about: str = "") -> dict[str, str]:
        """The json body of the answer."""
        status, error, message, code = self.value
        return {
            "statusCode": str(status),
            "error": error,
            "message": message.format(about),
            "code": code,
        }

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.value[0] if self.value[0] in TRUE_STATUSES else 400

    def fault(self) -> Fault:
        """A fault that makes the server give this answer."""
        return Fault(self.status, self.body())


class StorageError(Exception):
    """The request is turned down for `reason`; `about` is put into its message."""

    def __init__(self, reason: Reason, about: str = "") -> None:
        super().__init__(reason.name, about)
        self.reason = reason
        self.about = about

    def answer(self) -> Answer:
        """The answer that says so."""
        return Answer.of(self.reason.body(self.about), self.reason.status)


def read_only() -> Fault:
    """The database is in read-only mode: HTTP 400 with the code 503."""
    return Reason.READ_ONLY.fault()


def database_timeout() -> Fault:
    """The database took too long: HTTP 544."""
    return Reason.TIMEOUT.fault()


def too_many_connections() -> Fault:
    """The database has no connection left: HTTP 429."""
    return Reason.TOO_MANY_CONNECTIONS.fault()


def internal_error() -> Fault:
    """The database is down: HTTP 500."""
    return Reason.INTERNAL.fault()


def bad_gateway() -> Fault:
    """A gateway got no answer from the server: HTTP 502 with a page."""
    title = "<title>502 Bad Gateway</title>"
    return Fault(502, f"<html><head>{title}</head><body><h1>502 Bad Gateway</h1></body></html>")


def gateway_denial() -> Fault:
    """A gateway does not accept the key: HTTP 401 without a body."""
    return Fault(401)


def stalled() -> Fault:
    """The server hangs before anything was done, and a gateway gives up when it is `released`.

    `Fault.stall()` hangs when all is done and only the answer is missing.
    """
    return Fault(504, interruption="stall")


def dropped() -> Fault:
    """The connection breaks before anything was done.

    `Fault.disconnect()` breaks it when all is done and only the answer is missing.
    """
    return Fault(502, interruption="disconnect")
