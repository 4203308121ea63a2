"""Accounts stay exact through thousands of mixed events, lost, doubled, late, and cut off half-way."""

from __future__ import annotations

import random
import sys

import pytest

from tests.functions.artifacts.desk import Desk
from tests.functions.quota.history import USERS, History

EVENTS_IN_THE_SOAK = 20_000


@pytest.mark.parametrize("seed", range(12))
def test_accounts_do_not_drift(seed: int) -> None:
    """After every hundred events the account is the sum of what is there; in the end nothing is left over."""
    history = History(seed)
    for hundreds in range(1, 6):
        history.run(hundreds * 100)
        faults, history.faults = history.faults, 0.0
        assert history.drift() == [], f"seed {seed} after {history.events}"
        history.faults = faults
    history.settle()
    assert history.drift() == [], f"seed {seed}"
    assert history.desk.faults() == [], f"seed {seed}"
    assert all(history.desk.quota(user).get("reserved_bytes", 0) == 0 for user in USERS)


@pytest.mark.soak
def test_twenty_thousand_events_leave_no_drift() -> None:
    """One long world after the other; the seeds are printed, so that any of them can be run again."""
    first = random.randrange(2**32)
    events = worlds = 0
    while events < EVENTS_IN_THE_SOAK:
        history = History(first + worlds)
        history.run(1_000)
        history.settle()
        assert history.drift() == [], f"seed {first + worlds}"
        assert history.desk.faults() == [], f"seed {first + worlds}"
        events += history.events
        worlds += 1
    sys.stdout.write(f"{events} events in {worlds} worlds, seeds {first} to {first + worlds - 1}: no drift\n")


def test_the_audit_finds_and_mends_what_is_wrong() -> None:
    """An account that was tampered with, a wrong count of references, bytes that vanished without an event."""
    history = History(3, faults=0.0)
    desk: Desk = history.desk
    first = desk.save(b"one" * 9)
    desk.save(b"two" * 9, name="two.txt")
    account, created, updated = desk.store.documents["quota/ana"]
    desk.store.documents["quota/ana"] = ({**account, "used_bytes": 7, "reserved_bytes": 5}, created, updated)
    name = f"artifacts/ana/blobs/{first.head.newest.digest}"
    content, created, updated = desk.store.documents[name]
    desk.store.documents[name] = ({**content, "references": 4}, created, updated)
    report = history.auditor.audit("ana", repair=False)
    assert (report.used_drift, report.reserved_drift, report.wrong_references) == (7 - 54, 5, 1)
    assert desk.quota()["used_bytes"] == 7
    history.auditor.audit("ana")
    assert history.auditor.audit("ana").is_clean
    assert desk.faults() == []
    del desk.uploads.files["originals", name]
    assert history.auditor.audit("ana").lost_contents == 1
    assert desk.quota()["used_bytes"] == 27
    assert desk.faults() == []
