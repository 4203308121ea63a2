"""The whole way: clients write through official SDKs, triggers run in processes of their own, the books stand."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from google.cloud import firestore, storage

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule
from tests.functions.eventually import PATIENCE_SECONDS, eventually


class Client:
    """A client that knows the contract and nothing else."""

    def __init__(self, suite: BackgroundSuite) -> None:
        self.suite = suite
        self.uid = f"user-{uuid.uuid4().hex[:8]}"
        self.firestore = firestore.Client(project=suite.project_id)
        self.bucket = storage.Client(project=suite.project_id).bucket(suite.default_bucket)

    def dialogue(self, name: str) -> Any:
        return self.firestore.document(f"ai_outputs/{self.uid}/dialogues/{name}")

    def books(self) -> dict[str, Any]:
        """One get."""
        found: dict[str, Any] = self.firestore.document(f"usage/{self.uid}").get().to_dict() or {}
        return found

    def figure(self, *path: str) -> Any:
        found: Any = self.books()
        for name in path:
            found = found.get(name, {}) if isinstance(found, dict) else {}
        return found

    def roll_up(self) -> None:
        """What is done every minute, when all that has been raised so far is booked."""
        self.suite.settled(PATIENCE_SECONDS)
        self.suite.call(lambda: self.suite.suite.run_schedule("ledger_roll_up"))


@pytest.fixture
def client(functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    functions_suite.clear_faults()
    return Client(functions_suite)


def test_outputs_hits_and_bytes_reach_the_books(client: Client) -> None:
    """Created, read from the cache, deleted; a file stored and removed; each event delivered twice."""
    client.suite.add_fault(FaultRule(action="duplicate", match={"document": f"ai_outputs/{client.uid}/*"}, copies=1))
    fields = {"model": "gemini-2.5-flash", "cost_usd": 0.1, "cached": True, "cache_hit_count": 0, "latency_ms": 480}
    client.dialogue("c_1").set(fields)
    eventually(client.suite, lambda: client.figure("total_generations") == 1)
    assert client.figure("total_cost_usd") == 0.1
    client.dialogue("c_1").update(
        {"cache_hit_count": firestore.Increment(1), "last_accessed": firestore.SERVER_TIMESTAMP}
    )
    eventually(client.suite, lambda: client.figure("totals", "cache_hits") == 1)
    assert client.figure("totals", "saved_nano_usd") == 100_000_000
    record = client.firestore.document(f"usage/{client.uid}/records/dialogues~c_1").get().to_dict() or {}
    assert (record["status"], record["model_version"], record["cost_source"]) == ("booked", "2.5.20251001", "reported")
    assert client.dialogue("c_1").get().to_dict().keys() == {*fields, "last_accessed"}
    blob = client.bucket.blob(f"users/{client.uid}/ai_generated/audio/stems/bass_1.opus")
    blob.upload_from_string(b"OggS" + bytes(96), "audio/opus")
    eventually(client.suite, lambda: client.figure("storage", "bytes", "audio") == 100)
    blob.delete()
    client.dialogue("c_1").delete()
    eventually(client.suite, lambda: client.figure("storage", "bytes", "audio") == 0)
    assert client.figure("total_generations") == 1
    assert client.figure("totals", "cost_nano_usd") == 100_000_000


def test_hits_after_a_counter_was_set_back_count_on(client: Client) -> None:
    """The events of a real trigger tell what a save replaced; each comes three times and in any order."""
    client.suite.add_fault(FaultRule(action="duplicate", match={"document": f"ai_outputs/{client.uid}/*"}, copies=2))
    client.suite.add_fault(FaultRule(action="reorder", seconds=0.2, match={"document": f"ai_outputs/{client.uid}/*"}))
    fields = {"model": "house-model", "cost_usd": 0.5, "cached": True, "cache_hit_count": 0}
    for count in (0, 1, 2, 3, 0, 1, 2, 0, 1):
        client.dialogue("c_1").set(fields | {"cache_hit_count": count})
    client.roll_up()
    eventually(client.suite, lambda: client.figure("totals", "cache_hits") == 3 + 2 + 1)
    assert client.figure("totals", "saved_whole_usd") == 3


def test_a_hot_user_and_the_operators_follow_within_a_minute(client: Client) -> None:
    """Twelve outputs at once go partly to buckets; the roll-up of the next minute brings all of them together."""
    for number in range(12):
        client.dialogue(f"h_{number}").set({"model": "house-model", "cost_usd": 1, "cached": number % 2 == 0})
    client.suite.settled(PATIENCE_SECONDS)
    client.suite.advance_clock(61)
    eventually(client.suite, lambda: client.figure("total_generations") == 12)
    assert client.figure("cache_rate") == 0.5
    assert list(client.firestore.collection(f"usage/{client.uid}/buckets").stream()) == []
    published = client.firestore.document(f"usage/{client.uid}/published/operations")
    eventually(client.suite, lambda: (published.get().to_dict() or {}).get("totals", {}).get("cost_whole_usd") == 12)
    assert client.firestore.document("operations/totals").get().get("totals.generations") >= 12


def test_a_lost_event_is_found_by_the_audit_job(client: Client) -> None:
    """A message on the topic audits one user; its progress stands in `_jobs`."""
    from google.cloud import pubsub_v1

    rule = client.suite.add_fault(FaultRule(action="drop", match={"document": f"ai_outputs/{client.uid}/*"}))
    client.dialogue("lost").set({"model": "house-model", "cost_usd": 2, "cached": False})
    client.suite.settled(PATIENCE_SECONDS)
    assert client.books() == {}
    client.suite.call(lambda: client.suite.suite.faults.remove(rule))
    publisher = pubsub_v1.PublisherClient()
    topic = publisher.topic_path(client.suite.project_id, "ledger.audit")
    job = f"audit-{client.uid}"
    publisher.publish(topic, f'{{"job": "{job}", "user": "{client.uid}"}}'.encode()).result(timeout=30)
    eventually(client.suite, lambda: client.figure("total_generations") == 1)
    eventually(
        client.suite, lambda: (client.firestore.document(f"_jobs/{job}").get().to_dict() or {}).get("state") == "done"
    )
    assert client.figure("total_cost_usd") == 2
