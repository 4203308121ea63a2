"""ledger.audit with `changed`: users whose books were touched since the last night, then a rotating share of the rest.

Requests: `rotation` (in how many nights everybody is audited, whatever happens), `most_reads` (the cap of what a night
reads), `dry_run` (says what a night would read and audits nobody), `repair` (default true). A user is audited as the
full audit does it. A night that meets its cap says so, and the next one begins where it ended.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.faults import PermanentError
from afterimage.jobs.faults import passed_over
from afterimage.jobs.ledger_jobs import SECONDS_A_TURN, Checked, Done, checked_request, every_user
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger import books
from afterimage.ledger.book_documents import TOUCH_LANES, TOUCHED, books_touched_since
from afterimage.paths import AUDIT_MARK, BOOKS
from afterimage.store.counted_reads import CountedReads
from afterimage.store.documents import Document, Expect, Replace
from afterimage.store.operation_prices import document_dollars

OPTIONS: Final[Mapping[str, type]] = {
    "changed": bool,
    "rotation": int,
    "most_reads": int,
    "dry_run": bool,
    "repair": bool,
}
READS_BESIDE: Final = 12
"""What an audit reads of a user beside outputs and records: moment, books, buckets, days, and what finds nothing."""
_FIRST_NIGHT: Final = timedelta(days=2)
_OVERLAP: Final = timedelta(minutes=2)
"""Longer than any commit is under way."""
_PAGE: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class NightPlace:
    """Where a night stands."""

    since: datetime
    until: datetime
    """Users touched in between are audited; those touched later are the next night's."""
    lanes: tuple[tuple[datetime, str], ...]
    """By lane: the last touched user who is done, and when that one was touched."""
    first_lane: int = 0
    """The lane in which the night before met its cap."""
    lane: int = 0
    """How many lanes are done; behind the last one comes the rest."""
    rest_from: str
    """The user behind whom this night's share of the rest begins; behind the last id it goes on with the first."""
    rest_after: str
    rest_left: int
    has_turned: bool = False
    under_way: str = ""
    carried: str = ""

    def as_text(self) -> str:
        return json.dumps(
            {name: getattr(self, name) for name in self.__slots__}, default=lambda value: value.isoformat()
        )

    @classmethod
    def from_text(cls, text: str) -> NightPlace:
        held = json.loads(text)
        held |= {name: datetime.fromisoformat(held[name]) for name in ("since", "until")}
        held["lanes"] = tuple((datetime.fromisoformat(moment), user) for moment, user in held["lanes"])
        return cls(**held)

    @property
    def lane_under_way(self) -> int:
        return (self.first_lane + self.lane) % len(TOUCH_LANES)

    @property
    def touched_to(self) -> list[datetime]:
        """By lane: all who were touched before are done."""
        done = {(self.first_lane + number) % len(TOUCH_LANES) for number in range(self.lane)}
        return [self.until if lane in done else moment for lane, (moment, _) in enumerate(self.lanes)]


@dataclass(frozen=True, kw_only=True)
class NightlyAudit:
    """One night, turn by turn; `store` counts what is read through it, also by `audit`."""

    store: CountedReads
    audit: Checked
    rotation: int = 30
    most_reads: int = 1_000_000_000
    seconds: float = SECONDS_A_TURN
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic

    def turn(self, turn: Turn) -> Page:
        request = checked_night(turn.request)
        ends, before = self.monotonic() + self.seconds, self.store.counted.reads
        most = request.get("most_reads", self.most_reads) - turn.counts.get("reads", 0)
        place = NightPlace.from_text(turn.cursor) if turn.cursor else self._begin(request)
        total, failures, is_over = Counter[str](), list[str](), False

        def ending(following: NightPlace | None) -> Page:
            total["reads"] = self.store.counted.reads - before
            cursor = None if following is None else following.as_text()
            return Page(next_cursor=cursor, counts=dict(total), failures=tuple(failures))

        for user, main, after in self._users(place):
            if self.store.counted.reads - before >= most:
                failures.append(f"stopped at `{user}`: the cap of {request.get('most_reads', self.most_reads)} reads")
                is_over = True
                break
            carried = place.carried if user == place.under_way else ""
            if request.get("dry_run"):
                total.update(_expected(main, is_touched=place.lane < len(TOUCH_LANES)))
            else:
                rest = self._audit(user, request, carried, ends, total, failures)
                if rest:
                    return ending(replace(place, under_way=user, carried=rest))
            total["users"] += 1
            place = after
            if self.monotonic() >= ends:
                return ending(place)
        else:
            place = replace(place, lane=len(TOUCH_LANES))
        if not request.get("dry_run"):
            self._note(place, is_whole=not is_over)
        return ending(None)

    def _audit(
        self,
        user: str,
        request: Mapping[str, Any],
        carried: str,
        ends: float,
        total: Counter[str],
        failures: list[str],
    ) -> str:
        done = Done(counts={})
        with passed_over(user, total, failures, count="users passed over"):
            done = self.audit(user, request, carried, lambda: self.monotonic() >= ends)
        total.update(done.counts)
        failures += done.failures
        return done.carried

    def _begin(self, request: Mapping[str, Any]) -> NightPlace:
        mark = self.store.read(AUDIT_MARK)
        begun, now = mark.fields if mark else {}, self.now()
        # Where the last night met its cap, looking back again would use up this one.
        look_back = timedelta() if begun.get("is_behind") else _OVERLAP
        marks = begun.get("touched_to") or [now - _FIRST_NIGHT] * len(TOUCH_LANES)
        rotation = request.get("rotation", self.rotation)
        rest_after = begun.get("rest_after", "")
        return NightPlace(
            since=min(marks) - look_back,
            until=now,
            lanes=tuple((moment - look_back, "") for moment in marks),
            first_lane=begun.get("first_lane", 0),
            rest_from=rest_after,
            rest_after=rest_after,
            rest_left=-(-self.store.count(BOOKS) // rotation),
        )

    def _note(self, place: NightPlace, *, is_whole: bool) -> None:
        fields = {
            "kind": "ledger.audit",
            "touched_to": place.touched_to,
            "is_behind": not is_whole,
            "first_lane": 0 if is_whole else place.lane_under_way,
            "rest_after": place.rest_after,
        }
        self.store.commit([Replace(path=AUDIT_MARK, fields=fields, expected=Expect.ANYTHING)])

    def _users(self, place: NightPlace) -> Iterator[tuple[str, Document | None, NightPlace]]:
        """Users to be audited, with the books, and where the night stands when that one is done."""
        if place.under_way:
            # First the one that a turn has left half done; its place is that of the one before it.
            yield place.under_way, None, replace(place, under_way="", carried="")
            place = replace(place, under_way="", carried="")
        for lane in range(place.lane, len(TOUCH_LANES)):
            place = replace(place, lane=lane)
            for main in self._touched(place):
                lanes = list(place.lanes)
                lanes[place.lane_under_way] = (main.fields[TOUCHED], main.id)
                place = replace(place, lanes=tuple(lanes))
                yield main.id, main, place
        place = replace(place, lane=len(TOUCH_LANES))
        yield from self._rest(place)

    def _touched(self, place: NightPlace) -> Iterator[Document]:
        moment, last = place.lanes[place.lane_under_way]
        while True:
            found = books_touched_since(self.store, TOUCH_LANES[place.lane_under_way], moment, _PAGE, after_id=last)
            for main in found:
                if main.fields[TOUCHED] > place.until:
                    return
                yield main
            if len(found) < _PAGE:
                return
            moment, last = found[-1].fields[TOUCHED], found[-1].id

    def _rest(self, place: NightPlace) -> Iterator[tuple[str, Document | None, NightPlace]]:
        """A share of all users, in the order of their ids, without those who were touched."""
        while place.rest_left > 0:
            for user, main in every_user(self.store, place.rest_after, _PAGE):
                if place.has_turned and user > place.rest_from:
                    return
                place = replace(place, rest_after=user, rest_left=place.rest_left - (main is not None))
                if not (main is not None and (touched := main.fields.get(TOUCHED)) and touched >= place.since):
                    yield user, main, place
                if place.rest_left <= 0:
                    return
            if place.has_turned or not place.rest_from:
                return
            place = replace(place, rest_after="", has_turned=True)


def checked_night(request: Mapping[str, Any]) -> dict[str, Any]:
    checked = checked_request("ledger.audit", request, OPTIONS)
    for name in ("rotation", "most_reads"):
        if name in checked and checked[name] < 1:
            raise PermanentError(f"ledger.audit `{name}` is `{checked[name]}`; it must be at least 1")
    return checked


def _expected(main: Document | None, *, is_touched: bool) -> dict[str, int]:
    """What an audit of a user will read, by the user's own books."""
    amounts = books.amounts_in(main.fields) if main else {}
    outputs = sum(amounts.get((books.TOTALS, name), 0) for name in ("generations", "rejected", "failures"))
    files = sum(amount for path, amount in amounts.items() if path[:2] == (books.STORAGE, "objects"))
    reads = 2 * outputs + files + READS_BESIDE
    whose = "touched" if is_touched else "the rest"
    return {
        f"reads expected, {whose}": reads,
        f"micro-dollars expected, {whose}": round(document_dollars(reads) * 1e6),
        "stored files to list": files,
    }
