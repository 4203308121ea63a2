"""Pub/Sub: messages a second from the official publisher to the official subscriber, and one at a time.

The floor of a single message is one unary call of the same client to the same server.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from typing import Any

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.pubsub.service import PubSubService
from afterimage_emulator.wire.server import WireServer
from bench.measuring import Figure, median_seconds, percentile, show, takes_no_options

PROJECT = "demo-bench-pubsub"
MESSAGES = 20_000
SINGLES = 200


def serve() -> tuple[asyncio.AbstractEventLoop, WireServer]:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    clock, activity = Clock(), Activity()
    service = PubSubService(
        clock=clock, events=EventBus(clock=clock, faults=Faults(), activity=activity), activity=activity
    )
    server = WireServer(name="pubsub", http=service.http, grpc=service.grpc)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    return loop, server


def main() -> None:
    loop, server = serve()
    os.environ["PUBSUB_EMULATOR_HOST"] = f"127.0.0.1:{server.port}"
    from google.cloud import pubsub_v1

    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic, subscription = publisher.topic_path(PROJECT, "things"), subscriber.subscription_path(PROJECT, "all")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    rate = through(publisher, subscriber, topic, subscription)
    one_by_one = singles(publisher, subscriber, topic, subscription)
    floor = median_seconds(lambda: publisher.get_topic(topic=topic), repeats=100) * 1000
    show(
        "Pub/Sub with google-cloud-pubsub on both ends",
        [
            Figure(
                f"{MESSAGES:,} messages of 100 bytes, publish → streaming pull → ack", rate, "/s", note="goal 5,000"
            ),
            Figure(
                "one message, publish → callback, median",
                statistics.median(one_by_one),
                "ms",
                floor,
                "10 are its batching",
            ),
            Figure("one message, publish → callback, p99", percentile(one_by_one, 0.99), "ms", floor),
        ],
    )
    subscriber.close()
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)


def through(publisher: Any, subscriber: Any, topic: str, subscription: str) -> float:
    got, done = [0], threading.Event()
    lock = threading.Lock()

    def take(message: Any) -> None:
        message.ack()
        with lock:
            got[0] += 1
            if got[0] == MESSAGES:
                done.set()

    future = subscriber.subscribe(subscription, take)
    started = time.perf_counter()
    for _ in range(MESSAGES):
        publisher.publish(topic, b"x" * 100)
    if not done.wait(120):
        raise SystemExit(f"only {got[0]} of {MESSAGES} messages arrived")
    taken = time.perf_counter() - started
    future.cancel()
    future.result(10)
    return MESSAGES / taken


def singles(publisher: Any, subscriber: Any, topic: str, subscription: str) -> list[float]:
    arrived = threading.Event()

    def take(message: Any) -> None:
        message.ack()
        arrived.set()

    future = subscriber.subscribe(subscription, take)
    taken = []
    for _ in range(SINGLES):
        arrived.clear()
        started = time.perf_counter()
        publisher.publish(topic, b"x")
        if not arrived.wait(10):
            raise SystemExit("a message did not arrive")
        taken.append((time.perf_counter() - started) * 1000)
    future.cancel()
    future.result(10)
    return taken


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
