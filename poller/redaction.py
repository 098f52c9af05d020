"""Secrets are taken out of whatever others say, as it may quote what they were sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[hidden]"
QUERY = re.compile(r"(https?://[^\s?\"'<>\\]+)\?[^\s\"'<>\\]+")
"""The query of a URL: what signs it is there."""
BEARER = re.compile(r"\b(Bearer|Basic) +[^\s\"',]+", re.IGNORECASE)
SHORTEST_SECRET = 4
"""Shorter ones would blot out words that are no secret."""


class Redactor:
    """Takes secrets out of a text, whoever wrote it: as they are, in a URL, and in JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for one in secrets
            for form in (one, quote(one, safe=""), json.dumps(one)[1:-1])
            if len(form) >= SHORTEST_SECRET
        }
        longest_first = sorted(forms, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first)) if forms else "(?!)"
        self._secrets = re.compile(pattern)
        self._secret_bytes = re.compile(pattern.encode())

    def __call__(self, text: str) -> str:
        """For people: without what signs a URL, too."""
        text = self._secrets.sub(HIDDEN, text)
        return BEARER.sub(rf"\1 {HIDDEN}", QUERY.sub(rf"\1?{HIDDEN}", text))

    def answer(self, body: bytes) -> bytes:
        """The body of an answer, else as it came: all that is made of it then has no secret."""
        return self._secret_bytes.sub(HIDDEN.encode(), body)
