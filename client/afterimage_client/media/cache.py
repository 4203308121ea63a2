"""Owns the folder of files: what is in it, what it may weigh, what goes first, and that rows and files agree.

A file that is pinned, whose document has changes that are not pushed, or that is not uploaded is never removed, however
full the folder is. A file is there before its row is and gone after it: a crash leaves a file without a row, which
`repair` removes, and never a row that promises what is not there.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from afterimage_client.database.errors import StoreFullError
from afterimage_client.database.file import FileTransaction, Row, Schema
from afterimage_client.media.folder import MARK, MediaFolder
from afterimage_client.queue.entries import EntryStatus
from afterimage_client.store.metadata import CACHE_SECONDS
from afterimage_client.store.store import MEDIA_ASSETS, Store

MOST_BYTES: Final = 1024**3
_ADDING: Final = ".adding-"
_FORGOTTEN_SECONDS: Final = 24 * 3600.0
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{1,8}")
_COLUMNS: Final = (
    "f.asset_id, f.storage_path, f.local_path, f.bytes, f.used, f.is_uploaded, f.expires_at,"
    " EXISTS (SELECT 1 FROM media_pins WHERE media_pins.asset_id = f.asset_id),"
    " EXISTS (SELECT 1 FROM local_metas WHERE doc_ref = 'mediaAssets/' || f.asset_id AND dirty = 1)"
)


def _create(transaction: FileTransaction) -> int:
    transaction.execute(
        """CREATE TABLE media_files (
          asset_id TEXT NOT NULL,
          storage_path TEXT NOT NULL,
          local_path TEXT NOT NULL UNIQUE,
          bytes INTEGER NOT NULL,
          used INTEGER NOT NULL,
          is_uploaded INTEGER NOT NULL,
          expires_at REAL NOT NULL,
          custom TEXT NOT NULL DEFAULT '{}',
          session BLOB,
          PRIMARY KEY (asset_id, storage_path)
        ) WITHOUT ROWID"""
    )
    transaction.execute("CREATE INDEX media_files_by_use ON media_files (used)")
    transaction.execute("CREATE TABLE media_pins (asset_id TEXT PRIMARY KEY) WITHOUT ROWID")
    return 1


MEDIA_SCHEMA: Final = Schema(name="media", version=1, steps={0: _create})


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedFile:
    """One file of the folder. `used` grows with each use: the smallest went unused for the longest time."""

    asset_id: str
    storage_path: str
    path: Path
    bytes: int
    used: int
    is_uploaded: bool
    is_pinned: bool
    is_dirty: bool
    expires_at: float

    @property
    def may_go(self) -> bool:
        return self.is_uploaded and not self.is_pinned and not self.is_dirty


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What a repair found: rows without their file, files without a row, and local files that were never uploaded."""

    forgotten: list[str] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def to_remove(files: Iterable[CachedFile], most_bytes: int) -> list[CachedFile]:
    """Which files go so that the rest weighs no more than `most_bytes`: the longest unused first (pure)."""
    known = sorted(files, key=lambda each: each.used)
    weight = sum(each.bytes for each in known)
    gone = []
    for each in known:
        if weight <= most_bytes:
            break
        if each.may_go:
            gone.append(each)
            weight -= each.bytes
    return gone


class MediaCache:
    """A store's files, in a folder beside it. A `folder` of the program's choice is kept in mind by the store."""

    def __init__(
        self,
        store: Store,
        folder: Path | str | None = None,
        *,
        most_bytes: int = MOST_BYTES,
        keep_seconds: float = CACHE_SECONDS,
    ) -> None:
        self._store = store
        self.most_bytes = most_bytes
        self._keep_seconds = keep_seconds
        store.database.bring(MEDIA_SCHEMA)
        self._place = MediaFolder(store, folder)
        self.folder = self._place.path

    # -- looking

    def files(self) -> list[CachedFile]:
        return [self._file(row) for row in self._rows("1 ORDER BY f.used")]

    def total_bytes(self) -> int:
        row = self._store.database.row("SELECT coalesce(sum(bytes), 0) FROM media_files")
        return int(row[0]) if row else 0

    def find(self, asset_id: str, storage_path: str) -> CachedFile | None:
        found = self._rows("f.asset_id = ? AND f.storage_path = ?", (asset_id, storage_path))
        return self._file(found[0]) if found else None

    def use(self, asset_id: str, storage_path: str) -> Path | None:
        """The file, noted as used just now; None where it is not here or its time is over."""
        with self._store.database.transaction() as transaction:
            found = self.find(asset_id, storage_path)
            if found is None or not found.path.exists():
                return None
            if found.is_uploaded and found.expires_at <= self._store.clock.now():
                return None
            transaction.execute(
                "UPDATE media_files SET used = (SELECT max(used) + 1 FROM media_files)"
                " WHERE asset_id = ? AND storage_path = ?",
                (asset_id, storage_path),
            )
            return found.path

    def custom(self, asset_id: str, storage_path: str) -> dict[str, str]:
        found = self._store.database.row(
            "SELECT custom FROM media_files WHERE asset_id = ? AND storage_path = ?", (asset_id, storage_path)
        )
        return dict(json.loads(found[0])) if found else {}

    # -- putting in

    def target(self, asset_id: str, storage_path: str) -> Path:
        """Where the file of a place lies; two assets never share a file."""
        name = hashlib.sha256(f"{asset_id}\0{storage_path}".encode()).hexdigest()
        extension = Path(storage_path).suffix
        return self.folder / name[:2] / (name + (extension if _EXTENSION.fullmatch(extension) else ""))

    def note_downloaded(self, transaction: FileTransaction, asset_id: str, storage_path: str, size: int) -> Path:
        """The file lies at its target, whole and verified. A file of ours that is not uploaded stands against it."""
        target = self.target(asset_id, storage_path)
        ours = self.find(asset_id, storage_path)
        if ours is not None and not ours.is_uploaded:
            transaction.after_commit(partial(_unlink, [target]))
            return ours.path
        self._note(transaction, asset_id, storage_path, target, size, is_uploaded=True, custom={})
        return target

    def claim(self) -> None:
        """Makes the folder this store's, ahead of its first file."""
        self._place.claim()

    def prepare(self, source: bytes | Path | str) -> Path:
        """Copies bytes into the folder under a name of no meaning; `add` gives them theirs."""
        if not isinstance(source, bytes | str | os.PathLike):  # a number would be an open file of somebody else's
            raise ValueError(f"a `{type(source).__name__}` is no file to add: give bytes, or the path of a file")
        adding = self.folder / f"{_ADDING}{secrets.token_hex(8)}"
        try:
            self.claim()
            if isinstance(source, bytes):
                adding.write_bytes(source)
            else:
                shutil.copyfile(source, adding)
        except OSError as error:
            adding.unlink(missing_ok=True)
            if not is_full(error):
                raise
            raise StoreFullError(f"no room for the file in `{self.folder}`: free some, then add it again") from error
        return adding

    def drop_part(self, asset_id: str, storage_path: str) -> None:
        """Forgets what came of a file that has no room: it would be in its own way."""
        target = self.target(asset_id, storage_path)
        if target.parent.exists():
            _unlink([part for part in target.parent.glob(".*.part") if _is_part_of(part, target)])

    def add(
        self, transaction: FileTransaction, asset_id: str, storage_path: str, prepared: Path, custom: Mapping[str, str]
    ) -> Path:
        """Takes a file of this machine's in. It is not uploaded, so it stays until it is.

        Its name is its own, so that no download and no earlier upload of the same place meets its bytes.
        """
        named = self.target(asset_id, storage_path)
        target = named.with_name(f"{secrets.token_hex(4)}-{named.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        size = prepared.stat().st_size
        # The row first: what cannot be noted leaves no file, and a crash between the two leaves no row.
        self._note(transaction, asset_id, storage_path, target, size, is_uploaded=False, custom=custom)
        prepared.replace(target)
        return target

    def note_uploaded(self, transaction: FileTransaction, asset_id: str, storage_path: str) -> None:
        transaction.execute(
            "UPDATE media_files SET is_uploaded = 1, session = NULL, expires_at = ?"
            " WHERE asset_id = ? AND storage_path = ?",
            (self._store.clock.now() + self._keep_seconds, asset_id, storage_path),
        )

    def discard_upload(self, entry_id: int) -> bool:
        """Gives an upload up that waits or has failed; False where there is none of this id, or it runs.

        Its file is then no copy of anything: nobody is given it as one, and it goes with what has expired.
        """
        with self._store.database.transaction() as transaction:
            transfer = self._store.storage_queue.transfer(entry_id)
            if transfer is None or transfer.operation != "upload" or not self._store.queue.discard(entry_id):
                return False
            file = self.find(transfer.asset_id, transfer.storage_path)
            # Added again meanwhile, the place has another file, which its own entry will bring up.
            if file is not None and str(file.path) == transfer.local_path:
                transaction.execute(
                    "UPDATE media_files SET is_uploaded = 1, session = NULL, expires_at = ?"
                    " WHERE asset_id = ? AND storage_path = ?",
                    (self._store.clock.now(), transfer.asset_id, transfer.storage_path),
                )
            return True

    def session(self, asset_id: str, storage_path: str) -> str | None:
        """The upload that was begun, so that another run goes on with it. Its address is a secret, so it is sealed."""
        found = self._store.database.row(
            "SELECT session FROM media_files WHERE asset_id = ? AND storage_path = ?", (asset_id, storage_path)
        )
        if found is None or found[0] is None:
            return None
        return self._store.sealer.open(found[0], f"media|{asset_id}|{storage_path}")

    def keep_session(self, asset_id: str, storage_path: str, session: str | None) -> None:
        place = f"media|{asset_id}|{storage_path}"
        with self._store.database.transaction() as transaction:
            transaction.execute(
                "UPDATE media_files SET session = ? WHERE asset_id = ? AND storage_path = ?",
                (None if session is None else self._store.sealer.seal(session, place), asset_id, storage_path),
            )

    # -- what stays, what goes

    def pin(self, asset_id: str) -> None:
        """Keeps the files of an asset, whether they are here yet or not."""
        with self._store.database.transaction() as transaction:
            transaction.execute("INSERT OR IGNORE INTO media_pins VALUES (?)", (asset_id,))

    def unpin(self, asset_id: str) -> None:
        with self._store.database.transaction() as transaction:
            transaction.execute("DELETE FROM media_pins WHERE asset_id = ?", (asset_id,))

    def make_room(self) -> list[CachedFile]:
        """Removes what went unused for the longest time until the folder is light enough."""
        with self._store.database.transaction() as transaction:
            return self._remove(transaction, to_remove(self.files(), self.most_bytes))

    def remove_expired(self) -> list[CachedFile]:
        now = self._store.clock.now()
        with self._store.database.transaction() as transaction:
            return self._remove(transaction, [each for each in self.files() if each.may_go and each.expires_at <= now])

    def clear(self) -> list[CachedFile]:
        """Removes everything that may go."""
        with self._store.database.transaction() as transaction:
            return self._remove(transaction, [each for each in self.files() if each.may_go])

    def repair(self) -> RepairReport:
        """Makes rows and files agree: after a crash, or after somebody else was in the folder."""
        self.claim()
        report = RepairReport()
        with self._store.database.transaction() as transaction:
            known = set()
            for each in self.files():
                known.add(each.path)
                if each.path.exists() and each.path.stat().st_size == each.bytes:
                    continue
                if each.is_uploaded:
                    known.discard(each.path)
                    self._forget(transaction, each)
                    report.forgotten.append(each.storage_path)
                else:
                    report.lost.append(each.storage_path)
            for path in self._strangers(known):
                path.unlink(missing_ok=True)
                report.removed.append(path)
        return report

    def check_invariants(self) -> list[str]:
        """Every fault, named."""
        files = self.files()
        faults = [f"`{each.storage_path}` is not at `{each.path}`" for each in files if not each.path.exists()]
        faults += [
            f"`{each.path}` does not weigh {each.bytes}"
            for each in files
            if each.path.exists() and each.path.stat().st_size != each.bytes
        ]
        faults += [f"`{path}` has no row" for path in self._strangers({each.path for each in files})]
        return faults

    # -- inside

    def _strangers(self, known: set[Path]) -> list[Path]:
        """Files that nobody knows: no row, and no transfer that is to bring them or is half-way.

        In a folder that holds more than this store's files, nobody can tell: a program may have named its pictures'.
        """
        if not self._place.is_ours():
            return []
        awaited = {
            self.target(each.asset_id, each.storage_path)
            for each in self._store.storage_queue.transfers()
            if each.operation == "download" and each.status is not EntryStatus.COMPLETED
        }
        found = []
        for path in sorted(self.folder.rglob("*")):
            if path.is_dir() or path in known or path in awaited or path.name.startswith(MARK):
                continue
            if path.name.endswith(".part") and any(_is_part_of(path, target) for target in awaited):
                continue
            if path.name.startswith(_ADDING) and path.stat().st_mtime > self._store.clock.now() - _FORGOTTEN_SECONDS:
                continue
            found.append(path)
        return found

    def _remove(self, transaction: FileTransaction, files: Sequence[CachedFile]) -> list[CachedFile]:
        for each in files:
            self._forget(transaction, each)
        transaction.after_commit(partial(_unlink, [each.path for each in files]))
        return list(files)

    def _forget(self, transaction: FileTransaction, file: CachedFile) -> None:
        transaction.execute(
            "DELETE FROM media_files WHERE asset_id = ? AND storage_path = ?", (file.asset_id, file.storage_path)
        )
        if self._store.get_local_path(file.asset_id) == str(file.path):
            self._store.metadata.forget_file(MEDIA_ASSETS, file.asset_id)

    def _note(
        self,
        transaction: FileTransaction,
        asset_id: str,
        storage_path: str,
        target: Path,
        size: int,
        *,
        is_uploaded: bool,
        custom: Mapping[str, str],
    ) -> None:
        before = self.find(asset_id, storage_path)
        if before is not None and before.path != target:
            transaction.after_commit(partial(_unlink, [before.path]))
        transaction.execute(
            "INSERT OR REPLACE INTO media_files (asset_id, storage_path, local_path, bytes, used, is_uploaded,"
            " expires_at, custom) VALUES (?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM media_files), ?, ?, ?)",
            (
                asset_id,
                storage_path,
                str(target.relative_to(self.folder)),
                size,
                int(is_uploaded),
                self._store.clock.now() + self._keep_seconds,
                json.dumps(dict(custom)),
            ),
        )

    def _rows(self, where: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._store.database.rows(f"SELECT {_COLUMNS} FROM media_files f WHERE {where}", parameters)

    def _file(self, row: Row) -> CachedFile:
        return CachedFile(
            asset_id=row[0],
            storage_path=row[1],
            path=self.folder / row[2],
            bytes=row[3],
            used=row[4],
            is_uploaded=bool(row[5]),
            expires_at=row[6],
            is_pinned=bool(row[7]),
            is_dirty=bool(row[8]),
        )


def is_full(error: Exception) -> bool:
    """Whether the disk has no room, or the user may not have any more of it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _is_part_of(part: Path, target: Path) -> bool:
    return part.parent == target.parent and part.name.startswith(f".{target.name}.")
