"""One SQLite file: its connections, its transactions, and the migrations that bring it to this version.

Everything is `synchronous=FULL` in WAL: what was committed survives a power loss. Several processes may hold the same
file: each transaction takes the write lock when it begins, so none fails half-way for another's sake.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from afterimage_client.database.errors import (
    InvalidDocumentError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreVersionError,
)

MEMORY: Final = ":memory:"
BUSY_SECONDS: Final = 30.0
_log = logging.getLogger("afterimage_client.database")
Row = tuple[Any, ...]
Connect = Callable[..., sqlite3.Connection]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of one part, and the way to them from every version that was ever shipped."""

    name: str
    version: int
    steps: Mapping[int, Callable[[FileTransaction], int]]
    """From a version to the next one that a step leads to; 0 is a file without these tables."""
    found: Callable[[FileTransaction], int] = lambda _: 0
    """The version of a file that has no row for this part: a file of before the rows."""


class FileTransaction:
    """What is changed together; `after_commit` holds what follows once it cannot be undone any more."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._following: list[Callable[[], None]] = []

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, parameters)

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement for each row; without rows, nothing."""
        if rows:
            self._connection.executemany(statement, rows)

    def row(self, statement: str, parameters: Sequence[Any] = ()) -> Row | None:
        found: Row | None = self._connection.execute(statement, parameters).fetchone()
        return found

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(statement, parameters).fetchall()

    def after_commit(self, follow: Callable[[], None]) -> None:
        self._following.append(follow)

    def run_following(self) -> None:
        """What is committed stays so: one who fails on hearing of it takes nothing back, and the others hear too."""
        for follow in self._following:
            try:
                follow()
            except Exception:  # the caller's own code, which the write is not to answer for
                _log.exception("somebody who was told of a write failed")


class Database:
    """A file that any thread of any process may use; one transaction at a time writes to it."""

    def __init__(
        self,
        path: Path | str,
        schemas: Sequence[Schema],
        *,
        busy_seconds: float = BUSY_SECONDS,
        connect: Connect = sqlite3.connect,
    ) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise StoreError(f"`{path!r}` is no path of a store: give the name of a file")
        self.path = str(path)
        self._busy_seconds = busy_seconds
        self._connect = connect
        self._writing = threading.RLock()
        self._reading = threading.Lock()
        self._current: FileTransaction | None = None
        self.is_closed = False
        self._writer = self._open()
        # Readers get a connection of their own, so that they never wait for another thread's disk.
        self._reader: sqlite3.Connection | None = None
        try:
            self._migrate(schemas)
            if self.path != MEMORY:
                self._reader = self._open()
        except BaseException:
            self._writer.close()
            raise

    def close(self) -> None:
        with self._writing, self._reading:
            if self._reader is not None:
                self._reader.close()
            self._writer.close()
            self.is_closed = True

    def bring(self, schema: Schema) -> None:
        """Makes the tables of a further part, or brings them to this version."""
        self._migrate((schema,))

    @contextmanager
    def transaction(self) -> Iterator[FileTransaction]:
        """All or nothing. A transaction inside a transaction of the same thread is part of it."""
        with self._writing:
            if self._current is not None:
                yield self._current
                return
            with _translated(self.path):
                self._writer.execute("BEGIN IMMEDIATE")
            transaction = self._current = FileTransaction(self._writer)
            try:
                with _translated(self.path):
                    yield transaction
                    self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._current = None
        transaction.run_following()

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Reads what is committed; inside a transaction of this thread, what it has written so far."""
        if self._reader is None or self._is_writing_here():
            with self._writing, _translated(self.path):
                return self._writer.execute(statement, parameters).fetchall()
        with self._reading, _translated(self.path):
            return self._reader.execute(statement, parameters).fetchall()

    def row(self, statement: str, parameters: Sequence[Any] = ()) -> Row | None:
        found = self.rows(statement, parameters)
        return found[0] if found else None

    def rebuild(self) -> None:
        """Writes the file anew, with what is in it and nothing else.

        SQLite moves rows between pages as they grow and go, and leaves copies of them in the room that is free, which
        no setting has overwritten when the rows themselves are deleted.
        """
        with self._writing, _translated(self.path):
            self._writer.execute("VACUUM")

    def data_version(self) -> int:
        """A number that another one takes the place of whenever anybody else commits to the file."""
        found = self.row("PRAGMA data_version")
        return int(found[0]) if found else 0

    def fault_of_file(self) -> str | None:
        """What SQLite itself finds wrong with the file, if anything."""
        found = self.row("PRAGMA quick_check")
        return None if found is None or found[0] == "ok" else str(found[0])

    # -- inside

    def _is_writing_here(self) -> bool:
        # Only the thread that holds the lock can take it again without waiting while a transaction is open.
        if not self._writing.acquire(blocking=False):
            return False
        try:
            return self._current is not None
        finally:
            self._writing.release()

    def _open(self) -> sqlite3.Connection:
        if self.path != MEMORY:
            _make_private(self.path)
        with _translated(self.path):
            connection = self._connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=self._busy_seconds
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _migrate(self, schemas: Sequence[Schema]) -> None:
        if {schema.name: schema.version for schema in schemas}.items() <= self._versions_of_rows().items():
            return
        with self.transaction() as transaction:
            transaction.execute(
                "CREATE TABLE IF NOT EXISTS schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"
            )
            for schema in schemas:
                _bring_forward(schema, transaction, self.path)

    def _versions_of_rows(self) -> dict[str, int]:
        if self._writer.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'").fetchone() is None:
            return {}
        return dict(self._writer.execute("SELECT part, version FROM schema_versions").fetchall())


def _make_private(path: str) -> None:
    """What people write is for their eyes: a new file is its owner's, and SQLite gives its neighbours the same mode."""
    with contextlib.suppress(OSError, ValueError):  # it is there, or SQLite says what is wrong with its place
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _bring_forward(schema: Schema, transaction: FileTransaction, path: str) -> None:
    stored = transaction.row("SELECT version FROM schema_versions WHERE part = ?", (schema.name,))
    version = int(stored[0]) if stored else schema.found(transaction)
    if version > schema.version:
        raise StoreVersionError(
            f"`{path}` holds version {version} of `{schema.name}`, this library knows {schema.version}:"
            " update `afterimage-client`"
        )
    while version < schema.version:
        version = schema.steps[version](transaction)
    transaction.execute(
        "INSERT INTO schema_versions VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET version = excluded.version",
        (schema.name, version),
    )


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise StoreBusyError(f"`{path}` is held by another process: end it, or wait longer") from error
        if error.sqlite_errorname == "SQLITE_FULL":
            raise StoreFullError(
                f"no room on the disk of `{path}`: free some, then try again; nothing is lost"
            ) from error
        raise StoreError(f"`{path}` cannot be used: {error}") from error
    except sqlite3.ProgrammingError as error:
        if "closed" in str(error):
            raise StoreError(f"`{path}` was closed: open it again") from error
        if "binding parameter" in str(error):
            raise InvalidDocumentError(f"`{path}` keeps no such value: {error}") from error
        raise
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            raise StoreError(f"`{path}` is no store, or a broken one: {error}") from error
        raise
