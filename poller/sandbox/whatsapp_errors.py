"""How the WhatsApp Cloud API says no."""

import secrets

from poller.sandbox.faults import Fault


def graph_error(
    code: int,
    status: int,
    message: str,
    subcode: int | None = None,
    retry_after: int | None = None,
) -> Fault:
    """an error as the Graph API words it; `retry_after` is in seconds."""
    error: dict[str, object] = {
        "message": message,
        "type": "GraphMethodException" if subcode == 33 else "OAuthException",
        "code": code,
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Fault(status, {"error": error}, headers)


def bad_token() -> Fault:
    """the token is missing, wrong or expired."""
    return graph_error(190, 401, "Invalid OAuth access token - Cannot parse access token")


def permission_lost() -> Fault:
    """the token has no right to the number, or no longer."""
    return graph_error(10, 403, "(#10) Application does not have permission for this action")


def unknown_media(media_id: str) -> Fault:
    """the media id is expired, belongs to another number or was never there: all look the same."""
    return graph_error(
        100,
        400,
        f"Unsupported get request. Object with ID '{media_id}' does not exist, cannot be loaded"
        " due to missing permissions, or does not support this operation",
        subcode=33,
    )


def rate_limited(retry_after: int | None = None) -> Fault:
    """the number asked too often: an error 130429 with status 400; `retry_after` in seconds."""
    return graph_error(130429, 400, "(#130429) Rate limit hit", retry_after=retry_after)
