"""Brings together what is kept apart for speed: buckets into their user's books, users' days into the operators' view.

Both move differences under preconditions, so running twice, or two at once, moves nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from afterimage.ledger import books
from afterimage.ledger.bookkeeper import books_path
from afterimage.ledger.stores import (
    Add,
    ConflictError,
    Expect,
    LedgerStore,
    Reader,
    Remove,
    Replace,
    Stored,
    UncertainError,
    Write,
)
from afterimage.ledger.tombstones import revived

OPERATIONS_TOTALS: Final = "operations/totals"
_PUBLISHED: Final = (books.TOTALS, books.DAYS, books.STORAGE)
_PAGE: Final = 300
_MOST_TRIES: Final = 8


def operations_day(day: str) -> str:
    return f"operations/days/totals/{day}"


def published_path(user: str) -> str:
    """Where it is kept how much of a user's live books the operators' view has been given."""
    return f"usage/{user}/published/operations"


@dataclass(frozen=True, kw_only=True)
class RollUp:
    """The two roll-ups over one store."""

    store: LedgerStore

    def empty_buckets(self, *, most: int = 10_000) -> int:
        """Moves buckets into the books; returns how many were moved. Those that keep changing wait for the next run."""
        moved = 0
        while moved < most:
            found = self.store.buckets(_PAGE)
            gained = sum(self.empty_bucket(bucket) for bucket in found)
            moved += gained
            if len(found) < _PAGE or not gained:
                break
        return moved

    def empty_bucket(self, bucket: Stored) -> bool:
        user = bucket.path.split("/")[1]
        seen: Stored | None = bucket
        for _ in range(_MOST_TRIES):
            if seen is None:
                return True
            main = self.store.read(books_path(user))
            moved = books.amounts_in(seen.fields)
            after = books.total([books.amounts_in(main.fields) if main else {}, moved])
            expected = main.version if main else Expect.ABSENT
            put = {**books.shown(after), **revived(main)}
            addition = Add(path=books_path(user), amounts=moved, put=put, expected=expected)
            try:
                self.store.commit([Remove(path=seen.path, expected=seen.version), addition])
            except (ConflictError, UncertainError):
                # What the bucket holds now has not been moved, whichever commit it was that changed it.
                seen = self.store.read(seen.path)
                continue
            return True
        return False

    def publish(self, *, since: datetime, most: int = 10_000) -> tuple[int, datetime]:
        """Brings the operators' view up to date with users touched since; returns how many, and where to go on."""
        done, mark = 0, since
        while done < most:
            found = self.store.touched_since(mark, _PAGE)
            for user_books in found:
                self.publish_user(user_books.path.split("/")[1])
            done += len(found)
            last = found[-1].fields["touched_at"] if found else mark
            if len(found) < _PAGE or last == mark:
                return done, last
            mark = last
        return done, mark

    def publish_user(self, user: str) -> bool:
        """Adds what changed of one user since it was last published; says whether anything had."""
        path = published_path(user)
        for _ in range(_MOST_TRIES):
            try:
                before = self.store.read(path)
                main = self.store.read(books_path(user))
                now = books.amounts_in(main.fields, _PUBLISHED) if main else {}
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
            except (ConflictError, UncertainError):
                continue
            return True
        return False


def held_by(reader: Reader, user: str) -> books.Amounts:
    """Everything that a user's books hold: the live document, its buckets, the closed days."""
    main = reader.read(books_path(user))
    parts = [books.amounts_in(main.fields) if main else {}]
    parts += [books.amounts_in(bucket.fields) for bucket in every(reader, f"usage/{user}/buckets")]
    for day in every(reader, f"usage/{user}/days"):
        closed = books.amounts_in(day.fields, ["closed"])
        name = day.path.rpartition("/")[2]
        parts.append({(books.DAYS, name, *path[1:]): amount for path, amount in closed.items()})
    return books.total(parts)


def every(reader: Reader, collection: str, after: str = "") -> Iterator[Stored]:
    """All documents of one collection behind an id, page by page; a page is all that is held in memory."""
    while page := reader.page(collection, after, _PAGE):
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].path.rpartition("/")[2]


def _operators_share(delta: books.Amounts) -> list[Write]:
    by_document: dict[str, books.Amounts] = {}
    for path, amount in delta.items():
        if path[0] == books.DAYS:
            by_document.setdefault(operations_day(path[1]), {})[books.TOTALS, path[2]] = amount
        else:
            by_document.setdefault(OPERATIONS_TOTALS, {})[path] = amount
    return [Add(path=path, amounts=amounts) for path, amounts in sorted(by_document.items())]


def _set(fields: dict[str, Any], path: books.Path, amount: int) -> None:
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = amount
