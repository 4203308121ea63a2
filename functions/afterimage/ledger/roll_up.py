"""Brings together what is kept apart for speed: buckets into their user's books, users' days into the operators' view.

Both move differences under preconditions, so running twice, or two at once, moves nothing twice. Each writes a document
that many share once for many of them: a user's books for all buckets of that user, the operators' view for a batch of
users, and that at most once a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from afterimage.faults import TransientError, is_transient
from afterimage.ledger import books
from afterimage.ledger.book_documents import TOUCH_LANES, TOUCHED, addition, books_touched_since, buckets
from afterimage.ledger.tombstones import EXPIRES_AT, is_tombstone, revived
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
    MOST_WRITES,
    Change,
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
ERASED: Final = "erased"
"""In the operators' view: what users who are erased had spent, beside the sums of those who are there."""
_SET_ASIDE: Final = (books.TOTALS, "users_set_aside")
_PAGE: Final = 300
_TOGETHER: Final = 200
"""So many users' changes go to the operators' view in one commit, beside the days that they concern."""
_APART_SECONDS: Final = 1.0
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
    until: tuple[datetime, ...]
    """By lane: when the last user looked at was touched."""
    is_behind: bool = False
    """Whether time was over before everybody was looked at."""


@dataclass(kw_only=True)
class RollUp:
    """The two roll-ups over one store."""

    store: DocumentStore
    together: int = _TOGETHER
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    _published: float | None = field(default=None, init=False)
    """When the operators' view was last written from here."""

    def empty_buckets(self, *, after: str = "", is_over: IsOver = lambda: False) -> Emptied:
        """Moves buckets into the books: one round over all there are, which begins behind the path `after`.

        A round whose time is over says where the next one has to begin, so that no user's buckets keep others waiting.
        Buckets that cannot be moved are reported, and the round goes on.
        """
        moved, faults, at, has_turned = 0, 0, after, not after
        while True:
            page = buckets(self.store, at, _PAGE)
            found = [each for each in page if not (has_turned and after and each.path.split("/") > after.split("/"))]
            for user, its in groupby(found, key=lambda bucket: user_of_bucket(bucket.path)):
                of_user = list(its)
                with _reported(f"buckets from `{of_user[0].path}`") as report:
                    moved += self.empty(user, of_user)
                faults += report.has_fault
                at = of_user[-1].path
                if is_over():
                    return Emptied(moved=moved, faults=faults, rest=at)
            if len(found) < len(page):
                return Emptied(moved=moved, faults=faults)
            if len(page) < _PAGE:
                if has_turned:
                    return Emptied(moved=moved, faults=faults)
                at, has_turned = "", True

    def empty(self, user: str | None, found: Sequence[Document]) -> int:
        """Moves buckets of one user into that user's books, in one write; says how many were moved."""
        if user is None:
            raise ValueError(f"`{found[0].path}` is no place for a bucket: nothing of ours writes there; delete it")
        seen = list(found)
        for _ in range(_MOST_TRIES):
            if not seen:
                return len(found)
            main = self.store.read(books_path(user))
            if main is not None and is_tombstone(main):
                seen = self._let_go(user, main)
                continue
            moved = books.total(books.amounts_in(bucket.fields) for bucket in seen)
            after = books.total([books.amounts_in(main.fields) if main else {}, moved])
            expected = main.version if main else Expect.ABSENT
            put = {**books.shown(after), **revived(main)}
            moving = addition(books_path(user), moved, put=put, expected=expected)
            try:
                gone: list[Write] = [Remove(path=bucket.path, expected=bucket.version) for bucket in seen]
                self.store.commit([*gone, moving])
            except (ConflictError, UncertainError):
                # What the buckets hold now has not been moved, whichever commit it was that changed them.
                again = self.store.read_many([bucket.path for bucket in seen])
                seen = [bucket for bucket in again if bucket is not None]
                continue
            return len(found)
        return 0

    def _let_go(self, user: str, main: Document) -> list[Document]:
        """Deletes what was booked beside a tombstone, by one who was at work while the user was erased.

        Whoever comes back is booked into the books themselves first. Returns what is left, of one who has just come.
        """
        untouched = Change(path=main.path, put={EXPIRES_AT: main.fields[EXPIRES_AT]}, expected=main.version)
        found = self.store.paths_below(main.path, MOST_WRITES - 1)
        with suppress(ConflictError, UncertainError):
            self.store.commit([untouched, *(Remove(path=path, expected=Expect.ANYTHING) for path in found)])
        return self.store.page(buckets_path(user), "", _PAGE)

    def publish(self, *, since: datetime | Sequence[datetime], is_over: IsOver = lambda: False) -> Published:
        """Brings the operators' view up to date with users touched since, by lane; says how far it has come.

        One user whose books cannot be published is reported, and the others are.
        """
        begun = [since] * len(TOUCH_LANES) if isinstance(since, datetime) else list(since)
        marks, done, faults, batch, comes_further = list(begun), 0, 0, dict[str, tuple[int, Document]](), False

        def publish_batch() -> None:
            nonlocal done, faults, comes_further
            faults += self._publish_together([main for _, main in batch.values()])
            done += len(batch)
            for lane, main in batch.values():
                marks[lane] = max(marks[lane], main.fields[TOUCHED])
                # Past a beginning at least, or the next run would come no further than this one.
                comes_further |= marks[lane] > begun[lane]
            batch.clear()

        for lane, main in self._touched(begun):
            batch[main.id] = (lane, main)
            if len(batch) >= self.together:
                publish_batch()
                if comes_further and is_over():
                    return Published(users=done, faults=faults, until=tuple(marks), is_behind=True)
        if batch:
            publish_batch()
        return Published(users=done, faults=faults, until=tuple(marks))

    def _touched(self, since: Sequence[datetime]) -> Iterator[tuple[int, Document]]:
        """Books touched since, a page of each lane in turn: no lane waits for all of another."""
        # The lane that is furthest behind comes first, also where there is time for one page alone.
        places = {lane: (since[lane], "") for lane in sorted(range(len(since)), key=since.__getitem__)}
        while places:
            for lane, (moment, last_id) in list(places.items()):
                page = books_touched_since(self.store, TOUCH_LANES[lane], moment, _PAGE, after_id=last_id)
                for main in page:
                    yield lane, main
                if len(page) < _PAGE:
                    del places[lane]
                else:
                    places[lane] = (page[-1].fields[TOUCHED], page[-1].id)

    def _publish_together(self, found: Sequence[Document]) -> int:
        """Adds what changed of several users in one commit, or of each by itself; says how many are at fault."""
        faults, shares = 0, list[_Share]()
        befores = self.store.read_many([published_path(main.id) for main in found])
        for main, before in zip(found, befores, strict=True):
            with _reported(f"books `{main.path}`") as report:
                shares.append(_share(main.id, main, before))
            faults += report.has_fault
        shares = [share for share in shares if share.moves]
        if not shares or self._is_published([*(share.write for share in shares), *_operators_share(shares)]):
            return faults
        for share in shares:
            with _reported(f"books of `{share.user}`") as report:
                self._keep_apart()
                self.publish_user(share.user)
            faults += report.has_fault
        return faults

    def _is_published(self, writes: Sequence[Write]) -> bool:
        if len(writes) > MOST_WRITES:
            # So many days: what was found of years ago is booked under the days on which it was made.
            return False
        self._keep_apart()
        try:
            self.store.commit(writes)
        except (ConflictError, UncertainError):
            return False
        except Exception as error:
            if is_transient(error):
                raise
            # One user's books are at fault; which, their own commits tell.
            logger.exception("%d changes of the operators' view are published user by user", len(writes))
            return False
        return True

    def _keep_apart(self) -> None:
        now = self.monotonic()
        if self._published is not None and now < self._published + _APART_SECONDS:
            self.wait(self._published + _APART_SECONDS - now)
        self._published = self.monotonic()

    def publish_user(self, user: str) -> bool:
        """Adds what changed of one user since it was last published; says whether anything had."""
        for _ in range(_MOST_TRIES):
            try:
                before = self.store.read(published_path(user))
                share = _share(user, self.store.read(books_path(user)), before)
                if not share.moves:
                    return False
                self.store.commit([share.write, *_operators_share([share])])
            except (ConflictError, UncertainError):
                continue
            return True
        return False

    def withdraw(self, user: str) -> None:
        """Takes what the books of a user who is erased gave to the operators' view out of its sums.

        What was spent stays known, as `erased`, beside the sums of those who are there; what was stored is gone.
        """
        tries = 0
        while tries < _MOST_TRIES:
            before = self.store.read(published_path(user))
            if before is None:
                return
            held = books.amounts_in(before.fields, _PUBLISHED)
            by_document = _by_document(held)
            # Years of a user have more days than one commit takes.
            taken = sorted(by_document)[: MOST_WRITES - 1]
            rest = {path: amount for path, amount in held.items() if _document_of(path) not in taken}
            left: Write = Remove(path=before.path, expected=before.version)
            if rest:
                left = Replace(path=before.path, fields=_published_fields(rest), expected=before.version)
            try:
                self.store.commit([left, *(addition(path, _as_erased(by_document[path])) for path in taken)])
            except (ConflictError, UncertainError):
                tries += 1
        raise TransientError(f"`{published_path(user)}` is contended; try again")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Share:
    """What one user's books add to the operators' view, and how that is noted."""

    user: str
    moves: dict[str, books.Amounts]
    """By document of the view."""
    write: Replace


def _share(user: str, main: Document | None, before: Document | None) -> _Share:
    # The books of a user who is being erased are taken back by the erasure, which notes what they were.
    source = before if is_tombstone(main) else main
    held = books.amounts_in(source.fields, _PUBLISHED) if source else {}
    now = books.for_operators(held)
    delta = books.difference(now, books.amounts_in(before.fields, _PUBLISHED) if before else {})
    if delta.get(_SET_ASIDE, 0) > 0:
        why = books.beyond_belief(held)
        logger.warning("books of `%s` are beyond belief (%s): the operators' view leaves them out", user, why)
    expected = before.version if before else Expect.ABSENT
    write = Replace(path=published_path(user), fields=_published_fields(now), expected=expected)
    return _Share(user=user, moves=_by_document(delta), write=write)


def held_by(reader: DocumentReader, user: str, days: Iterable[Document] | None = None) -> books.Amounts:
    """Everything that a user's books hold: the live document, its buckets, the closed days if not read yet."""
    main = reader.read(books_path(user))
    parts = [books.amounts_in(main.fields) if main else {}]
    parts += [books.amounts_in(bucket.fields) for bucket in every(reader, buckets_path(user))]
    for day in every(reader, days_path(user)) if days is None else days:
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


def _by_document(delta: books.Amounts) -> dict[str, books.Amounts]:
    """What each document of the operators' view takes of a difference."""
    found: dict[str, books.Amounts] = {}
    for path, amount in delta.items():
        place = (books.TOTALS, path[2]) if path[0] == books.DAYS else path
        found.setdefault(_document_of(path), {})[place] = amount
    return found


def _document_of(path: books.Path) -> str:
    return operations_day(path[1]) if path[0] == books.DAYS else OPERATIONS_TOTALS


def _as_erased(amounts: books.Amounts) -> books.Amounts:
    """Out of the sums, and to what the erased had spent."""
    spent = {path: amount for path, amount in amounts.items() if path[0] == books.TOTALS and path != _SET_ASIDE}
    return {path: -amount for path, amount in amounts.items()} | {(ERASED, *path[1:]): n for path, n in spent.items()}


def _operators_share(shares: Sequence[_Share]) -> list[Write]:
    paths = sorted({path for share in shares for path in share.moves})
    return [addition(path, books.total(share.moves.get(path, {}) for share in shares)) for path in paths]


def _published_fields(amounts: books.Amounts) -> dict[str, Any]:
    fields: dict[str, Any] = {scope: {} for scope in _PUBLISHED}
    for place, amount in amounts.items():
        _set(fields, place, amount)
    return fields


def _set(fields: dict[str, Any], path: books.Path, amount: int) -> None:
    for name in path[:-1]:
        fields = fields.setdefault(name, {})
    fields[path[-1]] = amount
