"""A WhatsApp Cloud API that hands out media as Meta's documentation and real answers describe.

It knows three routes: "metadata" (GET /{version}/{media id}), "download" (GET of the url in the
metadata's answer) and "account" (GET of "me" or of a phone number id in place of a media id).
`faults` stages what goes wrong on them. whatsapp_errors.py has the errors as faults.
"""

import hashlib
import itertools
import secrets
import time
from asyncio import Event
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import web
from multidict import CIMultiDict

from poller.sandbox.faults import PIECE_BYTES, Answer, Fault, Faults, play
from poller.sandbox.whatsapp_errors import bad_token, permission_lost, unknown_media

VERSION = "v23.0"
ATTACHMENTS = "/whatsapp_business/attachments/"
STOP_SECONDS = 0.05
"""how long a request in hand may go on when the server stops."""

Content = bytes | Path | int
"""a body: the bytes, a file to read them from, or how many zeros it consists of."""


@dataclass(frozen=True, slots=True)
class Media:
    """a file that was sent to a WhatsApp number, with what the api claims about it."""

    id: str
    content: Content
    length: int
    mime_type: str
    sha256: str
    file_size: int
    phone_number_id: str | None

    def belongs_to(self, phone_number_id: str | None) -> bool:
        """whether the number may ask for the file; None on either side is any number."""
        return None in (phone_number_id, self.phone_number_id) or (
            phone_number_id == self.phone_number_id
        )


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """a request as it came in, without the token; `path` has the query with it."""

    method: str
    path: str
    headers: Mapping[str, str]


class WhatsAppApi:
    """the server, on a port of the loopback interface; `url` is what WHATSAPP_API_URL is set to.

    Media stay registered over `stop` and `start`.
    """

    def __init__(
        self,
        token: str = "sandbox-whatsapp-token",  # noqa: S107 - it opens nothing else
        *,
        url_lifetime: float = 300,
        file_size_as_text: bool = False,
        faults: Faults | None = None,
    ) -> None:
        self.token = token
        self.faults = faults or Faults()
        self.url = ""
        self.url_lifetime = url_lifetime
        """seconds that the url of a file works."""
        self.file_size_as_text = file_size_as_text
        """answer file_size as a string, as the documentation has it, not as the usual int."""
        self.requests: list[SeenRequest] = []
        self.metadata_requests: Counter[str] = Counter()
        """metadata requests by media id, whatever the answer."""
        self.downloads: Counter[str] = Counter()
        """downloads begun by media id: those with a good token and url, staged faults included."""
        self.refused = 0
        """requests the api itself turned down; staged faults are not among them."""
        self.closed_numbers: set[str] = set()
        """phone numbers that the token has no right to, so that all they ask is refused."""
        self.barred_numbers: set[str] = set()
        """phone numbers that are told what their files are, and refused the files."""
        self.refusals: Counter[str] = Counter()
        """requests by phone number that were answered with a refusal, staged or not."""
        self._phone_numbers: dict[str, str] = {}  # their verified names
        self._media: dict[str, Media] = {}
        self._ids = itertools.count(1_000_000_000_000_001)
        self._links: dict[str, tuple[Media, float]] = {}  # by hash, with the time they end
        self._begun: defaultdict[str, Event] = defaultdict(Event)
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """listen on `port` of 127.0.0.1, 0 for any that is free."""
        app = web.Application()
        app.router.add_get(ATTACHMENTS, self._download, allow_head=False)
        app.router.add_get("/{version}/{id}", self._node, allow_head=False)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=STOP_SECONDS
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/{VERSION}"

    async def stop(self) -> None:
        """close the port and all connections, stalled ones too."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def add_media(
        self,
        content: Content,
        mime_type: str,
        *,
        media_id: str | None = None,
        sha256: str | None = None,
        file_size: int | None = None,
        phone_number_id: str | None = None,
    ) -> str:
        """register a file and return its media id, which is made of digits.

        `sha256` (lowercase hex) and `file_size` (bytes) replace what the api would truthfully
        claim. Without a `phone_number_id` any may ask for the file.
        """
        length = _length(content)
        media = Media(
            id=media_id or str(next(self._ids)),
            content=content,
            length=length,
            mime_type=mime_type,
            sha256=sha256 or _sha256(content),
            file_size=length if file_size is None else file_size,
            phone_number_id=phone_number_id,
        )
        self._media[media.id] = media
        return media.id

    def expire_media(self, media_id: str) -> None:
        """let the media id end, as after 7 days; urls handed out for it still work.

        Raises KeyError if it is not registered.
        """
        del self._media[media_id]

    def expire_urls(self) -> None:
        """let all urls handed out so far end, as after 5 minutes."""
        self._links.clear()

    async def wait_for_download(self, media_id: str) -> None:
        """return once a download of the file has begun, at once if one has before."""
        await self._begun[media_id].wait()

    def add_phone_number(self, phone_number_id: str, verified_name: str) -> None:
        """register a number that the token may see."""
        self._phone_numbers[phone_number_id] = verified_name

    async def _node(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        node = request.match_info["id"]
        if node != "me" and node not in self._phone_numbers:
            return await self._metadata(request, node)
        if not self._authorized(request):
            answer = self._refuse(bad_token())
        elif node == "me":
            answer = Answer.of({"name": "sandbox system user", "id": "122100000000000001"})
        else:
            answer = Answer.of({"verified_name": self._phone_numbers[node], "id": node})
        return await play(request, answer, self.faults.take("account"))

    async def _metadata(self, request: web.Request, media_id: str) -> web.StreamResponse:
        self.metadata_requests[media_id] += 1
        media = self._media.get(media_id)
        number = request.query.get("phone_number_id", "")
        if not self._authorized(request):
            answer = self._refuse(bad_token())
        elif number in self.closed_numbers:
            answer = self._refuse(permission_lost())
        elif media is None or not media.belongs_to(request.query.get("phone_number_id")):
            answer = self._refuse(unknown_media(media_id))
        else:
            answer = Answer.of(self._describe(media))
        return await self._answer(request, "metadata", number, answer)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        media, ends = self._links.get(request.query.get("hash", ""), (None, 0.0))
        if not self._authorized(request):
            answer = self._refuse(bad_token())
        elif not request.headers.get("User-Agent"):
            answer = self._refuse(Fault(400, _page("Bad Request")))
        elif media is None or time.monotonic() >= ends:
            answer = self._refuse(Fault(404, _page("Not Found")))
        elif media.phone_number_id in self.barred_numbers:
            answer = self._refuse(permission_lost())
        else:
            self.downloads[media.id] += 1
            self._begun[media.id].set()
            headers = {"Content-Type": media.mime_type}
            answer = Answer(200, headers, media.length, _pieces(media.content))
        number = media and media.phone_number_id
        return await self._answer(request, "download", number or "", answer)

    async def _answer(
        self, request: web.Request, route: str, number: str, answer: Answer
    ) -> web.StreamResponse:
        """play the answer with the fault that is staged, and count what is refused to a number."""
        fault = self.faults.take(route) or Fault()
        begun = fault.interruption is None or fault.after is not None
        if begun and 400 <= fault.change(answer).status < 500:
            self.refusals[number] += 1
        return await play(request, answer, fault)

    def _describe(self, media: Media) -> dict[str, object]:
        link = secrets.token_urlsafe(24)
        self._links[link] = (media, time.monotonic() + self.url_lifetime)
        ends = int(time.time() + self.url_lifetime)
        origin = self.url.removesuffix(f"/{VERSION}")
        return {
            "url": f"{origin}{ATTACHMENTS}?mid={media.id}&ext={ends}&hash={link}",
            "mime_type": media.mime_type,
            "sha256": media.sha256,
            "file_size": str(media.file_size) if self.file_size_as_text else media.file_size,
            "id": media.id,
            "messaging_product": "whatsapp",
        }

    def _authorized(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    def _refuse(self, error: Fault) -> Answer:
        self.refused += 1
        return error.change(Answer.of())

    def _note(self, request: web.Request) -> None:
        headers = CIMultiDict(request.headers)
        headers.popall("Authorization", None)
        self.requests.append(SeenRequest(request.method, request.path_qs, headers))


def _page(title: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"


def _length(content: Content) -> int:
    match content:
        case int():
            return content
        case Path():
            return content.stat().st_size
        case bytes():
            return len(content)


def _sha256(content: Content) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(content):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(content: Content) -> Iterable[bytes]:
    match content:
        case int():
            whole, rest = divmod(content, PIECE_BYTES)
            yield from itertools.repeat(bytes(PIECE_BYTES), whole)
            yield bytes(rest)
        case Path():
            with content.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    yield piece
        case bytes():
            yield content
