"""What one account has booked in a day: bounded without another write for each, and the rest is booked by night."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from afterimage.allowances.bookings import UNASKED, BookingAllowance
from afterimage.allowances.day_allowances import POTS, DayAllowances
from afterimage.delivery.gathering import Gathering
from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import BookingOutcome, Bookkeeper
from afterimage.ledger.observing import observe_document
from afterimage.ledger.prices.pricing import Prices
from afterimage.store.memory_documents import EPOCH, MemoryDocuments

LIMIT = 250
PRICES = Prices()
OUTPUT = {"model": "house-model", "cost_usd": 0.5, "cache_hit_count": 0}


class Ledger:
    """One process of the ledger over a store that others share."""

    def __init__(self, store: MemoryDocuments) -> None:
        self.store, self.now = store, EPOCH + timedelta(hours=1)
        allowances = DayAllowances(
            documents=store,
            limits={"files": 1, "bytes": 1, "pixels": 1, "documents": LIMIT},
            anonymous_accounts=POTS,
            is_anonymous=lambda _account: False,
            now=lambda: self.now,
            wait=lambda _seconds: None,
        )
        self.allowance = BookingAllowance(allowances=allowances, documents=store, now=lambda: self.now)
        self.keeper = Bookkeeper(
            store=store,
            now=lambda: self.now,
            wait=lambda _seconds: None,
            dice=Random(1),
            gathering=Gathering(apart_seconds=0.0),
            allowance=self.allowance,
        )
        self.auditor = Auditor(keeper=self.keeper, prices=PRICES, most=LIMIT)

    def write(self, path: str, fields: dict[str, Any] | None = None) -> BookingOutcome:
        self.store.put(path, {**OUTPUT, **(fields or {})})
        return self.hear(path)

    def hear(self, path: str) -> BookingOutcome:
        fields, created, updated = self.store.documents[path]
        seen = observe_document(path, fields, created=created, version=updated, is_deleted=False, prices=PRICES)
        assert seen is not None
        return self.keeper.book(seen, is_first=created == updated)

    def booked(self, user: str) -> int:
        parts = [fields for path, (fields, *_) in self.store.documents.items() if path.startswith(f"usage/{user}")]
        return sum(fields.get("totals", {}).get("generations", 0) for fields in parts)


def dialogue(user: str, number: int) -> str:
    return f"ai_outputs/{user}/dialogues/c_{number:05}"


def test_what_is_beyond_a_day_is_put_off_and_booked_by_the_audit() -> None:
    """Not one is lost: the books say that something is put off, and others' go on."""
    ledger = Ledger(MemoryDocuments())
    outcomes = [ledger.write(dialogue("ana", number)) for number in range(400)]
    assert outcomes.count(BookingOutcome.BOOKED) == UNASKED + LIMIT
    assert set(outcomes[UNASKED + LIMIT :]) == {BookingOutcome.PUT_OFF}
    assert ledger.store.fields("usage/ana")["put_off"] == {
        "day": f"{ledger.now:%Y-%m-%d}",
        "reason": "the 250 outputs that one account may have worked on in a day are used up: "
        "it is taken up after midnight (UTC)",
    }
    assert ledger.write(dialogue("bob", 1)) is BookingOutcome.BOOKED
    report = ledger.auditor.audit("ana")
    assert (len(report.missed), report.left_for_later) == (100, 0)
    assert ledger.booked("ana") == 400
    assert ledger.auditor.audit("ana").is_clean
    ledger.now += timedelta(days=1)
    assert ledger.write(dialogue("ana", 401)) is BookingOutcome.BOOKED


def one_at_a_time(call: Callable[..., Any], alone: threading.Lock) -> Callable[..., Any]:
    """The double is made for one thread; a real store takes one commit after the other by itself."""

    def called(*arguments: Any) -> Any:
        with alone:
            return call(*arguments)

    return called


def test_many_events_at_once_ask_for_one_lease() -> None:
    """Not each of them for one of its own, which would use up the day at once."""
    ledger, alone = Ledger(MemoryDocuments()), threading.Lock()
    for name in ("commit", "read_many"):
        vars(ledger.store)[name] = one_at_a_time(getattr(ledger.store, name), alone)
    together = threading.Barrier(20)

    def event(number: int) -> BookingOutcome:
        if number < 20:
            together.wait()
        return ledger.hear(dialogue("ana", number))

    for number in range(60):
        ledger.store.put(dialogue("ana", number), dict(OUTPUT))
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(event, range(60))) == {BookingOutcome.BOOKED}
    [day] = [fields for path, (fields, *_) in ledger.store.documents.items() if path.startswith("_allowances/")]
    assert day["used"]["documents"] == 200


def test_an_audit_books_a_day_s_worth_in_a_night_and_says_what_is_left() -> None:
    """Whatever was written at once comes in over several nights."""
    ledger = Ledger(MemoryDocuments())
    for number in range(1000):
        ledger.store.put(dialogue("ana", number), dict(OUTPUT))
    nights = []
    for _ in range(3):
        report = ledger.auditor.audit("ana")
        nights.append((len(report.missed), report.left_for_later, report.is_clean))
    assert nights == [(400, 600, False), (400, 200, False), (200, 0, False)]
    assert ledger.auditor.audit("ana").is_clean
    assert ledger.booked("ana") == 1000


def test_a_process_that_dies_takes_its_lease_along_and_no_more_is_booked_than_a_day_has() -> None:
    """Leases count when they are taken: many short-lived processes come to no more than one that lives."""
    store, booked = MemoryDocuments(), 0
    for process in range(12):
        ledger = Ledger(store)
        outcomes = [ledger.write(dialogue("ana", 100 * process + number)) for number in range(100)]
        booked += outcomes.count(BookingOutcome.BOOKED)
    assert LIMIT < booked <= 12 * UNASKED + LIMIT


def test_a_duplicate_takes_nothing_of_a_day() -> None:
    """However often it comes, and however late."""
    ledger = Ledger(MemoryDocuments())
    ledger.write(dialogue("ana", 1))
    assert {ledger.hear(dialogue("ana", 1)) for _ in range(500)} == {BookingOutcome.KNOWN}
    outcomes = [ledger.write(dialogue("ana", number)) for number in range(2, 2 + UNASKED + LIMIT)]
    assert outcomes.count(BookingOutcome.BOOKED) == UNASKED + LIMIT - 1


def test_what_servers_write_is_booked_at_once() -> None:
    """A worker's generation was paid for: no number of dialogues puts it off."""
    ledger = Ledger(MemoryDocuments())
    for number in range(400):
        ledger.write(dialogue("ana", number))
    made = {"status": "completed", "request_data": {"model": "m"}, "generation_data": {}, "confirmed_cost_nano_usd": 7}
    assert ledger.write("generations/ana/files/f", made) is BookingOutcome.BOOKED


def test_a_booking_costs_no_write_more() -> None:
    """A lease is one read and one write, for two hundred of them."""
    ledger = Ledger(MemoryDocuments())
    for number in range(UNASKED):
        ledger.write(dialogue("ana", number))
    ledger.store.bill.taken()
    for number in range(UNASKED, UNASKED + 200):
        ledger.write(dialogue("ana", number))
    with_leases = ledger.store.bill.taken()
    free = Ledger(MemoryDocuments())
    vars(free.keeper)["allowance"] = None
    for number in range(UNASKED):
        free.write(dialogue("ana", number))
    free.store.bill.taken()
    for number in range(UNASKED, UNASKED + 200):
        free.write(dialogue("ana", number))
    reads, writes, _ = free.store.bill.taken()
    assert with_leases[:2] == (reads + 1, writes + 1)


def test_midnight_is_that_of_the_books() -> None:
    """A lease of yesterday is not used today, in UTC wherever the process runs."""
    ledger = Ledger(MemoryDocuments())
    ledger.now = datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)
    for number in range(UNASKED + LIMIT + 10):
        ledger.write(dialogue("ana", number))
    assert ledger.write(dialogue("ana", 900)) is BookingOutcome.PUT_OFF
    ledger.now += timedelta(seconds=1)
    assert ledger.write(dialogue("ana", 901)) is BookingOutcome.BOOKED
