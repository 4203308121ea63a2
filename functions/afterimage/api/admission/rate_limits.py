"""How often one user may ask, over all instances: leases of requests, kept in one document for each user.

An instance leases a few requests in one write and then serves them by itself. What any minute admits is at most what
was leased for it, and no more than MOST is ever leased for a minute. A lease counts as used until its instance reports
otherwise; the unused requests of all leases together are at most SPARE. So a user is refused only after MOST - SPARE
requests within a minute and the life of one lease.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.paths import rate_limit_path
from afterimage.store.documents import ConflictError, Document, DocumentStore, compare_and_set

TOLD: Final = 100
"""The limit that callers are told of; between MOST - SPARE and MOST the answer depends on how many instances serve."""
MOST: Final = 120
SPARE: Final = 40
WINDOW_SECONDS: Final = 60.0
LEASE_SECONDS: Final = 5.0
LARGEST_LEASE: Final = 12
USERS_KEPT: Final = 10_000
_ROUNDS: Final = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """Requests that one instance may serve until `ends`; `count` is exact once `reported`."""

    id: str
    count: int
    ends: float
    """Seconds since the epoch; of a reported lease, the moment of its last request."""
    reported: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What a caller is told about the limit."""

    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(TOLD),
            "RateLimit-Remaining": str(max(0, self.remaining)),
            "RateLimit-Reset": str(max(1, self.reset_seconds)),
        }


def grant(leases: Sequence[Lease], own: Lease | None, *, name: str, now: float) -> tuple[list[Lease], Lease | None]:
    """The leases that count from now on, and the new one; None where there is nothing left to lease. Pure.

    `own` is the lease that this instance had, as it was really used.
    """
    counting = [lease for lease in leases if own is None or lease.id != own.id]
    if own is not None:
        counting.append(replace(own, reported=True))
    counting = [lease for lease in counting if lease.ends > now - WINDOW_SECONDS]
    left = MOST - sum(lease.count for lease in counting)
    if left < 1:
        return counting, None
    spare = SPARE - sum(lease.count - 1 for lease in counting if not lease.reported)
    # Half of what may be spare: an instance that comes later finds some as well.
    count = min(left, LARGEST_LEASE, 1 + max(0, spare // 2))
    lease = Lease(id=name, count=count, ends=now + LEASE_SECONDS)
    return [*counting, lease], lease


@dataclass
class _Ledger:
    """What this instance holds for one user; the lock is held while it is leased for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    lease: Lease | None = None
    used: int = 0
    last_used: float = 0.0
    refused_until: float = 0.0
    allowance: Allowance = Allowance(remaining=TOLD, reset_seconds=60)


class RateLimits:
    """The limit of every user, as one instance keeps it."""

    def __init__(self, documents: Callable[[], DocumentStore], *, clock: Callable[[], float]) -> None:
        self._documents = documents
        self._clock = clock
        self._lock = threading.Lock()
        self._users: OrderedDict[str, _Ledger] = OrderedDict()

    def admit(self, user: str) -> Allowance:
        """Counts one request; or ApiError, where it is one too many."""
        ledger = self._ledger_of(user)
        with ledger.lock:
            now = self._clock()
            if now < ledger.refused_until:
                raise _refused(ledger.refused_until - now)
            if ledger.lease is None or ledger.used >= ledger.lease.count or now >= ledger.lease.ends:
                self._lease(user, ledger)
                now = self._clock()
            ledger.used += 1
            ledger.last_used = now
            assert ledger.lease is not None
            allowance = ledger.allowance
            return replace(allowance, remaining=allowance.remaining + ledger.lease.count - ledger.used)

    def _lease(self, user: str, ledger: _Ledger) -> None:
        path = rate_limit_path(user)
        documents = self._documents()
        for _ in range(_ROUNDS):
            found = documents.read(path)
            now = self._clock()
            own = replace(ledger.lease, count=ledger.used, ends=ledger.last_used) if ledger.lease else None
            counting, lease = grant(_leases_in(found), own, name=secrets.token_hex(6), now=now)
            if lease is None:
                ledger.refused_until = min(each.ends for each in counting) + WINDOW_SECONDS
                raise _refused(ledger.refused_until - now)
            try:
                compare_and_set(documents, path, _fields(counting, now), found)
            except ConflictError:
                continue
            ledger.lease, ledger.used = lease, 0
            taken = sum(each.count for each in counting)
            oldest = min(each.ends for each in counting)
            ledger.allowance = Allowance(remaining=TOLD - taken, reset_seconds=int(oldest + WINDOW_SECONDS - now) + 1)
            return
        raise ApiError(
            ErrorCode.UNAVAILABLE,
            "too many requests of one user at one moment",
            "try again",
            headers={"Retry-After": "1"},
        )

    def _ledger_of(self, user: str) -> _Ledger:
        with self._lock:
            ledger = self._users.setdefault(user, _Ledger())
            self._users.move_to_end(user)
            while len(self._users) > USERS_KEPT:
                self._users.popitem(last=False)
            return ledger


class AddressLimits:
    """A ceiling for callers that prove nothing, by address and in all, kept in memory: such callers cause no write."""

    def __init__(self, *, clock: Callable[[], float], each: int = 120, all_together: int = 3_000) -> None:
        self._clock = clock
        self._each = each
        self._all_together = all_together
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._total = 0

    def admit(self, address: str) -> None:
        with self._lock:
            now = self._clock()
            minute = int(now // WINDOW_SECONDS)
            if minute != self._minute:
                self._minute, self._total = minute, 0
                self._counts.clear()
            count = self._counts.get(address, 0) + 1
            if count > self._each or self._total >= self._all_together:
                raise _refused((minute + 1) * WINDOW_SECONDS - now)
            # At most as many addresses as requests: the ceiling bounds the memory too.
            self._counts[address] = count
            self._total += 1


def _refused(seconds: float) -> ApiError:
    wait = max(1, int(seconds) + 1)
    headers = Allowance(remaining=0, reset_seconds=wait).headers | {"Retry-After": str(wait)}
    return ApiError(ErrorCode.RATE_LIMITED, f"more than {TOLD} requests in a minute", f"wait {wait} s", headers=headers)


def _leases_in(found: Document | None) -> list[Lease]:
    return [] if found is None else [Lease(**each) for each in found.fields["leases"]]


def _fields(leases: Sequence[Lease], now: float) -> Mapping[str, Any]:
    written = [{"id": each.id, "count": each.count, "ends": each.ends, "reported": each.reported} for each in leases]
    return {"leases": written, "expires_at": datetime.fromtimestamp(now + 10 * WINDOW_SECONDS, UTC)}
