"""From a load to instances, dollars and the first limit: arithmetic over counted operations; nothing is measured here.

A calm event reads one document and writes two, as `tests/functions/ledger/test_exact.py` asserts. Sixteen events of a
hot user read the books once, hits their records too; they write sixteen records and one bucket.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage.delivery.gathering import MOST_TOGETHER
from afterimage.deployment import LIGHT_WORK
from afterimage.ledger.book_documents import TOUCH_SHARDS
from afterimage.ledger.roll_up import RollUp

HERE: Final = Path(__file__).parent
PRICES: Final[dict[str, float]] = {
    name: price for name, price in json.loads((HERE / "prices.json").read_text()).items() if name != "as_of"
}
LIMITS: Final[dict[str, float]] = json.loads((HERE / "limits.json").read_text())
SECONDS_A_DAY: Final = 86_400
RECORD_BYTES: Final = 1_500
"""A record of the ledger and its index entries, about."""


PUBLISHED_A_SECOND: Final = RollUp.together * 25 / 60
"""Users whose changes go to the operators' view: one commit a second, in 25 seconds of each minute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """Billed operations of the database."""

    reads: float = 0.0
    writes: float = 0.0
    deletes: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How many users do how much."""

    users: int
    events_a_second: float
    hot: float = 0.2
    """The share of events that come from hot users."""
    new: float = 0.6
    """The share of events that are new outputs; the others are hits."""
    online: float = 0.02
    """The share of users who listen at the same time."""
    cpu_seconds_an_event: float = 0.004
    """What the function that books takes, with the official client; the bench measures it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """Something that ends: at how many events a second, and what moves it."""

    name: str
    events_a_second: float
    moved_by: str


def operations_of(events: float, *, hot: float, new: float) -> Operations:
    """What so many events cost, a share of them of hot users."""
    calm, crowded = events * (1 - hot), events * hot
    each = 1 / MOST_TOGETHER
    return Operations(
        reads=calm + crowded * (each + (1 - new)),
        writes=2 * calm + crowded * (1 + each),
    )


def dollars_a_day(load: Load) -> dict[str, float]:
    """By line of the bill."""
    events = load.events_a_second * SECONDS_A_DAY
    done = operations_of(events, hot=load.hot, new=load.new)
    gib = LIGHT_WORK["memory"] / 1024
    compute = (
        events * load.cpu_seconds_an_event * (PRICES["function_vcpu_second"] + gib * PRICES["function_gib_second"])
    )
    stored = events * load.new * RECORD_BYTES / 2**30
    return {
        "reads of the ledger": done.reads * PRICES["firestore_read_million"] / 1e6,
        "writes of the ledger": done.writes * PRICES["firestore_write_million"] / 1e6,
        "clients' own writes": events * PRICES["firestore_write_million"] / 1e6,
        "requests of functions": events * PRICES["function_million_requests"] / 1e6,
        "compute of functions": compute,
        "a month's storage of a day's records": stored * PRICES["firestore_gib_month"],
    }


def instances(load: Load) -> int:
    """Processors that the events keep busy; an instance has one."""
    return max(1, math.ceil(load.events_a_second * load.cpu_seconds_an_event / 0.6))


def limits(load: Load) -> list[Limit]:
    """Every limit that is known, the lowest first."""
    most_instances = int(LIGHT_WORK["max_instances"])
    touched_share = min(1.0, load.users / max(load.events_a_second * 60, 1))
    books_writes = max(1e-9, 1 - load.hot)
    found = [
        Limit(
            name=f"instances of one function ({most_instances})",
            events_a_second=most_instances * 0.6 / load.cpu_seconds_an_event,
            moved_by="`max_instances` of `LIGHT_WORK`, and Google's quota of processors in the region",
        ),
        Limit(
            name="operators' view within a minute, each event another user's",
            events_a_second=PUBLISHED_A_SECOND / touched_share,
            moved_by="an operators' view in shards; until then it is late, and users' own books are not",
        ),
        Limit(
            name=f"rising times in the index of books, {TOUCH_SHARDS} shards",
            events_a_second=TOUCH_SHARDS * LIMITS["sequential_index_writes_a_second"] / books_writes,
            moved_by="more shards (`TOUCH_SHARDS`)",
        ),
    ]
    return sorted(found, key=lambda limit: limit.events_a_second)


def view_lag_seconds(load: Load) -> float:
    """How far the operators' view is behind at most: users are published in turn, however often each was touched."""
    return max(60.0, min(load.users, load.events_a_second * SECONDS_A_DAY) / PUBLISHED_A_SECOND)


def ramp_minutes(load: Load) -> float:
    """How long traffic takes to grow as Firestore asks for: half as much again every five minutes."""
    writes = operations_of(load.events_a_second, hot=load.hot, new=load.new).writes + load.events_a_second
    if writes <= LIMITS["ramp_begins_with_a_second"]:
        return 0.0
    steps = math.log(writes / LIMITS["ramp_begins_with_a_second"]) / math.log(LIMITS["ramp_grows_by"])
    return math.ceil(steps) * LIMITS["ramp_minutes"]
