"""Whatever a client writes, over the wire: each document gets its answer, none stands in the way of another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud import firestore

from afterimage.ledger.roll_up import RollUp
from afterimage.paths import OPERATIONS_TOTALS
from afterimage_emulator.background import BackgroundSuite
from tests.functions.ledger.crowd import Crowd

GOOD = {"model": "house-model", "cost_usd": 0.5, "cached": False, "cache_hit_count": 0, "latency_ms": 7}
REJECTED = {
    "negative": GOOD | {"cost_usd": -1},
    "not a number": GOOD | {"cost_usd": float("nan")},
    "endless": GOOD | {"cost_usd": float("inf")},
    "text": GOOD | {"cost_usd": "0.5"},
    "beyond a double's integers": GOOD | {"cost_usd": 2**53 + 1},
    "beyond everything": GOOD | {"cost_usd": 10.0**300},
    "model of the wrong kind": GOOD | {"model": {"a": [1]}},
}
BOOKED: dict[str, dict[str, Any]] = {
    "good": GOOD,
    "имя-файла-é-😀": GOOD,
    "the year 1": GOOD
    | {"generated_at": datetime(1, 1, 1, tzinfo=UTC), "last_accessed": datetime(1, 1, 1, tzinfo=UTC)},
    "the future": GOOD | {"generated_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)},
    "a model of 200 KB": GOOD | {"model": "x" * 200_000},
    "wrong kinds": GOOD | {"latency_ms": "fast", "cache_hit_count": [3], "cached": 7, "input_tokens": {"a": 1}},
    "no model": {key: value for key, value in GOOD.items() if key != "model"},
}
UNPRICED: dict[str, dict[str, Any]] = {"nothing at all": {}, "no cost": {"model": "house-model"}}


@pytest.fixture
def crowd(ledger_suite: BackgroundSuite, project_id: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    for name, value in ledger_suite.environment().items():
        monkeypatch.setenv(name, value)
    found = Crowd(ledger_suite, project_id, seed=3)
    yield found
    found.leave()


def elsewhere() -> object:
    """A document of another project."""
    return firestore.Client(project="demo-elsewhere").document("a/b")


@pytest.mark.parametrize("by", ["events", "audit"])
def test_every_bad_document_is_answered_and_none_blocks_another(crowd: Crowd, by: str) -> None:
    """By its event or by the audit: rejected, unpriced or booked; operators see how many; a second audit is clean."""
    documents = {**REJECTED, **BOOKED, **UNPRICED, "a reference elsewhere": GOOD | {"source": elsewhere()}}
    for name, fields in documents.items():
        crowd.create(f"ai_outputs/борис/dialogues/{name}", fields)
    crowd.suite.settled()
    events = crowd.events()
    assert len(events) == len(documents)
    if by == "events":
        crowd.handle(events)
    assert crowd.audit("борис") == (by == "events")
    assert crowd.audit("борис")
    crowd.roll_up()
    RollUp(store=crowd.store).publish_user("борис")
    totals = crowd.client.document(OPERATIONS_TOTALS).get().get("totals")
    booked = len(BOOKED) + 1
    assert totals["rejected"] == len(REJECTED)
    assert totals["unpriced"] == len(UNPRICED)
    assert totals["generations"] == booked + len(UNPRICED)
    assert totals["cost_nano_usd"] == booked * 500_000_000
    for name in REJECTED:
        record = crowd.client.document(f"usage/борис/records/dialogues~{name}").get().to_dict() or {}
        assert (record["status"], len(record["reasons"])) == ("rejected", 1)
