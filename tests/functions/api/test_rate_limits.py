"""The limit of requests over all instances: what is admitted and refused, and what that costs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.api.admission.rate_limits import LEASE_SECONDS, MOST, SPARE, WINDOW_SECONDS, AddressLimits, RateLimits
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.api.conftest import ServedApi

START = 1_800_000_000.0


@dataclass
class Instances:
    """Several instances of the API with one store and one clock, and everything that one user was told."""

    count: int
    now: float = START
    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = [RateLimits(lambda: self.documents, clock=lambda: self.now) for _ in range(self.count)]

    def ask(self, instance: int) -> bool:
        try:
            allowance = self.limits[instance % self.count].admit("alice")
        except ApiError as error:
            if error.code is not ErrorCode.RATE_LIMITED or int(error.headers["Retry-After"]) < 1:
                raise
            self.refused.append(self.now)
            return False
        assert allowance.remaining < 100
        self.admitted.append(self.now)
        return True

    def within(self, seconds: float, until: float) -> int:
        return sum(until - seconds < moment <= until for moment in self.admitted)

    def check(self) -> None:
        """What is promised, for every moment at which anything was asked."""
        for moment in self.admitted:
            assert self.within(WINDOW_SECONDS, moment) <= MOST
        for moment in self.refused:
            assert self.within(WINDOW_SECONDS + LEASE_SECONDS, moment) >= MOST - SPARE


@given(st.integers(1, 40), st.lists(st.tuples(st.sampled_from([0, 0.01, 0.2, 1, 4.9, 6, 55, 61]), st.integers(0, 39),
                                              st.integers(1, 90)), max_size=60))  # fmt: skip
def test_whichever_instances_serve_nobody_is_refused_too_early_or_admitted_too_often(
    count: int, asked: Sequence[tuple[float, int, int]]
) -> None:
    """Bursts, pauses and any number of instances: never above 120 in 60 s, never refused under 80 in 65 s."""
    instances = Instances(count)
    for pause, instance, burst in asked:
        instances.now += pause
        for number in range(burst):
            # Either one instance takes the whole burst, or it is spread over all.
            instances.ask(instance + (number if burst % 2 else 0))
    instances.check()


@pytest.mark.parametrize("count", [1, 8, 100])
def test_a_flood_is_cut_between_80_and_120_and_opens_again(count: int) -> None:
    """A thousand requests in a minute, over one instance or a hundred; a minute later the user is served again."""
    instances = Instances(count)
    for number in range(1_000):
        instances.now += 0.06
        instances.ask(number)
    instances.check()
    assert 80 <= instances.within(WINDOW_SECONDS, START + 60) <= 120
    instances.now += WINDOW_SECONDS + LEASE_SECONDS
    assert instances.ask(0)


def test_the_limit_costs_few_writes() -> None:
    """A hundred requests of one user at one instance: a write for about ten, and a refusal costs nothing."""
    instances = Instances(1)
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
    assert told[True] + told[None] >= MOST - SPARE
    assert told[True] <= MOST


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
