"""Whom this folder has erased: work that began before the end of an erasure writes nothing of that user afterwards.

The end of an erasure is a row of the database, and whoever writes looks at it in the transaction that would write: no
moment lies between the two. Work that begins afterwards is of a user who has come back. What a user writes while the
erasure runs goes with everything else: the erasure looks at every place once more when nobody can come after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from afterimage.drive_paths import DRIVE, DRIVE_BEGUN, DRIVE_LINKS, DRIVE_QUEUE
from afterimage.generations.records import ARCHIVE_OF
from afterimage.ledger.tombstones import KEPT_FOR
from afterimage.paths import BOOKS, LIMITS, OWNED_DOCUMENTS, OWNED_FILES, PUBLISHED
from afterimage.store.documents import Change, ErasedError, Remove, Write
from afterimage_client.database import Database, FileTransaction
from afterimage_server.store.tables import noted, number_noted

_ENDED: Final = "erasures ended"
_OF_ONE_USER: Final = frozenset({*OWNED_DOCUMENTS, BOOKS, PUBLISHED, DRIVE, DRIVE_LINKS} - {LIMITS})
"""Collections whose documents are named by their user. Whoever asks is counted, erased or not."""
_OF_ALL: Final = frozenset({DRIVE_BEGUN, DRIVE_QUEUE})
"""Collections of everybody's documents, which say whose they are."""
_began: ContextVar[int | None] = ContextVar("erasures ended when this work began", default=None)


class Erasures:
    """The erasures of one folder."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def work(self) -> Iterator[None]:
        """What is written within is of work that begins now: a request, a task, a round."""
        found = self._database.row("SELECT value FROM machine WHERE name = ?", (_ENDED,))
        token = _began.set(int(found[0]) if found else 0)
        try:
            yield
        finally:
            _began.reset(token)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The erasure itself, which writes what is left of a user."""
        token = _began.set(None)
        try:
            yield
        finally:
            _began.reset(token)

    def end(self, user: str, now: float) -> None:
        """From here on nothing of the user's is written by what has begun before."""
        with self._database.transaction() as transaction:
            number = number_noted(transaction, _ENDED) + 1
            noted(transaction, _ENDED, number)
            transaction.execute("INSERT OR REPLACE INTO erasures VALUES (?, ?, ?)", (user, number, now))

    def forget_old(self, now: float) -> None:
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM erasures WHERE at < ?", (now - KEPT_FOR.total_seconds(),))

    def is_erased(self, transaction: FileTransaction, user: str) -> bool:
        """Whether the user was erased here, not long ago."""
        return transaction.row("SELECT 1 FROM erasures WHERE user = ?", (user,)) is not None

    def refuse(self, transaction: FileTransaction, users: Iterable[str]) -> None:
        """ErasedError where this work began before one of these users was erased."""
        began = _began.get()
        if began is None:
            return
        for user in set(users):
            ended = transaction.row("SELECT number FROM erasures WHERE user = ?", (user,))
            if ended is not None and ended[0] > began:
                raise ErasedError(f"`{user}` was erased while this was under way")


def user_of_document(path: str) -> str | None:
    """Whose document stands at a path, where the path says it."""
    root, _, rest = path.partition("/")
    return rest.partition("/")[0] if root in _OF_ONE_USER else None


def users_of_writes(writes: Iterable[Write]) -> Iterator[str]:
    """Whose documents are written; what is removed is nobody's any more."""
    for write in writes:
        if isinstance(write, Remove):
            continue
        if named := user_of_document(write.path):
            yield named
        elif write.path.partition("/")[0] in _OF_ALL:
            user = (write.put if isinstance(write, Change) else write.fields).get("uid")
            if isinstance(user, str):
                yield user


def users_of_file(name: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    """Whose file it is, by its name or by what the worker of a generation wrote on it."""
    root, _, rest = name.partition("/")
    if root in OWNED_FILES:
        yield rest.partition("/")[0]
    elif user := str(metadata.get(ARCHIVE_OF, "")).partition("/")[0]:
        yield user
