"""The folder of the Supabase Storage stand-in: one file per object, and rows about them.

An object is the file <bucket>/<name> in the folder, so that a person can open it. What the
server knows about buckets and objects is in one SQLite file, .metadata/rows.sqlite3, from which
a later start on the same folder goes on.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

METADATA = ".metadata"
LONGEST_FILE_NAME = 200


def now() -> str:
    """The time as the server writes it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; sizes are in bytes, and None stands for no limit."""

    id: str
    name: str
    public: bool = False
    file_size_limit: int | None = None
    allowed_mime_types: list[str] | None = None
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)

    def row(self) -> dict[str, object]:
        """The bucket as the API shows it."""
        return {**asdict(self), "owner": "", "type": "STANDARD"}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object; `size` is in bytes, and `file` is where it is within the folder of its bucket."""

    bucket_id: str
    name: str
    id: str
    version: str
    size: int
    etag: str
    mime_type: str
    cache_control: str
    user_metadata: dict[str, object]
    created_at: str
    updated_at: str
    file: str

    def entry(self, name: str) -> dict[str, object]:
        """The object as a listing shows it, under `name`."""
        return {
            "name": name,
            "id": self.id,
            "updated_at": self.updated_at,
            "created_at": self.created_at,
            "last_accessed_at": self.created_at,
            "metadata": {
                "eTag": self.etag,
                "size": self.size,
                "mimetype": self.mime_type,
                "cacheControl": self.cache_control,
                "lastModified": self.updated_at,
                "contentLength": self.size,
                "httpStatusCode": 200,
            },
        }

    def row(self) -> dict[str, object]:
        """The object as the API shows it when it was deleted."""
        return {
            **self.entry(self.name),
            "bucket_id": self.bucket_id,
            "owner": "",
            "owner_id": "",
            "version": self.version,
            "user_metadata": self.user_metadata,
        }

    def info(self) -> dict[str, object]:
        """The object as the API describes it."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "bucket_id": self.bucket_id,
            "size": self.size,
            "content_type": self.mime_type,
            "cache_control": self.cache_control,
            "etag": self.etag,
            "metadata": self.user_metadata,
            "last_modified": self.updated_at,
            "created_at": self.created_at,
        }


class Incoming:
    """A body on its way in: a file that goes away unless it is kept."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.size = 0
        self._file = file
        self._digest = hashlib.md5(usedforsecurity=False)

    @property
    def etag(self) -> str:
        """The tag of the bytes so far, in quotes."""
        return f'"{self._digest.hexdigest()}"'

    def write(self, chunk: bytes) -> None:
        """Add `chunk` to the file."""
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)

    def flush(self) -> None:
        """Hand what was written to the file system."""
        self._file.flush()


class StorageFiles:
    """The buckets and objects of `folder`, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / METADATA / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)  # of a server that was killed
        self._incoming.mkdir(parents=True)
        self._rows = sqlite3.connect(folder / METADATA / "rows.sqlite3", isolation_level=None)
        self._rows.executescript(
            """
            pragma journal_mode = wal;
            pragma synchronous = off; -- outlives a killed process, which is all we promise
            create table if not exists buckets (id text primary key, data text not null);
            create table if not exists objects (
                bucket text, name text, data text not null, primary key (bucket, name)
            );
            """
        )

    def close(self) -> None:
        """Let go of the folder."""
        self._rows.close()

    def bucket(self, bucket_id: str) -> Bucket | None:
        """The bucket, or None."""
        row = self._rows.execute("select data from buckets where id = ?", [bucket_id]).fetchone()
        return None if row is None else Bucket(**json.loads(row[0]))

    def buckets(self) -> list[Bucket]:
        """All buckets in the order they were made."""
        rows = self._rows.execute("select data from buckets order by rowid")
        return [Bucket(**json.loads(data)) for (data,) in rows]

    def save_bucket(self, bucket: Bucket) -> None:
        """Make the bucket, or change it to what it is here."""
        self._rows.execute(
            "insert into buckets values (?, ?) on conflict (id) do update set data = excluded.data",
            [bucket.id, json.dumps(asdict(bucket))],
        )
        (self.folder / bucket.id).mkdir(exist_ok=True)

    def drop_bucket(self, bucket_id: str) -> None:
        """Forget the bucket, which is empty."""
        self._rows.execute("delete from buckets where id = ?", [bucket_id])
        shutil.rmtree(self.folder / bucket_id, ignore_errors=True)

    def find(self, bucket_id: str, name: str) -> Stored | None:
        """The object, or None."""
        query = "select data from objects where bucket = ? and name = ?"
        row = self._rows.execute(query, [bucket_id, name]).fetchone()
        return None if row is None else Stored(**json.loads(row[0]))

    def objects(self, bucket_id: str, prefix: str = "") -> list[Stored]:
        """The objects whose names begin with `prefix` in any case of its letters, by name."""
        rows = self._rows.execute(
            "select data from objects where bucket = ? and lower(substr(name, 1, ?)) = ?"
            " order by name",
            [bucket_id, len(prefix), prefix.lower()],
        )
        return [Stored(**json.loads(data)) for (data,) in rows]

    @contextmanager
    def receive(self) -> Generator[Incoming]:
        """A body to write to; what is not kept at the end is gone."""
        path = self._incoming / uuid4().hex
        try:
            with path.open("wb") as file:
                yield Incoming(path, file)
        finally:
            path.unlink(missing_ok=True)

    def keep(
        self,
        incoming: Incoming,
        bucket_id: str,
        name: str,
        *,
        mime_type: str,
        cache_control: str,
        user_metadata: dict[str, object],
    ) -> Stored:
        """Make `incoming` the object of that name: a new one, or a new version of an old one."""
        previous = self.find(bucket_id, name)
        version, time = str(uuid4()), now()
        stored = Stored(
            bucket_id=bucket_id,
            name=name,
            id=previous.id if previous else str(uuid4()),
            version=version,
            size=incoming.size,
            etag=incoming.etag,
            mime_type=mime_type,
            cache_control=cache_control,
            user_metadata=user_metadata,
            created_at=previous.created_at if previous else time,
            updated_at=time,
            file=previous.file if previous else self._file_name(bucket_id, name, version),
        )
        incoming.flush()
        self.path(stored).parent.mkdir(parents=True, exist_ok=True)
        incoming.path.replace(self.path(stored))
        self._rows.execute(
            "insert into objects values (?, ?, ?)"
            " on conflict (bucket, name) do update set data = excluded.data",
            [bucket_id, name, json.dumps(asdict(stored))],
        )
        return stored

    def remove(self, bucket_id: str, names: Iterable[str]) -> list[Stored]:
        """Delete the objects of these names and return those that were there."""
        found = [stored for name in dict.fromkeys(names) if (stored := self.find(bucket_id, name))]
        for stored in found:
            self._rows.execute(
                "delete from objects where bucket = ? and name = ?", [bucket_id, stored.name]
            )
            self.path(stored).unlink(missing_ok=True)
            self._prune(self.path(stored).parent, self.folder / bucket_id)
        return found

    def path(self, stored: Stored) -> Path:
        """The file of the object."""
        return self.folder / stored.bucket_id / stored.file

    def _file_name(self, bucket_id: str, name: str, version: str) -> str:
        """The name of the object if a file can have it, else one that no object can have.

        Names end in `/`, go through `..`, or are folders of other names (`a` and `a/b`) at will.
        """
        root = self.folder / bucket_id
        steps = name.split("/")
        usable = not {"", ".", ".."}.intersection(steps) and len(name) <= LONGEST_FILE_NAME
        if usable and not (root / name).exists():
            folders = ["/".join(steps[:depth]) for depth in range(1, len(steps))]
            if not any((root / folder).is_file() for folder in folders):
                return name
        return f"~{version}"

    @staticmethod
    def _prune(folder: Path, root: Path) -> None:
        while folder != root and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
