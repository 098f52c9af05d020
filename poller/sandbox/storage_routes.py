"""What Supabase Storage does on each of its routes."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from aiohttp import web

from poller.sandbox.faults import Answer
from poller.sandbox.storage_errors import Reason, StorageError
from poller.sandbox.storage_files import Bucket, StorageFiles, Stored
from poller.sandbox.storage_keys import Caller, Keys
from poller.sandbox.storage_reading import hand_out, list_entries, list_page
from poller.sandbox.storage_requests import (
    Receiving,
    read_integer,
    read_json,
    read_settings,
    read_sort,
    read_text,
    read_texts,
    read_upload,
)
from poller.sandbox.storage_rules import check_bucket_name, check_object_name

MOST_NAMES = 1000
MOST_ENTRIES = 1500
NOT_SIGNED = "Either the object does not exist or you do not have access to it"

Handler = Callable[[web.Request], Awaitable[Answer]]


class StorageRoutes:
    """The answers of the server over `files`; `file_size_limit` is the global one in bytes.

    `uploads` and `removed` count what was stored and removed, by "bucket/name", and `receiving`
    what is on its way in.
    """

    def __init__(
        self,
        files: StorageFiles,
        keys: Keys,
        file_size_limit: int,
        *,
        uploads: Counter[str],
        removed: Counter[str],
        receiving: Receiving,
    ) -> None:
        self._uploads = uploads
        self._removed = removed
        self._receiving = receiving
        self._files = files
        self._keys = keys
        self._file_size_limit = file_size_limit

    def table(self) -> list[tuple[str, str, str, Handler]]:
        """The name, the method, the path below /storage/v1 and the handler of each route."""
        item = r"{bucket}/{name:[\s\S]+}"  # a newline is a bad character, not the end
        return [
            ("bucket", "POST", "bucket", self._create_bucket),
            ("bucket", "GET", "bucket", self._list_buckets),
            ("bucket", "GET", "bucket/{bucket}", self._get_bucket),
            ("bucket", "PUT", "bucket/{bucket}", self._update_bucket),
            ("bucket", "DELETE", "bucket/{bucket}", self._delete_bucket),
            ("bucket", "POST", "bucket/{bucket}/empty", self._empty_bucket),
            ("list", "POST", "object/list/{bucket}", self._list),
            ("list", "POST", "object/list-v2/{bucket}", self._list_after),
            ("info", "GET", f"object/info/{item}", self._info),
            ("sign", "POST", f"object/sign/{item}", self._sign),
            ("sign", "POST", "object/sign/{bucket}", self._sign_many),
            ("signed", "GET", f"object/sign/{item}", self._signed),
            ("public", "GET", f"object/public/{item}", self._public),
            ("public", "HEAD", f"object/public/{item}", self._public),
            ("object", "GET", f"object/authenticated/{item}", self._authenticated),
            ("object", "HEAD", f"object/authenticated/{item}", self._authenticated),
            ("object", "GET", f"object/{item}", self._object),
            ("object", "HEAD", f"object/{item}", self._object),
            ("upload", "POST", f"object/{item}", self._create),
            ("upload", "PUT", f"object/{item}", self._replace),
            ("remove", "DELETE", "object/{bucket}", self._remove),
        ]

    def _bucket(self, bucket_id: str, caller: Caller) -> Bucket:
        """The bucket as the caller sees it."""
        bucket = self._files.bucket(bucket_id)
        if bucket is None or not caller.sees_all:
            raise StorageError(Reason.NO_BUCKET)
        return bucket

    def _stored(self, bucket_id: str, name: str, *, visible: bool = True) -> Stored:
        """The object; one that is not visible is not there."""
        check_object_name(name)
        stored = self._files.find(bucket_id, name)
        if stored is None or not visible:
            raise StorageError(Reason.NO_OBJECT)
        return stored

    def _readable(self, request: web.Request, caller: Caller) -> Stored:
        """The object of the path, if the caller may read it."""
        bucket_id, name = _target(request)
        bucket = self._files.bucket(bucket_id)
        if bucket is None or not (bucket.public or caller.authenticated):
            raise StorageError(Reason.NO_BUCKET)
        return self._stored(bucket_id, name, visible=bucket.public or caller.sees_all)

    async def _create_bucket(self, request: web.Request) -> Answer:
        caller = self._keys.keyed_caller(request)
        body = await read_json(request)
        name = read_text(body, "name")
        bucket_id = read_text(body, "id", name)
        settings = read_settings(body, self._file_size_limit)
        check_bucket_name(name)
        check_bucket_name(bucket_id)
        _check_insert(caller)
        if self._files.bucket(bucket_id):
            raise StorageError(Reason.BUCKET_EXISTS)
        self._files.save_bucket(Bucket(id=bucket_id, name=name, **settings))
        return Answer.of({"name": name})

    async def _list_buckets(self, request: web.Request) -> Answer:
        buckets = self._files.buckets() if self._keys.keyed_caller(request).sees_all else []
        return Answer.of([bucket.row() for bucket in buckets])

    async def _get_bucket(self, request: web.Request) -> Answer:
        bucket = self._bucket(request.match_info["bucket"], self._keys.keyed_caller(request))
        return Answer.of(bucket.row())

    async def _update_bucket(self, request: web.Request) -> Answer:
        caller = self._keys.keyed_caller(request)
        settings = read_settings(await read_json(request), self._file_size_limit)
        if not settings:
            raise StorageError(Reason.SCHEMA, "body must match a schema in anyOf")
        bucket = self._bucket(request.match_info["bucket"], caller)
        self._files.save_bucket(replace(bucket, **settings))
        return Answer.of({"message": "Successfully updated"})

    async def _delete_bucket(self, request: web.Request) -> Answer:
        bucket = self._bucket(request.match_info["bucket"], self._keys.keyed_caller(request))
        if self._files.objects(bucket.id):
            raise StorageError(Reason.BUCKET_NOT_EMPTY)
        self._files.drop_bucket(bucket.id)
        return Answer.of({"message": "Successfully deleted"})

    async def _empty_bucket(self, request: web.Request) -> Answer:
        bucket = self._bucket(request.match_info["bucket"], self._keys.keyed_caller(request))
        self._delete(bucket.id, [stored.name for stored in self._files.objects(bucket.id)])
        message = "Empty bucket has been queued. Completion may take up to an hour."
        return Answer.of({"message": message})

    async def _create(self, request: web.Request) -> Answer:
        return await self._upload(request, upsert=request.headers.get("x-upsert") == "true")

    async def _replace(self, request: web.Request) -> Answer:
        return await self._upload(request, upsert=True)

    async def _upload(self, request: web.Request, *, upsert: bool) -> Answer:
        caller = self._keys.keyed_caller(request)
        bucket_id, name = _target(request)
        bucket = self._files.bucket(bucket_id)
        if bucket is None:
            raise StorageError(Reason.NO_BUCKET)
        upload = await read_upload(request, bucket, self._file_size_limit)
        check_object_name(name)
        _check_insert(caller)
        if not upsert and self._files.find(bucket_id, name):
            raise StorageError(Reason.OBJECT_EXISTS)

        path = f"{bucket_id}/{name}"
        with self._receiving.one(path), self._files.receive() as incoming:
            async for chunk in upload.chunks:
                if upload.limit is None or incoming.size <= upload.limit:
                    incoming.write(chunk)  # the rest of what is too large is read and dropped
            if upload.limit is not None and incoming.size > upload.limit:
                raise StorageError(Reason.TOO_LARGE)
            # The object may be there by now, upsert or not: then the last to arrive wins.
            stored = self._files.keep(
                incoming,
                bucket_id,
                name,
                mime_type=upload.mime_type,
                cache_control=upload.cache_control,
                user_metadata=upload.user_metadata,
            )
        self._uploads[path] += 1
        return Answer.of({"Id": stored.id, "Key": path})

    async def _remove(self, request: web.Request) -> Answer:
        caller = self._keys.keyed_caller(request)
        bucket_id = _bucket_id(request)
        names = read_texts(await read_json(request), "prefixes")
        if len(names) > MOST_NAMES:
            message = f"Bulk object requests are limited to {MOST_NAMES} objects per request."
            raise StorageError(Reason.REQUEST, message)
        removed = self._delete(bucket_id, names) if caller.sees_all else []
        return Answer.of([stored.row() for stored in removed])

    def _delete(self, bucket_id: str, names: Iterable[str]) -> list[Stored]:
        removed = self._files.remove(bucket_id, names)
        self._removed.update(f"{bucket_id}/{stored.name}" for stored in removed)
        return removed

    async def _list(self, request: web.Request) -> Answer:
        caller = self._keys.keyed_caller(request)
        bucket_id = _bucket_id(request)
        body = await read_json(request)
        folder, search = read_text(body, "prefix"), read_text(body, "search", "")
        column, order = read_sort(body)
        limit = min(read_integer(body, "limit", 100, least=1), MOST_ENTRIES)
        offset = read_integer(body, "offset", 0)
        if folder and not folder.endswith("/"):
            folder += "/"
        objects: list[Stored] = []
        if caller.sees_all:
            objects = self._files.objects(bucket_id, folder + search)
        entries = list_entries(objects, folder, search, column, order)
        return Answer.of(entries[offset : offset + limit])

    async def _list_after(self, request: web.Request) -> Answer:
        """All objects below a prefix, without folders: nobody here asks for a delimiter."""
        caller = self._keys.keyed_caller(request)
        bucket_id = _bucket_id(request)
        body = await read_json(request)
        limit = min(read_integer(body, "limit", MOST_NAMES, least=1), MOST_NAMES)
        prefix, cursor = read_text(body, "prefix", ""), read_text(body, "cursor", "")
        objects = self._files.objects(bucket_id, prefix) if caller.sees_all else []
        return Answer.of(list_page(objects, cursor, limit))

    async def _info(self, request: web.Request) -> Answer:
        return Answer.of(self._readable(request, self._keys.caller(request)).info())

    async def _sign(self, request: web.Request) -> Answer:
        caller = self._keys.keyed_caller(request)
        seconds = read_integer(await read_json(request), "expiresIn", least=1)
        bucket_id, name = _target(request)
        self._stored(bucket_id, name, visible=caller.sees_all)
        return Answer.of({"signedURL": self._keys.sign_path(bucket_id, name, seconds)})

    async def _sign_many(self, request: web.Request) -> Answer:
        caller = self._keys.keyed_caller(request)
        body = await read_json(request)
        names = read_texts(body, "paths")
        seconds = read_integer(body, "expiresIn", least=1)
        bucket_id = _bucket_id(request)
        answers: list[dict[str, object]] = []
        for name in names:
            found = caller.sees_all and self._files.find(bucket_id, name)
            answers.append(
                {
                    "error": None
                    if found
                    else "Either the object does not exist or you do not have access to it",
                    "path": name,
                    "signedURL": self._keys.sign_path(bucket_id, name, seconds) if found else None,
                }
            )
        return Answer.of(answers)

    async def _signed(self, request: web.Request) -> Answer:
        bucket_id, name = _target(request)
        if "token" not in request.query:
            raise StorageError(Reason.SCHEMA, "querystring must have required property 'token'")
        ends = self._keys.check_path(bucket_id, name, request.query["token"])
        stored = self._stored(bucket_id, name)
        return hand_out(request, stored, self._files.path(stored), ends)

    async def _public(self, request: web.Request) -> Answer:
        return self._hand_out(request, Caller())

    async def _authenticated(self, request: web.Request) -> Answer:
        return self._hand_out(request, self._keys.keyed_caller(request))

    async def _object(self, request: web.Request) -> Answer:
        try:
            caller = self._keys.caller(request)
        except StorageError:
            caller = Caller()  # may still read what is public
        return self._hand_out(request, caller)

    def _hand_out(self, request: web.Request, caller: Caller) -> Answer:
        stored = self._readable(request, caller)
        return hand_out(request, stored, self._files.path(stored))


def _bucket_id(request: web.Request) -> str:
    """The bucket in the path, which need not exist but has to have a good name."""
    check_bucket_name(request.match_info["bucket"])
    return request.match_info["bucket"]


def _target(request: web.Request) -> tuple[str, str]:
    """The bucket and the name of the object in the path."""
    return _bucket_id(request), request.match_info["name"]


def _check_insert(caller: Caller) -> None:
    if not caller.sees_all:
        raise StorageError(Reason.DENIED, "new row violates row-level security policy")
