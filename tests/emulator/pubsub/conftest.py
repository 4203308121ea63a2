"""A Pub/Sub service on a real port, in a thread of its own, for the official client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import pubsub_v1

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.pubsub.service import PubSubService
from afterimage_emulator.wire.server import WireServer
from tests.emulator.pubsub.serving import Serving


class Wanting:
    """A subscriber of the bus that wants the messages of one topic and keeps them."""

    def __init__(self) -> None:
        self.events: list[CloudEvent] = []

    def wants(self, event_type: str, attributes: object) -> bool:
        return isinstance(attributes, dict) and attributes.get("topic") == "functions"

    def deliver(self, event: CloudEvent) -> None:
        self.events.append(event)


@pytest.fixture(scope="session")
def pubsub() -> Iterator[Serving]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    clock, activity, faults = Clock(), Activity(), Faults()
    events = EventBus(clock=clock, faults=faults, activity=activity)
    wanting = Wanting()
    events.subscribe(wanting)
    service = PubSubService(clock=clock, events=events, activity=activity, faults=faults)
    server = WireServer(name="pubsub", http=service.http, grpc=service.grpc)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    serving = Serving(service, clock, activity, faults, wanting.events, loop, server.port)
    yield serving
    serving.call(service.broker.check_invariants)
    serving.run(server.stop())
    serving.run(service.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture(scope="session")
def publisher(pubsub: Serving) -> Iterator[pubsub_v1.PublisherClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{pubsub.port}")
        yield pubsub_v1.PublisherClient(
            credentials=AnonymousCredentials(),
            publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True),
        )


@pytest.fixture(scope="session")
def subscriber(pubsub: Serving) -> Iterator[pubsub_v1.SubscriberClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{pubsub.port}")
        with pubsub_v1.SubscriberClient(credentials=AnonymousCredentials()) as client:
            yield client


@pytest.fixture(autouse=True)
def whole_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test of the service does, topics and subscriptions are whole when it ends."""
    yield
    if "pubsub" in request.fixturenames:
        serving: Serving = request.getfixturevalue("pubsub")
        serving.call(serving.service.broker.check_invariants)
