"""ledger.audit, ledger.rebuild, ledger.close-day, ledger.reprice, ledger.replay: what one turn of each does.

Requests: `user` (one; all if not named); audit also `repair` (default true); reprice also `again` (priced ones too, for
when a row of the table was wrong). Every turn is safe to repeat: what it did before is found done. A turn begins no
user after its time is over; an audit ends in the middle of one and goes on there in the next turn.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any, Final, Protocol

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.delivery.events import decode_document_event, decode_object_event
from afterimage.faults import PermanentError
from afterimage.jobs.faults import handled_again, passed_over
from afterimage.jobs.ledger_cursor import Standing, packed, standing, unpacked
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger.audit import Auditor
from afterimage.ledger.book_documents import ids_above
from afterimage.ledger.bookkeeper import BookingOutcome
from afterimage.ledger.closing import Closing
from afterimage.ledger.contribution import OutputStatus
from afterimage.ledger.events import book_document, book_object
from afterimage.ledger.observing import observe_live
from afterimage.ledger.roll_up import RollUp, every
from afterimage.ledger.survey import MOST_OBJECTS
from afterimage.paths import BOOKED_ROOTS, BOOKS, booked_document, buckets_path, is_document_id, ledger_records_path
from afterimage.store.documents import Document, DocumentStore, UncertainError

USERS_A_TURN: Final = 20
SECONDS_A_TURN: Final = 240.0
"""A job's function has 540: what is begun must also end."""
LETTERS_A_TURN: Final = 25
BUCKETS_A_COMMIT: Final = 300
DOCUMENT_TRIGGERS: Final = frozenset({"ledger_output_written", "ledger_generation_written"})
OBJECT_TRIGGERS: Final = frozenset({"ledger_object_finalized", "ledger_object_deleted", "ledger_object_archived"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What a job did for one user: counts, failures worth telling, and what is carried over if it is not all."""

    counts: Mapping[str, int]
    failures: list[str] = field(default_factory=list)
    carried: str = ""


class Checked(Protocol):
    """Does a job's work for one user, beginning with what an earlier turn has carried over."""

    def __call__(self, user: str, request: Mapping[str, Any], carried: str, is_over: Callable[[], bool], /) -> Done: ...


@dataclass(frozen=True, kw_only=True)
class PerUser:
    """A job that goes from user to user in the order of their ids, or does one user's work alone."""

    name: str
    store: DocumentStore
    work: Checked
    options: Mapping[str, type]
    users: Callable[[DocumentStore, str, int], list[str]] | None = None
    """The next users behind an id; those that have books, or anything to be booked, where nothing else is said."""
    page: int = USERS_A_TURN
    seconds: float = SECONDS_A_TURN
    monotonic: Callable[[], float] = time.monotonic

    def turn(self, turn: Turn) -> Page:
        request = checked_request(self.name, turn.request, {"user": str, **self.options})
        ends = self.monotonic() + self.seconds
        at = standing(turn.cursor)
        total: Counter[str] = Counter()
        failed: list[str] = []
        users = self._users(request, at)
        for user in users:
            done = Done(counts={})
            with passed_over(user, total, failed, count="users passed over"):
                done = self.work(user, request, at.carried, lambda: self.monotonic() >= ends)
            total.update(done.counts)
            failed += done.failures
            if done.carried:
                following = Standing(done=at.done, under_way=user, carried=done.carried)
                return Page(next_cursor=following.as_text(), counts=dict(total), failures=tuple(failed))
            total["users"] += 1
            at = Standing(done=user)
            if self.monotonic() >= ends:
                break
        is_last = "user" in request or not users or (at.done == users[-1] and len(users) < self.page)
        return Page(next_cursor=None if is_last else at.as_text(), counts=dict(total), failures=tuple(failed))

    def _users(self, request: Mapping[str, Any], at: Standing) -> list[str]:
        if "user" in request:
            return [request["user"]]
        following = self.users or users_after
        if at.under_way:
            return [at.under_way, *following(self.store, at.under_way, self.page)]
        return following(self.store, at.done, self.page)


def users_after(store: DocumentStore, after: str, limit: int) -> list[str]:
    """The next users, those too whose every event was lost and who have no books yet."""
    return [user for user, _ in islice(every_user(store, after, limit), limit)]


def every_user(store: DocumentStore, after: str, page: int) -> Iterator[tuple[str, Document | None]]:
    """All users behind an id, in order, with their books: a read for those, and one for each collection of a user."""
    groups = [(root, group) for root, groups in BOOKED_ROOTS.items() for group in groups]
    having_books = _having_books(store, after, page)
    having_outputs = [_having_outputs(store, root, group, after) for root, group in groups]
    last = ""
    # Books come first where the ids are the same.
    for user, main in merge(having_books, *having_outputs, key=lambda found: found[0]):
        if user != last:
            yield user, main
        last = user


def _having_books(store: DocumentStore, after: str, limit: int) -> Iterator[tuple[str, Document | None]]:
    while found := store.page(BOOKS, after, limit):
        yield from ((main.id, main) for main in found)
        if len(found) < limit:
            return
        after = found[-1].id


def _having_outputs(store: DocumentStore, root: str, group: str, after: str) -> Iterator[tuple[str, Document | None]]:
    while ids := ids_above(store, root, group, after, 1):
        after = ids[0]
        yield after, None


def audit_of(auditor: Auditor) -> Checked:
    def audit(user: str, request: Mapping[str, Any], carried: str, is_over: Callable[[], bool]) -> Done:
        progress = unpacked(carried) if carried else None
        report = auditor.audit(user, repair=request.get("repair", True), progress=progress, is_over=is_over)
        missed = report.missed_before + len(report.missed)
        failures = [f"{user}: {missed} missed, drift {'/'.join(path)} {n:+d}" for path, n in report.drift.items()]
        if report.gave_up:
            failures.append(f"{user}: too much to be read within the hour that Firestore keeps; totals not compared")
        if report.left_for_later:
            failures.append(f"{user}: {report.left_for_later} outputs are left for the next audit")
        if report.has_too_many_objects:
            failures.append(f"{user}: more than {MOST_OBJECTS} stored files; what they weigh was not compared")
        counts = {
            "clean": int(report.is_clean),
            "missed": len(report.missed),
            "drifted": int(bool(report.drift)),
            "repaired": int(report.repaired),
        }
        return Done(counts=counts, failures=failures[:5], carried=packed(report.rest) if report.rest else "")

    return audit


def rebuild_of(auditor: Auditor, roll_up: RollUp) -> Checked:
    """Brings one user's books back from live documents and records, whatever was lost: books, records or both."""

    def rebuild(user: str, request: Mapping[str, Any], carried: str, is_over: Callable[[], bool]) -> Done:
        while page := roll_up.store.page(buckets_path(user), "", BUCKETS_A_COMMIT):
            if roll_up.empty(user, page) < len(page):
                raise UncertainError(f"the buckets of `{user}` are being written all the time")
        report = auditor.audit(
            user,
            is_restored=request.get("restored", False),
            progress=unpacked(carried) if carried else None,
            is_over=is_over,
        )
        if report.rest:
            return Done(counts={}, carried=packed(report.rest))
        roll_up.publish_user(user)
        return Done(counts={"rebuilt": int(not report.is_clean)})

    return rebuild


def close_day_of(closing: Closing, roll_up: RollUp, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Checked:
    def close(user: str, _request: Mapping[str, Any], carried: str, is_over: Callable[[], bool]) -> Done:
        counts: Counter[str] = Counter()
        if not carried:
            counts["days closed"] = closing.close_days(user, now())
        compacted = closing.compact(user, now(), after=carried, is_over=is_over)
        counts["records compacted"] = compacted.gone
        if not compacted.rest:
            counts["published"] = int(roll_up.publish_user(user))
        return Done(counts=counts, failures=compacted.failures, carried=compacted.rest)

    return close


def reprice_of(auditor: Auditor) -> Checked:
    """Prices live outputs again by the present table; a deleted one says no more what it used, and stays."""

    def reprice(user: str, request: Mapping[str, Any], carried: str, is_over: Callable[[], bool]) -> Done:
        counts: Counter[str] = Counter()
        store = auditor.keeper.store
        failures: list[str] = []
        for stored in every(store, ledger_records_path(user), carried):
            if counts["records"] and is_over():
                return Done(counts=counts, failures=failures[:5], carried=carried)
            counts["records"] += 1
            carried = stored.id
            with passed_over(stored.path, counts, failures):
                _reprice_one(auditor, user, stored, counts, again=request.get("again", False))
        return Done(counts=counts, failures=failures[:5])

    return reprice


def _reprice_one(auditor: Auditor, user: str, stored: Document, counts: Counter[str], *, again: bool) -> None:
    place = booked_document(user, stored.fields["kind"], stored.fields["output_id"])
    if place is None or not (again or stored.fields["status"] == OutputStatus.UNPRICED):
        return
    counts["looked at"] += 1
    live = auditor.keeper.store.read(place)
    seen = live and observe_live(live, auditor.prices)
    if seen and auditor.keeper.book(seen, reprice=True, from_audit=True) is BookingOutcome.BOOKED:
        counts["re-priced"] += 1


@dataclass(frozen=True, kw_only=True)
class LedgerReplay:
    """Hands recorded events of the ledger's triggers to the bookkeeper once more; the cursor is a letter's key."""

    auditor: Auditor
    letters: DeadLetters
    page: int = LETTERS_A_TURN

    def turn(self, turn: Turn) -> Page:
        checked_request("ledger.replay", turn.request, {})
        triggers = DOCUMENT_TRIGGERS | OBJECT_TRIGGERS
        page, _ = handled_again(self.letters, turn, triggers=triggers, page=self.page, handle=self._handle)
        return page

    def _handle(self, letter: DeadLetter) -> str:
        keeper = self.auditor.keeper
        if letter.trigger in DOCUMENT_TRIGGERS:
            event = decode_document_event(letter.attributes, letter.raw_data())
            book_document(event, keeper, self.auditor.prices)
            return "booked"
        stored = decode_object_event(letter.attributes, letter.raw_data())
        book_object(stored, keeper, is_deleted=letter.trigger != "ledger_object_finalized")
        return "booked"


def checked_request(name: str, request: Mapping[str, Any], options: Mapping[str, type]) -> dict[str, Any]:
    """The request as it is, or a clear refusal: an option nobody knows was meant to change something."""
    for key, value in request.items():
        if key not in options:
            raise PermanentError(f"{name} knows no `{key}`; it knows {', '.join(sorted(options)) or 'no options'}")
        if type(value) is not options[key]:
            raise PermanentError(f"{name} `{key}` is `{value}`; it must be a {options[key].__name__}")
    user = request.get("user")
    if user is not None and not is_document_id(user):
        raise PermanentError(f"{name} `user` is `{user}`; it must be the id of one user")
    return dict(request)
