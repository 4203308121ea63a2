"""The folder of one machine: everything that is stored there, opened once and together."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from afterimage.faults import TransientError
from afterimage_client.database import Connect, Database, FileTransaction, StoreKey
from afterimage_server.store.durable_files import NO_ROOM, make_private_folder
from afterimage_server.store.erasures import Erasures
from afterimage_server.store.folder_files import FetchAway, FileChanged, FolderFiles, nothing_away
from afterimage_server.store.folder_keeping import FolderKeeping
from afterimage_server.store.journal import Journal
from afterimage_server.store.local_documents import Follow, LocalDocuments
from afterimage_server.store.rescue import Rescue, open_database
from afterimage_server.store.stored_values import StoredValues
from afterimage_server.store.vault import Vault, open_vault

FollowFile = Callable[[FileTransaction, FileChanged], None]


@dataclass(kw_only=True)
class Following:
    """Who hears of commits in their own transactions; set before the first one, by whoever composes the server."""

    documents: Follow = lambda _transaction, _changes: None
    files: FollowFile = lambda _transaction, _change: None
    fetch_away: FetchAway = nothing_away


@dataclass(frozen=True, kw_only=True)
class MachineFolder:
    """What is stored on one machine."""

    path: Path
    database: Database
    vault: Vault
    journal: Journal
    documents: LocalDocuments
    files: FolderFiles
    following: Following
    rescue: Rescue | None = None
    """What was done where the database was found broken as it was opened."""

    @property
    def erasures(self) -> Erasures:
        return Erasures(self.database)

    @property
    def keeping(self) -> FolderKeeping:
        return FolderKeeping(files=self.files)

    def tend_journal(self) -> None:
        """Has the disk take what it tells, and begins it anew where most of it tells of what is no more."""
        self.journal.flush()
        if self.journal.has_grown or self.journal.has_gap:
            with self.database.transaction() as transaction:
                self._rewrite(transaction)

    def forget_the_past(self) -> None:
        """Has nothing left of what was deleted: in the journal, for readers of the past, or in the database.

        Raises TransientError where a reader still needs the log of writes; what was deleted stands there until then.
        """
        with self.database.transaction() as transaction:
            self.documents.forget_moments(transaction)
            self._rewrite(transaction)
        # What was deleted is overwritten where it stood (`forgetful`); copies of it may lie in the free room of pages.
        self.database.rebuild()
        # The log of writes beside the database tells of both.
        [(is_busy, *_)] = self.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if is_busy:
            raise TransientError(f"`{self.database.path}` is being read, and its log cannot be emptied yet: ask again")

    def heal_journal(self) -> bool:
        """Begins the journal anew where a killed process left it behind the database, or ahead of it."""
        with self.database.transaction() as transaction:
            is_behind = self.journal.is_behind(transaction)
            if is_behind:
                self._rewrite(transaction)
        return is_behind

    def check_invariants(self) -> list[str]:
        return [*self.documents.check_invariants(), *self.keeping.check_invariants()]

    def close(self) -> None:
        self.journal.close()
        self.database.close()

    def _rewrite(self, transaction: FileTransaction) -> None:
        try:
            self.journal.rewrite(
                transaction, lambda reading: chain(self.documents.dump(reading), self.files.dump(reading))
            )
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            # Nobody is kept from making room: it is begun anew when there is some.
            self.journal.has_gap = True


def forgetful(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """A connection that overwrites what it deletes: nobody finds it in the file afterwards."""
    connection: sqlite3.Connection = sqlite3.connect(*arguments, **options)
    connection.execute("PRAGMA secure_delete=ON")
    return connection


def open_folder(
    path: Path,
    key: StoreKey | None = None,
    *,
    most_bytes: int | None = None,
    clock: Callable[[], float] = time.time,
    connect: Connect = forgetful,
) -> MachineFolder:
    """Opens a folder, or makes it; StoreError for a database that cannot be used."""
    make_private_folder(path)
    vault = open_vault(path, key)
    journal, following = Journal(path), Following()
    database, rescue = open_database(path, vault, journal, connect)
    documents = LocalDocuments(
        database,
        StoredValues(vault=vault),
        journal,
        follow=lambda transaction, changes: following.documents(transaction, changes),
        clock=clock,
    )
    files = FolderFiles(
        path,
        database,
        vault,
        journal,
        most_bytes=most_bytes,
        follow=lambda transaction, change: following.files(transaction, change),
        fetch_away=lambda file: following.fetch_away(file),
        clock=clock,
    )
    return MachineFolder(
        path=path,
        database=database,
        vault=vault,
        journal=journal,
        documents=documents,
        files=files,
        following=following,
        rescue=rescue,
    )
