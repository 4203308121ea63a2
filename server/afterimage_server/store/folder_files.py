"""Files in a folder: the bytes flushed, renamed into their place and their folder flushed before a row says they are.

Each content is one file on the disk that never changes; rows say which names mean it. What a kill leaves without a row
was acknowledged to nobody, and is deleted when the folder is opened next.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from afterimage.store.documents import ConflictError, Expect, NoRoomError
from afterimage.store.files import FileAbout, FilePage, GoneError, StoredFile
from afterimage_client.database import Database, FileTransaction, Row
from afterimage_server.store.durable_files import NO_ROOM, flush_folder
from afterimage_server.store.erasures import Erasures, users_of_file
from afterimage_server.store.held_bytes import pieces_of, read_held, write_held
from afterimage_server.store.journal import Journal, text_of
from afterimage_server.store.local_documents import told_apart
from afterimage_server.store.stored_values import microseconds
from afterimage_server.store.tables import noted, number_noted
from afterimage_server.store.vault import Vault

BYTES_HELD: Final = "bytes held"
FILE_COLUMNS: Final = "bucket, name, generation, metageneration, size, created, about, held, cloud"
_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class FileChanged:
    """One file that was written or deleted; `after` is None for one that is gone."""

    bucket: str
    name: str
    before: StoredFile | None
    after: StoredFile | None


FollowFile = Callable[[FileTransaction, FileChanged], None]
FetchAway = Callable[[StoredFile], Path]
"""Brings bytes that are not kept here any more, as a file laid out like ours."""


def nothing_away(file: StoredFile) -> Path:
    raise GoneError(f"{file.bucket}/{file.name}")


class FolderFiles:
    """The files of one machine."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        vault: Vault,
        journal: Journal,
        *,
        most_bytes: int | None = None,
        follow: FollowFile = lambda _transaction, _change: None,
        fetch_away: FetchAway = nothing_away,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`follow` hears of each change in its own transaction: what it writes there is kept with it, or not at all."""
        self.folder = folder
        self.database = database
        self.vault = vault
        self.journal = journal
        self._most_bytes = most_bytes
        self._erasures = Erasures(database)
        self._follow = follow
        self._fetch_away = fetch_away
        self._clock = clock
        self.parts = folder / "tmp"
        self.parts.mkdir(parents=True, exist_ok=True)
        for number in range(256):
            self.path_of(f"{number:02x}").parent.mkdir(parents=True, exist_ok=True)

    # -- the port

    def find(self, bucket: str, name: str) -> StoredFile | None:
        with told_apart():
            row = self.database.row(f"SELECT {FILE_COLUMNS} FROM files WHERE bucket = ? AND name = ?", (bucket, name))
        return self._stored(row) if row is not None else None

    def read(self, file: StoredFile, start: int = 0, end: int | None = None) -> bytes:
        for _ in range(_ROUNDS):
            held, state = self._held(file)
            path = self._fetch_away(file) if state == "away" else self.path_of(held)
            try:
                return read_held(path, self.vault, start, end)
            except FileNotFoundError:
                # Packed, let go of or deleted since: the row says which.
                continue
        raise GoneError(f"{file.bucket}/{file.name}")

    def write(self, bucket: str, name: str, data: bytes, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        _refuse_versionless(expected)
        return self._written(bucket, name, pieces_of(data), about, expected)

    def write_pieces(
        self, bucket: str, name: str, pieces: Callable[[], Iterator[bytes]], about: FileAbout, *, expected: Expect | int
    ) -> StoredFile:
        """As `write`, for bytes that need not fit into memory."""
        return self._written(bucket, name, pieces(), about, expected)

    def copy(self, file: StoredFile, name: str, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        _refuse_versionless(expected)
        with told_apart(), self.database.transaction() as transaction:
            source = self._live(transaction, file)
            self._erasures.refuse(transaction, users_of_file(name, about.metadata))
            found = self._expected(transaction, file.bucket, name, expected)
            copied = StoredFile(
                bucket=file.bucket,
                name=name,
                generation=self._generation(transaction, found),
                size=file.size,
                created=self._now(),
                content_type=about.content_type,
                content_encoding=about.content_encoding,
                md5=file.md5,
                metadata=dict(about.metadata),
            )
            self._enter(transaction, copied, about.cache_control, source[7], found)
        return copied

    def stamp(self, file: StoredFile, metadata: Mapping[str, str]) -> None:
        with told_apart(), self.database.transaction() as transaction:
            row = self._live(transaction, file)
            live = self._stored(row)
            if live.metageneration != file.metageneration:
                raise ConflictError(f"{file.bucket}/{file.name}")
            stamped = replace(live, metadata={**live.metadata, **metadata}, metageneration=live.metageneration + 1)
            self._put_row(transaction, stamped, self.about_of(row)["cache_control"], row[7], row[8])

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> FilePage:
        found = self._listed(bucket, prefix, token, limit + 1)
        return FilePage(files=tuple(found[:limit]), next_token=found[limit - 1].name if len(found) > limit else "")

    def walk(self, bucket: str, prefix: str, after: str = "") -> Iterator[StoredFile]:
        while found := self._listed(bucket, prefix, after, 500):
            yield from found
            after = found[-1].name

    def delete(self, bucket: str, name: str, *, generation: int | None = None) -> None:
        with told_apart(), self.database.transaction() as transaction:
            row = self.row_of(transaction, bucket, name)
            if row is None or generation not in {None, row[2]}:
                return
            transaction.execute("DELETE FROM files WHERE bucket = ? AND name = ?", (bucket, name))
            self.journal.tell(transaction, {"files": [[[bucket, name], None]]})
            self.let_go(transaction, row[7])
            gone = FileChanged(bucket=bucket, name=name, before=self._stored(row), after=None)
            self._follow(transaction, gone)

    # -- beside the port

    def bytes_held(self) -> int:
        with told_apart():
            found = self.database.row("SELECT value FROM machine WHERE name = ?", (BYTES_HELD,))
        return int(found[0]) if found else 0

    def cloud_generation(self, file: StoredFile) -> int:
        """The generation that this generation of a file has in the cloud; nought while it is not confirmed there."""
        with told_apart():
            row = self.database.row(
                "SELECT cloud FROM files WHERE bucket = ? AND name = ? AND generation = ?",
                (file.bucket, file.name, file.generation),
            )
        return int(row[0]) if row is not None else 0

    def note_in_cloud(self, file: StoredFile, generation: int) -> bool:
        """Keeps the generation that the cloud has confirmed. False where there is no file of this name any more."""
        with told_apart(), self.database.transaction() as transaction:
            row = self.row_of(transaction, file.bucket, file.name)
            if row is not None and row[2] == file.generation:
                self._put_row(transaction, self._stored(row), self.cache_control(file), row[7], generation)
            return row is not None

    def confirmed_before(self, moment: int) -> list[StoredFile]:
        """Files whose bytes are here and in the cloud, and were stored before a moment (microseconds)."""
        with told_apart():
            rows = self.database.rows(
                f"SELECT {', '.join(f'f.{name}' for name in FILE_COLUMNS.split(', '))} FROM files f"
                " JOIN held h ON h.id = f.held WHERE f.cloud > 0 AND f.created < ? AND h.state = 'settled'",
                (moment,),
            )
        return [self._stored(row) for row in rows]

    def cache_control(self, file: StoredFile) -> str:
        with told_apart():
            row = self.database.row(
                f"SELECT {FILE_COLUMNS} FROM files WHERE bucket = ? AND name = ?", (file.bucket, file.name)
            )
        return str(self.about_of(row)["cache_control"]) if row is not None else ""

    def held_id(self, file: StoredFile) -> str:
        """What its bytes are called in the folder; GoneError where the file is not the live one."""
        return self._held(file)[0]

    def dump(self, transaction: FileTransaction) -> Iterator[tuple[str, Any]]:
        """Every file as a line of the journal tells of it."""
        for row in transaction.execute(f"SELECT {FILE_COLUMNS} FROM files"):
            yield "files", [[row[0], row[1]], row_told(row)]

    # -- within

    def _written(
        self,
        bucket: str,
        name: str,
        pieces: Iterator[bytes],
        about: FileAbout,
        expected: Expect | int,
    ) -> StoredFile:
        self._refuse_early(bucket, name, expected)
        held = name_of_bytes()
        part, path = self.parts / held, self.path_of(held)
        stored = StoredFile(
            bucket=bucket,
            name=name,
            generation=0,
            size=0,
            created=self._now(),
            content_type=about.content_type,
            content_encoding=about.content_encoding,
            metadata=dict(about.metadata),
        )
        foot_about = {"bucket": bucket, "name": name, **_about_of(stored, about.cache_control), "created": held[:16]}
        with self.room():
            foot = write_held(part, _summed(pieces, foot_about), foot_about, self.vault, packs=False)
            part.replace(path)
            flush_folder(path.parent)
            length = path.stat().st_size
        try:
            with told_apart(), self.database.transaction() as transaction:
                self._erasures.refuse(transaction, users_of_file(name, about.metadata))
                found = self._expected(transaction, bucket, name, expected)
                self._refuse_full(transaction, length)
                generation = self._generation(transaction, found)
                stored = replace(stored, size=foot.size, generation=generation, md5=foot_about["md5"])
                transaction.execute(
                    "INSERT INTO held VALUES (?, ?, 'new', ?)", (held, length, microseconds(stored.created))
                )
                self.count(transaction, length)
                self._enter(transaction, stored, about.cache_control, held, found)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return stored

    def _refuse_early(self, bucket: str, name: str, expected: Expect | int) -> None:
        """Before bytes are written for nothing; the transaction asks again."""
        found = self.find(bucket, name)
        if expected is not Expect.ANYTHING and expected != (found.generation if found else Expect.ABSENT):
            raise ConflictError(f"{bucket}/{name}")

    def _refuse_full(self, transaction: FileTransaction, more: int) -> None:
        if self._most_bytes is not None and number_noted(transaction, BYTES_HELD) + more > self._most_bytes:
            raise NoRoomError(
                f"the folder holds {number_noted(transaction, BYTES_HELD)} of {self._most_bytes} bytes and has no room "
                f"for {more} more: clean up, or raise MAX_LOCAL_STORAGE_GB"
            )

    def _enter(
        self, transaction: FileTransaction, stored: StoredFile, cache_control: str, held: str, found: Row | None
    ) -> None:
        self._put_row(transaction, stored, cache_control, held)
        if found is not None:
            self.let_go(transaction, found[7])
        before = self._stored(found) if found is not None else None
        self._follow(transaction, FileChanged(bucket=stored.bucket, name=stored.name, before=before, after=stored))

    def _put_row(
        self, transaction: FileTransaction, stored: StoredFile, cache_control: str, held: str, cloud: int = 0
    ) -> None:
        text = json.dumps(_about_of(stored, cache_control), ensure_ascii=False)
        row = (
            stored.bucket,
            stored.name,
            stored.generation,
            stored.metageneration,
            stored.size,
            microseconds(stored.created),
            self.vault.sealer.seal(text, f"files|{stored.bucket}|{stored.name}"),
            held,
            cloud,
        )
        transaction.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.journal.tell(transaction, {"files": [[[stored.bucket, stored.name], row_told(row)]]})

    def let_go(self, transaction: FileTransaction, held: str) -> None:
        """Deletes bytes that no name means any more, once that is committed."""
        if transaction.row("SELECT 1 FROM files WHERE held = ? LIMIT 1", (held,)) is not None:
            return
        gone = transaction.row("DELETE FROM held WHERE id = ? RETURNING bytes", (held,))
        if gone is not None:
            self.count(transaction, -gone[0])
            transaction.after_commit(lambda: self.path_of(held).unlink(missing_ok=True))

    def count(self, transaction: FileTransaction, more: int) -> None:
        noted(transaction, BYTES_HELD, number_noted(transaction, BYTES_HELD) + more)

    def _generation(self, transaction: FileTransaction, found: Row | None) -> int:
        """Greater than any before, whatever the clock says."""
        last = number_noted(transaction, "generation")
        generation = max(int(self._clock() * 1_000_000), last + 1, found[2] + 1 if found is not None else 0)
        noted(transaction, "generation", generation)
        return generation

    def _expected(self, transaction: FileTransaction, bucket: str, name: str, expected: Expect | int) -> Row | None:
        row = self.row_of(transaction, bucket, name)
        if expected is not Expect.ANYTHING and expected != (row[2] if row is not None else Expect.ABSENT):
            raise ConflictError(f"{bucket}/{name}")
        return row

    def _live(self, transaction: FileTransaction, file: StoredFile) -> Row:
        row = self.row_of(transaction, file.bucket, file.name)
        if row is None or row[2] != file.generation:
            raise GoneError(f"{file.bucket}/{file.name}")
        return row

    def row_of(self, transaction: FileTransaction, bucket: str, name: str) -> Row | None:
        return transaction.row(f"SELECT {FILE_COLUMNS} FROM files WHERE bucket = ? AND name = ?", (bucket, name))

    def _held(self, file: StoredFile) -> tuple[str, str]:
        with told_apart():
            row = self.database.row(
                "SELECT f.held, h.state FROM files f JOIN held h ON h.id = f.held"
                " WHERE f.bucket = ? AND f.name = ? AND f.generation = ?",
                (file.bucket, file.name, file.generation),
            )
        if row is None:
            raise GoneError(f"{file.bucket}/{file.name}")
        return row[0], row[1]

    def _listed(self, bucket: str, prefix: str, after: str, limit: int) -> list[StoredFile]:
        with told_apart():
            rows = self.database.rows(
                f"SELECT {FILE_COLUMNS} FROM files WHERE bucket = ? AND name >= ? AND name > ? ORDER BY name LIMIT ?",
                (bucket, prefix, after, limit),
            )
        return [self._stored(row) for row in rows if row[1].startswith(prefix)]

    def _stored(self, row: Sequence[Any]) -> StoredFile:
        about = self.about_of(row)
        return StoredFile(
            bucket=row[0],
            name=row[1],
            generation=row[2],
            metageneration=row[3],
            size=row[4],
            created=datetime.fromtimestamp(row[5] / 1e6, UTC),
            content_type=about["content_type"],
            content_encoding=about["content_encoding"],
            md5=about["md5"],
            metadata=about["metadata"],
        )

    def about_of(self, row: Sequence[Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.vault.sealer.open(row[6], f"files|{row[0]}|{row[1]}"))
        return found

    def path_of(self, held: str) -> Path:
        return bytes_path(self.folder, held)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock() * 1_000_000) / 1e6, UTC)

    @contextmanager
    def room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in NO_ROOM:
                raise NoRoomError(f"no room on the disk of `{self.folder}`: free some, then try again") from error
            raise


def _summed(pieces: Iterator[bytes], about: dict[str, Any]) -> Iterator[bytes]:
    """The pieces, summed up behind each write, while the disk takes it; what the file is knows the sum in the end."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in pieces:
        yield piece
        digest.update(piece)
    about["md5"] = b64encode(digest.digest()).decode()


def _about_of(stored: StoredFile, cache_control: str) -> dict[str, Any]:
    return {
        "content_type": stored.content_type,
        "content_encoding": stored.content_encoding,
        "cache_control": cache_control,
        "md5": stored.md5,
        "metadata": dict(stored.metadata),
    }


def row_told(row: Sequence[Any]) -> list[Any]:
    return [*row[2:6], text_of(row[6]), *row[7:9]]


def bytes_path(folder: Path, held: str) -> Path:
    """Where the bytes of a content lie in a folder."""
    return folder / "files" / held[-2:] / held


def name_of_bytes() -> str:
    """Sorted by the time of writing; the last two digits, which choose the folder, are random."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


def _refuse_versionless(expected: Expect | int) -> None:
    if expected is Expect.PRESENT:
        raise ValueError("a file can be expected absent, or in one generation, or in any state")
