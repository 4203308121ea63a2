"""Services that keep entries: through any course of changes, what the next start finds is what there was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.kept_services import Keeping
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import cloud_tasks_v2, iam_v1, pubsub_v1
from afterimage_emulator.pubsub.exports import broker_state
from afterimage_emulator.pubsub.service import PubSubService
from afterimage_emulator.pubsub.topics.broker import Broker
from afterimage_emulator.status import StatusError
from afterimage_emulator.suite import Suite
from afterimage_emulator.tasks.kept_queues import kept_task
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.service import TasksService
from afterimage_emulator.wire.grpc_methods import Call
from tests.emulator.functions.running import Running, environment_for, new_service

NOW = datetime(2031, 1, 1, tzinfo=UTC)
PROJECT = "projects/demo-kept"
CALL = Call(method="", metadata={})


@asynccontextmanager
async def kept_in(folder: Path, name: str, make: Callable[[KeptEntries, Clock], Any]) -> AsyncIterator[Any]:
    """A service over the folder. What it holds at the end is not told to the journal, as in a suite that is killed."""
    clock = Clock()
    keeping = Keeping(folder, clock)
    service = make(keeping.entries(name), clock)
    keeping.take_back({})
    if not clock.is_frozen:
        clock.freeze(NOW)
    try:
        yield service
    finally:
        keeping.close()
        await service.close()


# -- any course of changes


def pubsub_over(entries: KeptEntries, clock: Clock) -> PubSubService:
    activity, faults = Activity(), Faults()
    events = EventBus(clock=clock, faults=faults, activity=activity)
    return PubSubService(clock=clock, events=events, activity=activity, faults=faults, keeping=entries)


def change_topics(broker: Broker, clock: Clock, chance: random.Random) -> None:
    topic = f"{PROJECT}/topics/topic-{chance.randrange(3)}"
    name = f"{PROJECT}/subscriptions/sub-{chance.randrange(4)}"
    kind = chance.random()
    if kind < 0.1:
        new_topic = pubsub_v1.Topic(name=topic)
        if chance.random() < 0.5:
            new_topic.message_retention_duration.seconds = 3600
        broker.create_topic(new_topic)
    elif kind < 0.13:
        broker.delete_topic(topic)
    elif kind < 0.25:
        wanted = pubsub_v1.Subscription(name=name, topic=topic, enable_message_ordering=chance.random() < 0.5)
        wanted.retain_acked_messages = chance.random() < 0.5
        broker.create_subscription(wanted)
    elif kind < 0.27:
        broker.delete_subscription(name)
    elif kind < 0.29:
        broker.detach(broker.subscription(name))
    elif kind < 0.32:
        broker.change_subscription(pubsub_v1.Subscription(name=name, labels={"a": str(kind)}), ["labels"])
    elif kind < 0.46:
        seek(broker, name, clock, chance)
    elif kind < 0.47:
        wanted_policy = iam_v1.SetIamPolicyRequest(resource=topic, policy=iam_v1.Policy(version=1))
        broker.policies.set_iam_policy(wanted_policy, CALL)
    elif kind < 0.5:
        definition = '{"type": "record", "name": "A", "fields": []}'
        schema = pubsub_v1.Schema(type_=pubsub_v1.Schema.Type.Value("AVRO"), definition=definition)
        broker.schemas.create(f"{PROJECT}/schemas/schema-{chance.randrange(2)}", schema)
    elif kind < 0.51:
        broker.delete_schema(f"{PROJECT}/schemas/schema-{chance.randrange(2)}")
    elif kind < 0.515:
        broker.clear()
    elif kind < 0.55:
        clock.advance(chance.choice([1, 30, 900]))
    else:
        use_messages(broker, topic, name, chance)


def seek(broker: Broker, name: str, clock: Clock, chance: random.Random) -> None:
    snapshot, kind = f"{PROJECT}/snapshots/snap-{chance.randrange(2)}", chance.random()
    if kind < 0.4:
        broker.snapshots.create(snapshot, broker.subscription(name), labels=(), last_number=broker.last_number)
    elif kind < 0.5:
        broker.snapshots.delete(snapshot)
    elif kind < 0.75:
        broker.snapshots.seek_to_snapshot(broker.subscription(name), snapshot)
    else:
        broker.snapshots.seek_to_time(broker.subscription(name), clock.now_ns() - chance.randrange(60) * 10**9)


def use_messages(broker: Broker, topic: str, name: str, chance: random.Random) -> None:
    if chance.random() < 0.5:
        message = pubsub_v1.PubsubMessage(data=chance.randbytes(9), ordering_key=chance.choice(["", "a", "b"]))
        broker.publish(topic, [message])
        return
    subscription = broker.subscription(name)
    taken = subscription.backlog.take(count=2, deadline_seconds=10)
    if chance.random() < 0.7:
        subscription.backlog.acknowledge([ack_id for ack_id, _ in taken])


def topics_as_they_are(broker: Broker) -> dict[str, Any]:
    """As an export has it, but for what a start decides anew; times to the microsecond, as messages tell them."""
    for log in broker.snapshots.logs.values():
        log.trim(broker._clock.now_ns())
    for subscription in broker.all_subscriptions():
        subscription.kept.trim(subscription.backlog.oldest_ns)
    state = broker_state(broker)
    for entries in (*state["kept"].values(), *(each["messages"] for each in state["snapshots"])):
        _round(entries)
    for each in state["subscriptions"]:
        del each["lastUsedNs"]
        _round(each["messages"])
        _round(each["acknowledged"])
        for entry in each["acknowledged"]:
            entry["attempt"] = 0  # one that is sought for begins anew
    state["subscriptions"].sort(key=lambda each: str(each["settings"]["name"]))
    state["topics"].sort(key=lambda each: str(each["name"]))
    return state


def _round(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry["published_ns"] //= 1000


@pytest.mark.parametrize("seed", range(6))
async def test_topics_come_back_as_they_were(tmp_path: Path, seed: int) -> None:
    """Topics, subscriptions, messages with their attempts, what may be sought for, snapshots, schemas, policies."""
    chance = random.Random(seed)
    expected: dict[str, Any] | None = None
    for _ in range(4):
        async with kept_in(tmp_path, "pubsub", pubsub_over) as service:
            broker: Broker = service.broker
            if expected is not None:
                assert topics_as_they_are(broker) == expected
            for _ in range(150):
                with suppress(StatusError):
                    change_topics(broker, broker._clock, chance)
                await asyncio.sleep(0)
                broker.check_invariants()
            expected = topics_as_they_are(broker)
    assert expected is not None


def tasks_over(entries: KeptEntries, clock: Clock) -> TasksService:
    return TasksService(clock=clock, activity=Activity(), keeping=entries)


def change_queues(queues: Queues, clock: Clock, chance: random.Random) -> None:
    parent = f"{PROJECT}/locations/us-central1"
    queue, kind = f"{parent}/queues/queue-{chance.randrange(3)}", chance.random()
    task = f"{queue}/tasks/{chance.randrange(9)}"
    if kind < 0.1:
        queues.create_queue(parent, cloud_tasks_v2.Queue(name=queue))
    elif kind < 0.15:
        queues.delete_queue(queue)
    elif kind < 0.2:
        queues.set_state(queue, chance.choice(["PAUSED", "RUNNING"]))
    elif kind < 0.22:
        queues.purge(queue)
    elif kind < 0.24:
        clock.advance(chance.choice([60, 90_000, 300_000]))
    elif kind < 0.245:
        queues.clear()
    elif kind < 0.8:
        request = cloud_tasks_v2.HttpRequest(url="http://127.0.0.1:9/", body=chance.randbytes(9))
        queues.create_task(queue, cloud_tasks_v2.Task(name=task, http_request=request))
    else:
        queues.delete_task(task)


def queues_as_they_are(queues: Queues) -> Mapping[str, Any]:
    now_ns = queues._clock.now_ns()
    return {
        "queues": {
            queue.name: (
                queue.settings.SerializeToString(deterministic=True),
                {task.name: kept_task(task) for task in queue.tasks()},
            )
            for queue in queues.all_queues()
        },
        "ended": queues.ended_names(),
        "deleted": {name: until for name, until in queues._deleted_queues.items() if until > now_ns},
    }


@pytest.mark.parametrize("seed", range(4))
async def test_queues_come_back_as_they_were(tmp_path: Path, seed: int) -> None:
    """Queues, tasks with how far they have come, and names that cannot be used again yet."""
    chance = random.Random(seed)
    expected: Mapping[str, Any] | None = None
    for _ in range(4):
        async with kept_in(tmp_path, "tasks", tasks_over) as service:
            queues: Queues = service.queues
            if expected is not None:
                assert queues_as_they_are(queues) == expected
            for _ in range(120):
                with suppress(StatusError):
                    change_queues(queues, queues._clock, chance)
                await asyncio.sleep(0)
                queues.check_invariants()
            expected = queues_as_they_are(queues)
    assert expected is not None


# -- events and schedules


FAILING = """
from firebase_functions import pubsub_fn

@pubsub_fn.on_message_published(topic="kept", retry=True)
def patient(event):
    raise RuntimeError("not yet")
"""
HEARD = """
import os
from firebase_functions import pubsub_fn, scheduler_fn

@pubsub_fn.on_message_published(topic="kept", retry=True)
def patient(event):
    note("patient " + event.id)

@scheduler_fn.on_schedule(schedule="every 5 minutes")
def often(event):
    note("often " + event.schedule_time.isoformat())

def note(text):
    with open(os.environ["OUT_FILE"], "a") as file:
        file.write(text + "\\n")
"""


@asynccontextmanager
async def functions_over(folder: Path, source: Path) -> AsyncIterator[Running]:
    clock = Clock(frozen_at=NOW)
    keeping = Keeping(folder / "data", clock)
    running = new_service(source, folder / "out", keeping=keeping.entries("functions"), clock=clock)
    keeping.take_back({})
    try:
        yield running
    finally:
        keeping.close()
        await running.service.close()


async def test_events_go_on_with_their_attempts_and_those_that_waited_for_code_are_brought(
    tmp_path: Path, write_codebase: Callable[[str], Path]
) -> None:
    """A suite that ends in the middle of a retry, and one whose code never loaded; the third knows of nothing left."""
    async with functions_over(tmp_path, write_codebase(FAILING)) as running:
        await running.service.start(environment_for(running.out))
        failed = running.publish("kept")
        await running.until(lambda: [one for one in running.attempts(failed) if one["consequence"]])
    async with functions_over(tmp_path, write_codebase("raise KeyError('not today')")) as running:
        await running.service.start(environment_for(running.out))
        held = running.publish("kept")
        assert len(running.service.pending()) == 2
    async with functions_over(tmp_path, write_codebase(HEARD)) as running:
        await running.service.start(environment_for(running.out))
        await running.settled()
        assert sorted(running.notes()) == sorted([f"patient {failed}", f"patient {held}"])
        assert [attempt["attempt"] for attempt in running.attempts(failed)] == [2]
    async with functions_over(tmp_path, write_codebase(HEARD)) as running:
        await running.service.start(environment_for(running.out))
        await running.settled()
        assert running.service.pending() == []
        assert len(running.notes()) == 2


async def test_a_schedule_keeps_its_rhythm(tmp_path: Path, write_codebase: Callable[[str], Path]) -> None:
    """`every 5 minutes` counts on from the earlier run; what came due while nothing ran is left out."""
    source = write_codebase(HEARD)
    async with functions_over(tmp_path, source) as running:
        await running.service.start(environment_for(running.out))
        running.clock.advance(310)
        await running.settled()
    first = (NOW + timedelta(minutes=5)).isoformat()
    assert running.notes() == [f"often {first}"]
    async with functions_over(tmp_path, source) as running:
        await running.service.start(environment_for(running.out))
        assert running.clock.now() == NOW  # this clock was given: it is not the kept one
        running.clock.advance(595)
        await running.settled()
        assert running.notes() == [f"often {first}"]
        running.clock.advance(10)
        await running.settled()
        assert running.notes()[1:] == [f"often {(NOW + timedelta(minutes=10)).isoformat()}"]


# -- imports


async def test_an_export_is_imported_once_into_a_folder_of_data(tmp_path: Path) -> None:
    """A later start goes on with what is kept, and says that it did not import."""
    options: dict[str, Any] = {"project_id": "demo-kept", "only": ("pubsub",), "free_ports": True}
    topic = pubsub_v1.Topic(name=f"{PROJECT}/topics/exported")
    async with Suite(**options) as suite:
        suite.services["pubsub"].broker.create_topic(topic)
        await suite.export_to(tmp_path / "export")
    options |= {"data": tmp_path / "data", "import_from": tmp_path / "export"}
    async with Suite(**options) as suite:
        suite.services["pubsub"].broker.delete_topic(topic.name)
        assert suite.warnings == []
    async with Suite(**options) as suite:
        assert suite.services["pubsub"].broker.all_topics() == []
        assert "is not imported, since" in suite.warnings[0]
    (tmp_path / "data/importing").touch()  # as a suite leaves it that is killed meanwhile
    async with Suite(**options) as suite:
        assert [one.name for one in suite.services["pubsub"].broker.all_topics()] == [topic.name]
        assert suite.warnings == []


# -- rules and the clock


OPEN = "rules_version = '2'; service cloud.firestore { match /{d=**} { allow read: if true; } }"


async def test_rules_that_a_tool_set_are_in_force_again(tmp_path: Path) -> None:
    """Until those of the project are edited, which then are."""
    (tmp_path / "firestore.rules").write_text(OPEN.replace("true", "false"))
    (tmp_path / "firebase.json").write_text('{"firestore": {"rules": "firestore.rules"}}')

    def opened() -> Suite:
        from afterimage_emulator.configuration import load_configuration

        configuration = load_configuration(tmp_path / "firebase.json", project_id="demo-kept")
        return Suite(configuration, only=("firestore",), free_ports=True, data=tmp_path / "data")

    async with opened() as suite:
        suite.services["firestore"].rules.load("demo-kept", OPEN, file_name="of-a-tool.rules")
        suite.clock.advance(3_600)
    async with opened() as suite:
        assert suite.services["firestore"].rules.source("demo-kept") == ("of-a-tool.rules", OPEN)
        assert 3_590 < suite.clock.offset_seconds < 3_610
    (tmp_path / "firestore.rules").write_text(OPEN.replace("true", "1 == 2"))
    for _ in range(2):
        async with opened() as suite:
            assert suite.services["firestore"].rules.source("demo-kept")[0] == "firestore.rules"
