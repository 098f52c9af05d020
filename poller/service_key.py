"""What can be seen of a storage key without asking Storage."""

from __future__ import annotations

from datetime import UTC, datetime

from poller.text import plain

NEEDED = "SUPABASE_SERVICE_KEY must be a secret key (sb_secret_...) or that of service_role"


def judge_service_key(key: str, now: datetime | None = None) -> str | None:
    """What is wrong with a service key by itself; None if Storage has to be asked, as of its age
    when no time is given.

    Storage answers the key of `anon` with an empty list of buckets, as if there were none.
    """
    if key.startswith("sb_secret_"):
        return None
    if key.startswith("sb_publishable_"):
        return f"a publishable key: {NEEDED}"
    import jwt  # brings cryptography: a poller with a key of the newer kind does without

    try:
        claims = jwt.decode(key, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return f"malformed: {NEEDED}"
    role, ends = claims.get("role"), claims.get("exp")
    if role != "service_role":
        return f"the key of the role {plain(role)}: {NEEDED}"
    if now is not None and isinstance(ends, int | float) and ends <= now.timestamp():
        return f"expired {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC: {NEEDED}"
    return None
