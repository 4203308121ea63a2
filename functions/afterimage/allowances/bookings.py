"""How many documents of one account are booked as they are written, in a day; the rest is the nightly audit's.

An event costs two writes, and must not cost another one to be counted. So a process books the first few of an account
without asking; after that it takes leases, of many documents at once. What is leased counts as used, also where the
process dies with it: never more than the day's allowance is booked, but for the first few of each process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from afterimage.allowances.day_allowances import DayAllowances, UsedUpError
from afterimage.paths import books_path
from afterimage.store.documents import Change, ConflictError, DocumentStore, Expect

UNASKED: Final = 50
"""How many documents of an account a process books before it asks for the first time."""
LEASES: Final = (200, 20, 1)
"""How many it takes at once: as many as are left at the end."""
PUT_OFF: Final = "put_off"
"""The field of the books that tells their user."""
_MOST_ACCOUNTS: Final = 10_000


@dataclass(slots=True)
class _Day:
    day: str
    left: int = UNASKED
    is_used_up: bool = False
    leasing: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one of many events at once that asks for all of them."""


@dataclass(frozen=True, kw_only=True)
class BookingAllowance:
    """Asked before each booking of what clients write."""

    allowances: DayAllowances
    documents: DocumentStore
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _of: dict[str, _Day] = field(default_factory=dict)

    def take(self, account: str) -> bool:
        """Whether one more may be booked now."""
        with self._lock:
            state = self._today(account)
        while not self._take_one(state):
            with state.leasing:
                if state.is_used_up:
                    return False
                if not state.left:
                    self._lease(account, state)
        return True

    def give_back(self, account: str) -> None:
        """It was booked already, by somebody else."""
        with self._lock:
            self._today(account).left += 1

    def _take_one(self, state: _Day) -> bool:
        with self._lock:
            has_one = state.left > 0
            state.left -= has_one
            return has_one

    def _lease(self, account: str, state: _Day) -> None:
        reason = ""
        for count in LEASES:
            try:
                self.allowances.charge(account, {"documents": count})
            except UsedUpError as error:
                reason = str(error)
                continue
            with self._lock:
                state.left += count
            return
        state.is_used_up = True
        self._tell(account, state.day, reason)

    def _tell(self, account: str, day: str, reason: str) -> None:
        """In the books, which their user reads; where there are none, nothing of theirs is missing yet."""
        told = {PUT_OFF: {"day": day, "reason": reason}}
        try:
            self.documents.commit([Change(path=books_path(account), put=told, expected=Expect.PRESENT)])
        except ConflictError:
            return

    def _today(self, account: str) -> _Day:
        day = f"{self.now().astimezone(UTC):%Y-%m-%d}"
        found = self._of.get(account)
        if found is None or found.day != day:
            if len(self._of) >= _MOST_ACCOUNTS:
                self._of.clear()
            found = self._of[account] = _Day(day)
        return found
