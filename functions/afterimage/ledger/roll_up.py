"""Brings together what is kept apart for speed: buckets into their user's books, users' days into the operators' view.

Both move differences under preconditions, so running twice, or two at once, moves nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from afterimage.faults import is_transient
from afterimage.ledger import books
from afterimage.ledger.book_documents import TOUCHED, addition, books_touched_since, buckets
from afterimage.ledger.tombstones import revived
from afterimage.paths import (
    OPERATIONS_TOTALS,
    books_path,
    buckets_path,
    days_path,
    operations_day,
    published_path,
    user_of_bucket,
)
from afterimage.store.documents import (
    ConflictError,
    Document,
    DocumentReader,
    DocumentStore,
    Expect,
    Remove,
    Replace,
    UncertainError,
    Write,
)

logger = logging.getLogger("afterimage.ledger")
IsOver = Callable[[], bool]
_PUBLISHED: Final = (books.TOTALS, books.DAYS, books.STORAGE)
_SET_ASIDE: Final = (books.TOTALS, "users_set_aside")
_PAGE: Final = 300
_MOST_TRIES: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Emptied:
    """What one round over the buckets did."""

    moved: int
    faults: int = 0
    rest: str = ""
    """Where the next round begins, if this one's time was over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """How far the operators' view has come."""

    users: int
    faults: int = 0
    until: datetime
    """When the last user looked at was touched."""
    is_behind: bool = False
    """Whether time was over before everybody was looked at."""


@dataclass(frozen=True, kw_only=True)
class RollUp:
    """The two roll-ups over one store."""

    store: DocumentStore

    def empty_buckets(self, *, after: str = "", is_over: IsOver = lambda: False) -> Emptied:
        """Moves buckets into the books: one round over all there are, which begins behind the path `after`.

        A round whose time is over says where the next one has to begin, so that no user's buckets keep others waiting.
        One bucket that cannot be moved is reported, and the round goes on.
        """
        moved, faults, at, has_turned = 0, 0, after, not after
        while True:
            found = buckets(self.store, at, _PAGE)
            for bucket in found:
                if has_turned and after and bucket.path.split("/") > after.split("/"):
                    return Emptied(moved=moved, faults=faults)
                with _reported(f"bucket `{bucket.path}`") as report:
                    moved += self.empty_bucket(bucket)
                faults += report.has_fault
                at = bucket.path
                if is_over():
                    return Emptied(moved=moved, faults=faults, rest=at)
            if len(found) < _PAGE:
                if has_turned:
                    return Emptied(moved=moved, faults=faults)
                at, has_turned = "", True

    def empty_bucket(self, bucket: Document) -> bool:
        user = user_of_bucket(bucket.path)
        if user is None:
            raise ValueError(f"`{bucket.path}` is no place for a bucket: nothing of ours writes there; delete it")
        seen: Document | None = bucket
        for _ in range(_MOST_TRIES):
            if seen is None:
                return True
            main = self.store.read(books_path(user))
            moved = books.amounts_in(seen.fields)
            after = books.total([books.amounts_in(main.fields) if main else {}, moved])
            expected = main.version if main else Expect.ABSENT
            put = {**books.shown(after), **revived(main)}
            moving = addition(books_path(user), moved, put=put, expected=expected)
            try:
                self.store.commit([Remove(path=seen.path, expected=seen.version), moving])
            except (ConflictError, UncertainError):
                # What the bucket holds now has not been moved, whichever commit it was that changed it.
                seen = self.store.read(seen.path)
                continue
            return True
        return False

    def publish(self, *, since: datetime, is_over: IsOver = lambda: False) -> Published:
        """Brings the operators' view up to date with users touched since; says how far it has come.

        One user whose books cannot be published is reported, and the others are.
        """
        done, faults, mark = 0, 0, since
        while True:
            found = books_touched_since(self.store, mark, _PAGE)
            for user_books in found:
                with _reported(f"books `{user_books.path}`") as report:
                    self.publish_user(user_books.id)
                faults += report.has_fault
                done += 1
                last = user_books.fields[TOUCHED]
                # Past the beginning at least, or the next run would come no further than this one.
                if last > since and is_over():
                    return Published(users=done, faults=faults, until=last, is_behind=True)
            if len(found) < _PAGE or last == mark:
                return Published(users=done, faults=faults, until=last if found else mark)
            mark = last

    def publish_user(self, user: str) -> bool:
        """Adds what changed of one user since it was last published; says whether anything had."""
        path = published_path(user)
        for _ in range(_MOST_TRIES):
            try:
                before = self.store.read(path)
                main = self.store.read(books_path(user))
                held = books.amounts_in(main.fields, _PUBLISHED) if main else {}
                now = books.for_operators(held)
                was = books.amounts_in(before.fields, _PUBLISHED) if before else {}
                delta = books.difference(now, was)
                if not delta:
                    return False
                fields: dict[str, Any] = {scope: {} for scope in _PUBLISHED}
                for place, amount in now.items():
                    _set(fields, place, amount)
                expected = before.version if before else Expect.ABSENT
                writes: list[Write] = [Replace(path=path, fields=fields, expected=expected)]
                self.store.commit(writes + _operators_share(delta))
                if delta.get(_SET_ASIDE, 0) > 0:
                    why = books.beyond_belief(held)
                    logger.warning(
                        "books of `%s` are beyond belief (%s): the operators' view leaves them out", user, why
                    )
            except (ConflictError, UncertainError):
                continue
            return True
        return False


def held_by(reader: DocumentReader, user: str) -> books.Amounts:
    """Everything that a user's books hold: the live document, its buckets, the closed days."""
    main = reader.read(books_path(user))
    parts = [books.amounts_in(main.fields) if main else {}]
    parts += [books.amounts_in(bucket.fields) for bucket in every(reader, buckets_path(user))]
    for day in every(reader, days_path(user)):
        closed = books.amounts_in(day.fields, ["closed"])
        parts.append({(books.DAYS, day.id, *path[1:]): amount for path, amount in closed.items()})
    return books.total(parts)


def every(reader: DocumentReader, collection: str, after: str = "") -> Iterator[Document]:
    """All documents of one collection behind an id, page by page; a page is all that is held in memory."""
    while page := reader.page(collection, after, _PAGE):
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].id


@dataclass(slots=True)
class _Report:
    has_fault: bool = False


@contextmanager
def _reported(subject: str) -> Iterator[_Report]:
    """What one document is at fault with is logged, and keeps no other waiting; what passes by itself is raised."""
    report = _Report()
    try:
        yield report
    except Exception as error:
        if is_transient(error):
            raise
        report.has_fault = True
        logger.exception("%s cannot be rolled up and is passed over", subject)


def _operators_share(delta: books.Amounts) -> list[Write]:
    by_document: dict[str, books.Amounts] = {}
    for path, amount in delta.items():
        if path[0] == books.DAYS:
            by_document.setdefault(operations_day(path[1]), {})[books.TOTALS, path[2]] = amount
        else:
            by_document.setdefault(OPERATIONS_TOTALS, {})[path] = amount
    return [addition(path, amounts) for path, amounts in sorted(by_document.items())]


def _set(fields: dict[str, Any], path: books.Path, amount: int) -> None:
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = amount
