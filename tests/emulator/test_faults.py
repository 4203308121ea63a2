"""Fault rules: what they match, how often they strike, and how they read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.faults import EVENT_ACTIONS, REQUEST_ACTIONS, FaultRule, Faults
from afterimage_emulator.status import Code, StatusError

FINALIZED = {"type": "google.cloud.storage.object.v1.finalized", "bucket": "b", "subject": "objects/a.jpg"}


def test_without_rules_every_event_is_delivered_once_and_every_request_served() -> None:
    """The suite is faultless until it is told otherwise."""
    faults = Faults()
    assert list(faults.deliveries(FINALIZED)) == [0.0]
    assert faults.for_request(service="firestore", method="Commit", resource="") is None


def test_a_rule_strikes_only_what_all_its_globs_match() -> None:
    """Globs are joined by "and"; what an event does not carry matches only `*` and the empty glob."""
    faults = Faults()
    faults.add(FaultRule(action="drop", match={"type": "*.finalized", "subject": "objects/*.jpg"}))
    assert list(faults.deliveries(FINALIZED)) == []
    assert list(faults.deliveries(FINALIZED | {"subject": "objects/a.png"})) == [0.0]
    assert list(faults.deliveries({"type": "x.finalized"})) == [0.0]


def test_duplicates_come_as_many_times_more_as_asked_and_as_late() -> None:
    """`copies` counts deliveries beyond the first; `seconds` delays them, not the first."""
    faults = Faults()
    faults.add(FaultRule(action="duplicate", copies=2, seconds=1.5))
    assert list(faults.deliveries(FINALIZED)) == [0.0, 1.5, 1.5]


def test_a_redelivery_is_for_acknowledgements_alone() -> None:
    """Its turns are not used up by events or requests, nor theirs by an acknowledgement."""
    faults = Faults()
    identifier = faults.add(FaultRule(action="redeliver", match={"subscription": "jobs-*"}, times=1, seconds=3))
    faults.add(FaultRule(action="drop", times=1))
    assert faults.redelivery({"subscription": "other"}) is None
    assert faults.for_request(service="pubsub", method="Acknowledge", resource="") is None
    assert [faults.redelivery({"subscription": "jobs-1"}) for _ in range(2)] == [3, None]
    assert list(faults.deliveries(FINALIZED)) == []
    assert [listed["struck"] for listed in faults.listing()] == [1, 1]
    faults.remove(identifier)
    assert len(faults.listing()) == 1


def test_times_and_skip_choose_exactly_which_matches_are_struck() -> None:
    """The third and fourth match, and no other."""
    faults = Faults()
    faults.add(FaultRule(action="fail", skip=2, times=2))
    struck = [faults.for_request(service="s", method="m", resource="") is not None for _ in range(6)]
    assert struck == [False, False, True, True, False, False]


@given(seed=st.integers(0, 2**32), probability=st.floats(0.05, 0.95))
def test_chance_is_repeatable(seed: int, probability: float) -> None:
    """The same seed gives the same faults, so that a failing run can be run again."""

    def run() -> list[list[float]]:
        faults = Faults()
        faults.add(FaultRule(action="drop", probability=probability, seed=seed))
        faults.add(FaultRule(action="reorder", seconds=1, seed=seed))
        return [list(faults.deliveries(FINALIZED)) for _ in range(30)]

    assert run() == run()


def test_a_removed_rule_strikes_no_more() -> None:
    """Rules can be taken back one by one; an unknown id is named."""
    faults = Faults()
    kept = faults.add(FaultRule(action="fail", match={"method": "Commit"}))
    removed = faults.add(FaultRule(action="fail", match={"method": "Listen"}))
    faults.remove(removed)
    assert faults.for_request(service="firestore", method="Listen", resource="") is None
    assert faults.for_request(service="firestore", method="Commit", resource="") is not None
    assert [listed["id"] for listed in faults.listing()] == [kept]
    with pytest.raises(StatusError, match="`fault-99`"):
        faults.remove("fault-99")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "`None`"),
        ({"action": "explode"}, "`explode`"),
        ({"action": "drop", "colour": 1}, "`colour`"),
        ({"action": "fail", "code": "OOPS"}, "`OOPS`"),
        ({"action": "drop", "times": "3"}, "`times`"),
        ({"action": "drop", "copies": True}, "`copies`"),
        ({"action": "drop", "match": {"type": 3}}, "`match.type`"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_fault_named(body: dict[str, object], named: str) -> None:
    """Whoever writes a rule by hand is told which word is wrong."""
    with pytest.raises(StatusError) as caught:
        FaultRule.from_json(body)
    assert named in caught.value.message
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("action", sorted(EVENT_ACTIONS | REQUEST_ACTIONS))
def test_a_rule_reads_back_as_it_was_written(action: str) -> None:
    """What GET shows can be sent to POST."""
    rule = FaultRule(action=action, match={"method": "C*"}, times=3, seed=7, code=Code.ABORTED)
    assert FaultRule.from_json(rule.to_json()) == rule
