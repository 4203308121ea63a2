"""What tests hold of a running Pub/Sub service."""

from __future__ import annotations

import asyncio
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import CloudEvent
from afterimage_emulator.faults import Faults
from afterimage_emulator.pubsub.service import PubSubService
from afterimage_emulator.turns import Work, at_once

T = TypeVar("T")
PROJECT = "demo-pubsub"
_numbers = itertools.count(1)


@dataclass(slots=True)
class Serving:
    """The service, the clock it lives by, and the thread it runs in."""

    service: PubSubService
    clock: Clock
    activity: Activity
    faults: Faults
    events: list[CloudEvent]
    loop: asyncio.AbstractEventLoop
    port: int

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def call(self, work: Callable[[], T]) -> T:
        async def inside() -> T:
            return work()

        return self.run(inside())

    def settled(self) -> None:
        self.run(self.activity.settled(20))

    def drained(self, subscription: str, rounds: int = 100_000) -> None:
        """Until everything of a subscription is acknowledged; each question lets the service's loop go round."""
        for _ in range(rounds):
            if not self.call(lambda: len(self.service.broker.subscription(subscription).backlog)):
                return
        raise AssertionError(f"`{subscription}` still has messages")

    def rest(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def new_names(kind: str = "things") -> tuple[str, str]:
    """A topic and a subscription that no other test uses."""
    number = next(_numbers)
    return f"projects/{PROJECT}/topics/{kind}-{number}", f"projects/{PROJECT}/subscriptions/{kind}-{number}"


def finished(work: Work[T]) -> T:
    """What work comes to that would stop for others, of whom there are none."""
    return at_once(work, 10**9)
