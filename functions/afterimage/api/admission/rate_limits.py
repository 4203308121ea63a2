"""How often one user may ask, over all instances: one document for each user, and leases that spare most writes.

The document holds when each request of the last minute was made, and the leases: how many more requests an instance
may serve by itself. An instance writes when its lease is used up, and then says when it used it. What the document
counts is at most MOST, so no minute admits more. What is leased and not used is at most SPARE of that, so whoever is
refused has made MOST - SPARE requests within the very minute.

Instances tell the time by clocks of their own. A request whose age is so near a minute that two clocks could differ
about it counts where it is asked whether one more may be admitted, and does not count where somebody is to be refused.
Where the answer hangs on such requests, the caller waits until it does not: a second at most.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
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
CLOCKS_DIFFER_SECONDS: Final = 0.5
"""How far the clocks of two instances may be apart; where they are further, so much longer or shorter is the minute."""
LEASE_SECONDS: Final = 20.0
LARGEST_LEASE: Final = 12
USERS_KEPT: Final = 10_000
_ROUNDS: Final = 40
"""Each lost round means that another instance's lease went through; there are MOST in a minute."""
_LONGEST_PAUSE_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """Requests that one instance may serve until `ends`, in seconds since the epoch, and has not reported."""

    id: str
    count: int
    ends: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What the document of a user says: moments of requests that were made, and requests that are leased."""

    made: Sequence[float] = ()
    leases: Sequence[Lease] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """One request is admitted, and `lease.count` more may be, by this instance."""

    counted: Counted
    lease: Lease


@dataclass(frozen=True, kw_only=True, slots=True)
class Delayed:
    """Nobody can say yet; in so many seconds somebody can."""

    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Nothing is left, and will not be until then."""

    until: float


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


def decide(
    found: Counted, own: Lease | None, used: Sequence[float], *, name: str, now: float
) -> Granted | Delayed | Refused:
    """Whether one request more is admitted now, and how many are leased with it. Pure.

    `own` is the lease that this instance had, and `used` when it served the requests of it.
    """
    oldest = now - WINDOW_SECONDS - CLOCKS_DIFFER_SECONDS
    # A lease that stands no longer was reported before, by a write whose answer was lost.
    reported = used if own is not None and any(lease.id == own.id for lease in found.leases) else ()
    made = sorted(moment for moment in (*found.made, *reported) if moment > oldest)
    leases = [lease for lease in found.leases if lease.ends > oldest and (own is None or lease.id != own.id)]
    spare = sum(lease.count for lease in leases)
    left = MOST - len(made) - spare
    if left < 1:
        surely = made[-(MOST - SPARE)] + WINDOW_SECONDS - CLOCKS_DIFFER_SECONDS
        next_left = min([made[0], *(lease.ends for lease in leases)]) + WINDOW_SECONDS + CLOCKS_DIFFER_SECONDS
        return Refused(until=min(surely, next_left)) if now < surely else Delayed(seconds=next_left - now)
    # Half of what may be spare: an instance that comes later finds some as well.
    count = min(left - 1, LARGEST_LEASE - 1, max(0, SPARE - spare) // 2)
    lease = Lease(id=name, count=count, ends=now + LEASE_SECONDS)
    return Granted(counted=Counted(made=[*made, now], leases=[*leases, lease] if count else leases), lease=lease)


@dataclass
class _Ledger:
    """What this instance holds for one user; the lock is held while it is leased for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    lease: Lease | None = None
    used: list[float] = field(default_factory=list)
    refused_until: float = 0.0
    allowance: Allowance = Allowance(remaining=TOLD, reset_seconds=60)


class RateLimits:
    """The limit of every user, as one instance keeps it."""

    def __init__(
        self,
        documents: Callable[[], DocumentStore],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._users: OrderedDict[str, _Ledger] = OrderedDict()

    def admit(self, user: str) -> Allowance:
        """Counts one request; or ApiError, where it is one too many."""
        ledger = self._ledger_of(user)
        with ledger.lock:
            now = self._clock()
            if now < ledger.refused_until:
                raise _refused(ledger.refused_until - now)
            if ledger.lease is None or len(ledger.used) >= ledger.lease.count or now >= ledger.lease.ends:
                return self._lease(user, ledger)
            ledger.used.append(now)
            return replace(ledger.allowance, remaining=ledger.allowance.remaining - len(ledger.used))

    def _lease(self, user: str, ledger: _Ledger) -> Allowance:
        path = rate_limit_path(user)
        documents = self._documents()
        for lost in range(_ROUNDS):
            found = documents.read(path)
            now = self._clock()
            decided = decide(_counted_in(found), ledger.lease, ledger.used, name=secrets.token_hex(6), now=now)
            if isinstance(decided, Refused):
                ledger.refused_until = decided.until
                raise _refused(decided.until - now)
            if isinstance(decided, Delayed):
                self._sleep(decided.seconds)
                continue
            try:
                compare_and_set(documents, path, _fields(decided.counted, now), found)
            except ConflictError:
                # At random, so that instances which lost together do not lose together again.
                self._sleep(random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.005 * 2**lost)))
                continue
            ledger.lease, ledger.used = decided.lease, []
            made = decided.counted.made
            reset = int(made[0] + WINDOW_SECONDS - now) + 1
            ledger.allowance = Allowance(remaining=TOLD - len(made), reset_seconds=reset)
            return ledger.allowance
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


def _counted_in(found: Document | None) -> Counted:
    if found is None:
        return Counted()
    return Counted(made=found.fields["made"], leases=[Lease(**each) for each in found.fields["leases"]])


def _fields(counted: Counted, now: float) -> Mapping[str, Any]:
    leases = [{"id": each.id, "count": each.count, "ends": each.ends} for each in counted.leases]
    expires_at = datetime.fromtimestamp(now + 10 * WINDOW_SECONDS, UTC)
    return {"made": list(counted.made), "leases": leases, "expires_at": expires_at}
