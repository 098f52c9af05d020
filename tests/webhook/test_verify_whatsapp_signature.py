"""The signature of a call, against Python's own HMAC."""

from __future__ import annotations

import hashlib
import hmac

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.webhook.payloads import APP_SECRET, signature

VERIFY = "select verify_whatsapp_signature(%s, %s, %s)"
BODY = '{"a": "ü/@ "}'.encode()


def verify(db: psycopg.Connection, *arguments: bytes | str | None) -> object:
    row = db.execute(VERIFY, arguments).fetchone()
    assert row is not None
    return row[0]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(body=BODY, secret="k" * 64)
@example(body=BODY, secret="k" * 65)
@example(body=b"", secret="ü" * 64)
@given(body=st.binary(max_size=300), secret=st.text(min_size=1, max_size=200))
def test_it_is_the_hmac_of_rfc_2104(database: str, body: bytes, secret: str) -> None:
    secret = secret.replace("\0", "0").encode(errors="replace").decode()
    expected = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    with psycopg.connect(database) as db:
        made = db.execute("select hmac_sha256(%s, %s)", (body, secret.encode())).fetchone()
        assert made == (expected,)
        assert verify(db, body, signature(body, secret), secret) is True
        assert verify(db, body + b" ", signature(body, secret), secret) is False


@pytest.mark.parametrize(
    ("body", "given_signature", "secret"),
    [
        (BODY, signature(BODY)[:-1], APP_SECRET),
        (BODY, signature(BODY) + "0", APP_SECRET),
        (BODY, signature(BODY).removeprefix("sha256="), APP_SECRET),
        (BODY, signature(BODY, "other"), APP_SECRET),
        (BODY, "sha256=", APP_SECRET),
        (BODY, "ü" * 71, APP_SECRET),
        (BODY, "", APP_SECRET),
        (BODY, None, APP_SECRET),
        (None, signature(BODY), APP_SECRET),
        (BODY, signature(BODY), None),
        (BODY, signature(BODY, ""), ""),
        (None, None, None),
    ],
)
def test_anything_else_is_false(
    database: str, body: bytes | None, given_signature: str | None, secret: str | None
) -> None:
    with psycopg.connect(database) as db:
        db.execute("set role media_client")
        assert verify(db, BODY, signature(BODY), APP_SECRET) is True
        assert verify(db, body, given_signature, secret) is False
