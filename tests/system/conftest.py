"""The fixtures of the webhook's tests serve here, too."""

from tests.webhook.conftest import http

__all__ = ["http"]
