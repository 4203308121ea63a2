"""The limit of requests over all instances: what is admitted and refused, and what that costs."""

from __future__ import annotations

import random
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.api.admission.rate_limits import (
    CLOCKS_DIFFER_SECONDS,
    MOST,
    SPARE,
    WINDOW_SECONDS,
    AddressLimits,
    RateLimits,
)
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.store.documents import UncertainError
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.api.conftest import ServedApi

START = 1_800_000_000.0


@dataclass
class Instance:
    """One instance of the API: its clock, which is wrong by `error`, and when it last looked at it."""

    limits: RateLimits
    error: float
    looked_at: float = START


@dataclass
class Instances:
    """Several instances of the API with one store, and everything that one user was told, by the true time."""

    errors: Sequence[float]
    now: float = START
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    admitted: list[float] = field(default_factory=list)
    unanswered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.running = [self._new(error) for error in self.errors]

    def _new(self, error: float) -> Instance:
        def clock() -> float:
            instance.looked_at = self.now
            return self.now + error

        instance = Instance(limits=RateLimits(lambda: self.documents, clock=clock, sleep=self._sleep), error=error)
        return instance

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waited = max(self.waited, seconds)

    def dies(self, number: int) -> None:
        """With its leases; another takes its place."""
        self.running[number] = self._new(self.running[number].error)

    def ask(self, number: int) -> bool:
        instance = self.running[number % len(self.running)]
        try:
            allowance = instance.limits.admit("alice")
        except UncertainError:
            self.unanswered.append(instance.looked_at)
            return False
        except ApiError as error:
            if error.code is not ErrorCode.RATE_LIMITED or int(error.headers["Retry-After"]) < 1:
                raise
            self.refused.append(instance.looked_at)
            return False
        assert allowance.remaining < 100
        self.admitted.append(instance.looked_at)
        return True

    def within_a_minute(self, moments: Sequence[float], until: float) -> int:
        """How many of them lie in the 60 seconds that end then; a microsecond is what sums of floats are wrong by."""
        return bisect_right(moments, until + 1e-6) - bisect_right(moments, until - WINDOW_SECONDS + 1e-6)

    def check(self) -> None:
        """What is promised, for every moment at which anything was asked."""
        admitted = sorted(self.admitted)
        asked = sorted([*self.admitted, *self.unanswered])
        assert [moment for moment in admitted if self.within_a_minute(admitted, moment) > MOST] == []
        assert [moment for moment in self.refused if self.within_a_minute(asked, moment) < MOST - SPARE] == []
        # The longest stretch of time within which clocks that differ could disagree about a minute.
        assert self.waited <= 2 * CLOCKS_DIFFER_SECONDS + 1e-6


clock_errors = st.floats(-CLOCKS_DIFFER_SECONDS / 2, CLOCKS_DIFFER_SECONDS / 2)
pauses = st.sampled_from([0, 0.01, 0.2, 0.5, 1, 4.9, 20, 39, 55, 59.6, 60, 60.4, 61])


@given(
    st.lists(clock_errors, min_size=1, max_size=40),
    st.lists(st.tuples(pauses, st.integers(0, 39), st.integers(1, 130)), max_size=40),
)
def test_whichever_instances_serve_nobody_is_refused_too_early_or_admitted_too_often(
    errors: Sequence[float], asked: Sequence[tuple[float, int, int]]
) -> None:
    """Bursts, pauses, any number of instances, clocks that differ: never above 120 nor refused under 80, in 60 s."""
    instances = Instances(errors)
    for pause, instance, burst in asked:
        instances.now += pause
        for number in range(burst):
            # Either one instance takes the whole burst, or it is spread over all.
            instances.ask(instance + (number if burst % 2 else 0))
    instances.check()


def simulate(seed: int) -> Instances:
    """Ten minutes of one user's requests: commits take their time, are raced, and lose their answers; instances die."""
    chance = random.Random(seed)
    count = chance.choice([1, 2, 3, 8, 30])
    instances = Instances([chance.uniform(-0.5, 0.5) * CLOCKS_DIFFER_SECONDS for _ in range(count)])
    raced = False
    one = 0

    def before(operation: str) -> None:
        nonlocal raced
        instances.now += chance.expovariate(50)
        if operation == "commit" and not raced and count > 1 and chance.random() < 0.3:
            raced = True
            instances.ask(one + chance.randrange(1, count))
            raced = False

    def after(operation: str) -> None:
        instances.now += chance.expovariate(50)
        if operation == "commit" and chance.random() < 0.05:
            raise UncertainError("the answer was lost")

    instances.documents.before, instances.documents.after = before, after
    ends = START + 600
    while instances.now < ends:
        kind = chance.random()
        if kind < 0.1:
            instances.now += chance.choice([0.3, 5.0, 21.0, 40.0, 59.5, 60.0, 60.5, 90.0])
        elif kind < 0.2:
            instances.dies(chance.randrange(count))
        rate, one = chance.choice([0.001, 0.05, 0.5, 2.0]), chance.randrange(count)
        for _ in range(chance.randrange(1, 150)):
            instances.now += chance.expovariate(1 / rate)
            one = one if kind < 0.5 else chance.randrange(count)
            instances.ask(one)
    return instances


def test_the_bounds_hold_while_commits_are_slow_raced_and_lost_and_instances_die() -> None:
    """Some simulated hours: what was decided when, by the true time, never leaves the two bounds."""
    refused = 0
    for seed in range(40):
        instances = simulate(seed)
        instances.check()
        refused += len(instances.refused)
    assert refused > 1_000


@pytest.mark.soak
def test_the_bounds_hold_for_days() -> None:
    """As before, for two weeks of one user's requests."""
    for seed in range(2_000):
        simulate(1_000 + seed).check()


@pytest.mark.parametrize("count", [1, 8, 100])
def test_a_flood_is_cut_between_80_and_120_and_opens_again(count: int) -> None:
    """A thousand requests in a minute, over one instance or a hundred; a minute later the user is served again."""
    instances = Instances([0.0] * count)
    for number in range(1_000):
        instances.now += 0.06
        instances.ask(number)
    instances.check()
    assert 80 <= instances.within_a_minute(sorted(instances.admitted), START + 60) <= 120
    instances.now += WINDOW_SECONDS + CLOCKS_DIFFER_SECONDS
    assert instances.ask(0)


def test_79_requests_a_minute_are_never_refused() -> None:
    """At any rhythm, whoever serves them: 79 at once every minute, and one in each three quarters of a second."""
    rhythms: list[Callable[[int], float]] = [
        lambda number: 60.01 if number % 79 == 0 else 0.0,
        lambda _: WINDOW_SECONDS / 79 + 0.001,
    ]
    for pause in rhythms:
        instances = Instances([0.25, -0.25, 0.1, 0.0, -0.1, 0.25, -0.25])
        for number in range(79 * 5):
            instances.now += pause(number)
            assert instances.ask(number)


def test_the_limit_costs_few_writes() -> None:
    """A hundred requests of one user at one instance: a write for about ten, and a refusal costs nothing."""
    instances = Instances([0.0])
    for _ in range(100):
        instances.ask(0)
    assert instances.documents.bill.writes <= 12
    while instances.ask(0):
        pass
    before = instances.documents.bill.taken()
    for _ in range(1_000):
        assert not instances.ask(0)
    assert instances.documents.bill.taken() == (0, 0, 0)
    assert before[1] <= 15


def test_threads_of_one_instance_share_its_leases(served: ServedApi) -> None:
    """Over the real store: 16 threads at 4 instances, one user; what is admitted lies between the two bounds."""
    limits = [RateLimits(lambda: served.documents, clock=lambda: START) for _ in range(4)]
    together = threading.Barrier(16)

    def ask(number: int) -> Counter[bool | None]:
        together.wait()
        told: Counter[bool | None] = Counter()
        for _ in range(15):
            try:
                limits[number % 4].admit("alice")
                told[True] += 1
            except ApiError as error:
                told[False if error.code is ErrorCode.RATE_LIMITED else None] += 1
        return told

    with ThreadPoolExecutor(16) as pool:
        told = sum(pool.map(ask, range(16)), Counter[bool | None]())
    assert told.total() == 240
    assert told[None] == 0
    assert MOST - SPARE <= told[True] <= MOST


def test_a_user_hears_how_things_stand_and_another_is_not_concerned(served: ServedApi) -> None:
    """The headers count down to a 429 that says when to come back; the limit is one user's."""
    from tests.functions.api.test_requests import ECHO

    address, alice, bob = served.instance(ECHO), served.user("alice"), served.user("bob")
    answers = [served.http.put(f"{address}/length", content=b"", headers=alice.headers) for _ in range(121)]
    assert [answer.status_code for answer in answers] == [200] * 120 + [429]
    assert [int(answer.headers["ratelimit-remaining"]) for answer in answers[:3]] == [99, 98, 97]
    assert answers[-1].json()["code"] == "RATE_LIMITED"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 61
    assert served.http.put(f"{address}/length", content=b"", headers=bob.headers).status_code == 200


def test_callers_that_prove_nothing_are_counted_without_a_write(served: ServedApi) -> None:
    """A flood without tokens ends in 429 by its address; the store hears nothing of it, and health of others lives."""
    address = served.instance()
    answers = [served.http.get(f"{address}/health").status_code for _ in range(121)]
    assert answers == [200] * 120 + [429]
    assert served.http.get(f"{address}/nowhere").status_code == 429
    other = served.http.get(f"{address}/health", headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.9"})
    assert other.status_code == 200
    assert served.documents.page("_limits", "", 1) == []


def test_all_strangers_together_have_a_ceiling_too() -> None:
    """A flood from many addresses: the ceiling holds, also of the memory for counting, and ends with its minute."""
    now = START
    limits = AddressLimits(clock=lambda: now, each=2, all_together=5)
    for number in range(5):
        limits.admit(str(number))
    with pytest.raises(ApiError):
        limits.admit("9")
    now += WINDOW_SECONDS
    limits.admit("9")
