"""A Supabase Storage that answers as measured on the real one, over a folder of plain files.

Its routes, as `faults` and `requests` name them: "bucket" (all about buckets), "upload" (POST and
PUT of an object), "remove", "list", "info", "sign" (making signed URLs), "signed" (using one),
"public" (GET and HEAD through the public URL) and "object" (GET and HEAD with a key). A fault
with a status stands in for the server: the call changes nothing. Any other fault happens to the
answer of a call that was carried out. storage_errors.py has the errors as faults.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from poller.sandbox.faults import Answer, Faults, play
from poller.sandbox.storage_errors import StorageError
from poller.sandbox.storage_files import StorageFiles
from poller.sandbox.storage_keys import KEY_SECONDS, SIGNING_KEY, Keys
from poller.sandbox.storage_requests import Receiving
from poller.sandbox.storage_routes import Handler, StorageRoutes

API = "/storage/v1/"
STOP_SECONDS = 0.05
"""How long a request in hand may go on when the server stops."""


class StorageApi:
    """The server, on a port of the loopback interface; `url` is what SUPABASE_URL is set to.

    Buckets and objects stay in `folder` over `stop` and `start`, and for a later server on it.
    `secret` signs keys and URLs, and `file_size_limit` is the global one in bytes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secret: str = SIGNING_KEY,
        file_size_limit: int = 52_428_800,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.url = ""
        self.secret_key = "sb_secret_sandbox"  # noqa: S105 - it opens nothing else
        """The newer kind of service key, which is no JWT."""
        self.requests: Counter[str] = Counter()
        """Requests by route, those with staged faults included."""
        self.uploads: Counter[str] = Counter()
        """Uploads that were stored, by "bucket/name"."""
        self.removed: Counter[str] = Counter()
        """Objects that were removed, by "bucket/name"."""
        self.receiving = Receiving()
        """Bodies of uploads on their way in, which can be waited for."""
        self._folder = folder
        self._file_size_limit = file_size_limit
        self._keys = Keys(secret, self.secret_key)
        self.service_key = self.make_key("service_role")
        self.anon_key = self.make_key("anon")
        self._files: StorageFiles | None = None
        self._runner: web.AppRunner | None = None

    def make_key(
        self, role: str, *, expires_in: float = KEY_SECONDS, secret: str | None = None
    ) -> str:
        """A key of `role` that ends in `expires_in` seconds, signed with another secret if given.

        It has expired already if `expires_in` is negative.
        """
        return self._keys.make_key(role, expires_in=expires_in, secret=secret)

    def sign_path(self, bucket: str, name: str, expires_in: float) -> str:
        """A signed URL of the object, as a path below /storage/v1; it works `expires_in` seconds.

        It has expired already if `expires_in` is negative.
        """
        return self._keys.sign_path(bucket, name, expires_in)

    async def start(self, port: int = 0) -> None:
        """Listen on `port` of 127.0.0.1, 0 for any that is free."""
        self._files = StorageFiles(self._folder)
        self._runner = web.AppRunner(
            self._app(self._files),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=STOP_SECONDS,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port and all connections, stalled ones too."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._files is not None:
            self._files.close()
            self._files = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _app(self, files: StorageFiles) -> web.Application:
        routes = StorageRoutes(
            files,
            self._keys,
            self._file_size_limit,
            uploads=self.uploads,
            removed=self.removed,
            receiving=self.receiving,
        )
        app = web.Application()
        for route, method, path, handler in routes.table():
            app.router.add_route(method, API + path, self._answering(route, handler))
        return app

    def _answering(
        self, route: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def respond(request: web.Request) -> web.StreamResponse:
            self.requests[route] += 1
            fault = self.faults.take(route)
            answer = Answer.of()
            if fault is None or fault.status is None:
                try:
                    answer = await handler(request)
                except StorageError as error:
                    answer = error.answer()
            if request.method == "HEAD":
                answer = replace(answer, pieces=[])
                fault = fault and replace(fault, body=None)
            return await play(request, answer, fault)

        return respond
