"""The real handlers over the suite, through the official SDK, with faults where the network would have them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from google.cloud import firestore

from afterimage.jobs.ledger_cursor import packed, unpacked
from afterimage.jobs.ledger_jobs import users_after
from afterimage.jobs.schedules.minute import MinuteRounds
from afterimage.ledger import survey
from afterimage.ledger.audit import Auditor
from afterimage.ledger.roll_up import RollUp, every
from afterimage.paths import OPERATIONS_TOTALS, ROLL_UP_MARK, books_path
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.functions.ledger.crowd import Crowd
from tests.functions.ledger.simulation import PRICES

USERS = ["ana", "борис"]


@pytest.fixture
def crowd(ledger_suite: BackgroundSuite, project_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    for name, value in ledger_suite.environment().items():
        monkeypatch.setenv(name, value)
    found = Crowd(ledger_suite, project_id, seed=11)
    yield found
    ledger_suite.clear_faults()
    found.leave()


def network_faults(suite: BackgroundSuite, probability: float) -> None:
    """Commits refused, and commits applied whose answers are lost, in the ways that the SDK treats differently."""
    for number, (action, code) in enumerate(
        [
            ("fail", Code.ABORTED),
            ("fail", Code.UNAVAILABLE),
            ("apply_then_fail", Code.UNAVAILABLE),
            ("apply_then_fail", Code.DEADLINE_EXCEEDED),
            ("apply_then_fail", Code.ABORTED),
        ]
    ):
        match = {"service": "firestore", "method": "*Commit"}
        suite.add_fault(FaultRule(action=action, code=code, match=match, probability=probability, seed=number))


def test_books_are_exact_over_the_wire(crowd: Crowd) -> None:
    """Duplicates, disorder, four handlers at once, commits refused and answers lost: equal to the nano-dollar."""
    struck = 0
    for _ in range(3):
        for _ in range(25):
            crowd.act(USERS, documents=5)
        crowd.suite.settled()
        events = crowd.events() * 2
        crowd.dice.shuffle(events)
        network_faults(crowd.suite, 0.05)
        crowd.handle(events)
        struck += sum(rule["struck"] for rule in crowd.suite.suite.faults.listing())
        crowd.suite.clear_faults()
    assert struck > 10
    assert crowd.mismatches(USERS) == []
    crowd.roll_up()
    assert crowd.mismatches(USERS) == []
    assert all(crowd.audit(user) for user in USERS)


def test_an_audit_heals_what_was_lost_and_then_writes_nothing(crowd: Crowd) -> None:
    """Not one event arrived; the audit reads what clients wrote, once, and a second run leaves every document alone."""
    for number in range(12):
        crowd.create(f"ai_outputs/ana/dialogues/d_{number}", crowd.output())
    crowd.suite.settled()
    crowd.events()
    assert not crowd.audit("ana")
    assert crowd.mismatches(["ana"]) == []
    collections = ["usage", "usage/ana/records", "usage/ana/repairs", "usage/ana/buckets"]
    before = [found for name in collections for found in every(crowd.store, name)]
    assert crowd.audit("ana")
    assert [found for name in collections for found in every(crowd.store, name)] == before


def test_an_audit_in_turns_reads_one_moment(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every turn reads the same past through the official SDK, while clients write and their events are booked."""
    monkeypatch.setattr(survey, "LOOKS_AT_THE_CLOCK_EVERY", 3)
    for number in range(12):
        crowd.create(f"ai_outputs/ana/dialogues/d_{number:02}", crowd.output())
    crowd.suite.settled()
    crowd.events()
    auditor = Auditor(keeper=crowd.keeper, prices=PRICES)
    reports = [auditor.audit("ana", is_over=lambda: True)]
    while rest := reports[-1].rest:
        turn = len(reports)
        crowd.create(f"ai_outputs/ana/dialogues/z_{turn}", crowd.output())
        crowd.change(f"ai_outputs/ana/dialogues/d_{turn:02}", {"cost_usd": turn / 8})
        crowd.suite.settled()
        crowd.handle(crowd.events())
        reports.append(auditor.audit("ana", progress=unpacked(packed(rest)), is_over=lambda: True))
    assert len(reports) == 4
    assert reports[-1].drift == {}
    assert crowd.mismatches(["ana"]) == []
    assert crowd.audit("ana")


def test_users_are_found_page_by_page_whatever_stands_of_them(crowd: Crowd) -> None:
    """Those with books, those with outputs and no books, non-ASCII ids; other collections of the same name are not."""
    for path in (
        "ai_outputs/ana/dialogues/1", "ai_outputs/ana/dialogues/2", "ai_outputs/борис/audio/1",
        "generations/cora/files/1", "usage/dan", "elsewhere/eve/images/1", "ai_outputs/zoe/videos/1", "zzz/zoe/files/1",
    ):  # fmt: skip
        crowd.client.document(path).set({"text": "x"})
    found: list[str] = []
    while page := users_after(crowd.store, found[-1] if found else "", 2):
        found += page
    assert found == ["ana", "cora", "dan", "zoe", "борис"]


def test_a_hot_user_is_exact(crowd: Crowd) -> None:
    """Sixty outputs at once by eight handlers: the books come together after the roll-up, shown figures and all."""
    for number in range(60):
        crowd.create(f"ai_outputs/ana/dialogues/d_{number}", crowd.output())
    crowd.suite.settled()
    crowd.handle(crowd.events(), threads=8)
    assert crowd.mismatches(["ana"]) == []
    crowd.roll_up()
    found = crowd.client.document(books_path("ana")).get().to_dict() or {}
    assert found["total_generations"] == 60
    assert found["avg_cost_per_generation"] == pytest.approx(found["total_cost_usd"] / 60)
    assert list(every(crowd.store, "usage/ana/buckets")) == []
    assert crowd.mismatches(["ana"]) == []


def test_books_that_were_filled_to_the_end_come_right(crowd: Crowd) -> None:
    """Where additions have stopped at the end of an integer, one audit brings the true sums back, and a second none."""
    for number in range(3):
        crowd.create(f"ai_outputs/ana/dialogues/d_{number}", crowd.output() | {"cost_usd": 999.5})
    crowd.suite.settled()
    crowd.handle(crowd.events())
    books = crowd.client.document(books_path("ana"))
    books.update({"totals.saved_nano_usd": firestore.Increment(2**63 - 1), "totals.cost_nano_usd": 2**63 - 1})
    books.update({"totals.saved_nano_usd": firestore.Increment(2**63 - 1)})
    assert not crowd.audit("ana")
    assert crowd.audit("ana")
    assert crowd.mismatches(["ana"]) == []


def hurried(crowd: Crowd) -> MinuteRounds:
    """MinuteRounds that have time for one user's buckets and one user."""
    roll_up = RollUp(store=crowd.store, together=1, wait=lambda _seconds: None)
    return MinuteRounds(roll_up=roll_up, seconds_a_half=0.0)


@pytest.mark.parametrize("was_done", [False, True])
def test_publishing_comes_further_every_minute(crowd: Crowd, was_done: bool) -> None:
    """A run goes on at the user where the last one had to end, also while it looks back from where all was done."""
    for user in ("ana", "bob", "cora"):
        crowd.create(f"ai_outputs/{user}/dialogues/d", crowd.output())
    crowd.suite.settled()
    crowd.handle(crowd.events(), threads=1)
    if was_done:
        touched = crowd.client.document("usage/cora").get().get("touched_at")
        crowd.client.document(ROLL_UP_MARK).set({"published_to": touched + timedelta(seconds=1)})
    for _ in range(6):
        hurried(crowd).first()
    found = crowd.client.document(OPERATIONS_TOTALS).get().to_dict() or {}
    assert found["totals"]["generations"] == 3


def test_buckets_that_fill_at_once_keep_no_other_user_waiting(crowd: Crowd) -> None:
    """A run begins behind the bucket where the last one had to end, whatever has come before that meanwhile."""
    for user in ("ana", "bob", "cora"):
        crowd.client.document(f"usage/{user}/buckets/00").set({"totals": {"generations": 1}})
    for _ in range(4):
        hurried(crowd).first()
        crowd.client.document("usage/ana/buckets/00").set({"totals": {"generations": 1}})
    held = [found.to_dict() for found in crowd.client.collection("usage").stream()]
    assert [(fields or {})["totals"]["generations"] for fields in held] == [2, 1, 1]
