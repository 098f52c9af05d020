"""The keys of Supabase Storage: JWTs with a role, secret keys, and tokens of signed URLs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from aiohttp import web

from poller.sandbox.storage_errors import Reason, StorageError

SIGNING_KEY = "super-secret-jwt-token-with-at-least-32-characters-long"
KEY_SECONDS = 10 * 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the role in the key, and whether there was a good key at all."""

    role: str = "anon"
    authenticated: bool = False

    @property
    def sees_all(self) -> bool:
        """Whether row-level security does not apply; as there are no policies, others see none."""
        return self.role == "service_role"


class Keys:
    """Makes and checks what is signed with `secret`; `secret_key` is a key that is no JWT."""

    def __init__(self, secret: str, secret_key: str) -> None:
        self._secret = secret
        self._secret_key = secret_key

    def make_key(
        self, role: str, *, expires_in: float = KEY_SECONDS, secret: str | None = None
    ) -> str:
        """A key of `role` that ends in `expires_in` seconds, signed with another secret if given.

        It has expired already if `expires_in` is negative.
        """
        claims = {"iss": "supabase", "role": role}
        return _sign(claims, self._secret if secret is None else secret, expires_in)

    def sign_path(self, bucket: str, name: str, expires_in: float) -> str:
        """A signed URL of the object, as a path below /storage/v1; it works `expires_in` seconds.

        It has expired already if `expires_in` is negative.
        """
        path = f"{bucket}/{name}"
        token = _sign({"url": path, "scope": "download"}, self._secret, expires_in)
        return f"/object/sign/{path}?token={token}"

    def check_path(self, bucket: str, name: str, token: str) -> float:
        """When the token of a signed URL ends, in seconds since 1970; a bad one is refused."""
        try:
            claims = _read(token, self._secret)
        except ValueError as error:
            raise StorageError(Reason.SIGNED_TOKEN, str(error)) from error
        if claims.get("url") != f"{bucket}/{name}":
            raise StorageError(Reason.SIGNED_PATH)
        return claims["exp"]

    def caller(self, request: web.Request) -> Caller:
        """Who asks; a bad key is refused."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.headers.get("apikey") == self._secret_key and token in ("", self._secret_key):
            return Caller("service_role", authenticated=True)
        try:
            claims = _read(token, self._secret)
        except ValueError as error:
            raise StorageError(Reason.DENIED, str(error)) from error
        return Caller(str(claims.get("role")), authenticated=True)

    def keyed_caller(self, request: web.Request) -> Caller:
        """Who asks; a bad key is refused, and none at all in other words."""
        secret_key_given = request.headers.get("apikey") == self._secret_key
        if "Authorization" not in request.headers and not secret_key_given:
            message = "headers must have required property 'authorization'"
            raise StorageError(Reason.SCHEMA, message)
        return self.caller(request)


def _sign(claims: Mapping[str, object], secret: str, expires_in: float) -> str:
    times = {"iat": int(time.time()), "exp": int(time.time() + expires_in)}
    return jwt.encode({**claims, **times}, secret, algorithm="HS256")


def _read(token: str, secret: str) -> dict[str, Any]:
    """The claims in the token; raises ValueError in the words of the server if it is not good."""
    if token.count(".") != 2:
        raise ValueError("Invalid Compact JWS")
    try:
        return jwt.decode(token, secret, algorithms=["HS256"], options={"verify_aud": False})
    except jwt.InvalidSignatureError as error:
        raise ValueError("signature verification failed") from error
    except jwt.ExpiredSignatureError as error:
        raise ValueError('"exp" claim timestamp check failed') from error
    except jwt.InvalidTokenError as error:
        raise ValueError("Invalid Compact JWS") from error
