"""A functions service for tests: real processes, a clock that can be stopped, and short ways to do what tests do."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Codebase
from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.functions.service import FunctionsService
from afterimage_emulator.wire.http_messages import Headers, HttpRequest, HttpResponse

PROJECT = "demo-functions"
CODEBASES = Path(__file__).parent / "codebases"
PATIENCE_SECONDS = 30.0
_ids = itertools.count(1)


class WholeBody:
    """A request body that is there already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data

    async def read(self, limit_bytes: int = 1 << 30) -> bytes:
        return self._data


@dataclass(slots=True)
class Running:
    """The service and its collaborators, with short ways to do what tests do."""

    service: FunctionsService
    clock: Clock
    events: EventBus
    activity: Activity
    faults: Faults
    out: Path

    def publish(self, topic: str, data: str = "", **changes: Any) -> str:
        event_id = f"event-{next(_ids)}"
        self.events.publish(message_event(topic, event_id, data, **changes))
        return event_id

    async def settled(self) -> None:
        await self.activity.settled(PATIENCE_SECONDS)

    def attempts(self, event_id: str) -> list[dict[str, Any]]:
        return [found for found in self.service.records(failed_only=False) if found["id"] == event_id]

    def notes(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []

    async def request(
        self, path: str, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[HttpResponse, bytes]:
        raw_path, _, query = path.partition("?")
        request = HttpRequest(method, raw_path, query, Headers((headers or {}).items()), WholeBody(body))
        answer = await self.service.http(request)
        if isinstance(answer.body, bytes):
            return answer, answer.body
        assert isinstance(answer.body, AsyncIterator)
        return answer, b"".join([piece async for piece in answer.body])

    async def until(self, condition: Callable[[], Any]) -> None:
        """Lets the loop run until something is so."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)


def message_event(
    topic: str, event_id: str, data: str = "", *, project: str = PROJECT, attributes: Mapping[str, str] | None = None
) -> CloudEvent:
    moment = "2026-01-02T03:04:05.678Z"
    message = {
        "data": data, "attributes": dict(attributes or {}),
        "messageId": event_id, "message_id": event_id, "publishTime": moment, "publish_time": moment,
    }  # fmt: skip
    return CloudEvent(
        id=event_id,
        source=f"//pubsub.googleapis.com/projects/{project}/topics/{topic}",
        type="google.cloud.pubsub.topic.v1.messagePublished",
        time=moment,
        data=json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode(),
        attributes={"topic": topic, "project": project},
    )


def new_service(
    source: Path,
    out: Path,
    *,
    in_process: bool = False,
    codebase: Codebase | None = None,
    keeping: KeptEntries | None = None,
    clock: Clock | None = None,
) -> Running:
    """Not started yet."""
    clock, activity = clock or Clock(), Activity()
    faults = Faults()
    events = EventBus(clock=clock, faults=faults, activity=activity)
    service = FunctionsService(
        codebases=[codebase or Codebase(name="default", source=source)],
        project_id=PROJECT,
        clock=clock,
        events=events,
        activity=activity,
        in_process=in_process,
        keeping=keeping,
    )
    return Running(service, clock, events, activity, faults, out)


@asynccontextmanager
async def serving(source: Path, out: Path, *, in_process: bool = False) -> AsyncIterator[Running]:
    """A service with one codebase, closed at the end whatever happens."""
    running = new_service(source, out, in_process=in_process)
    try:
        await running.service.start(environment_for(out))
        yield running
    finally:
        await running.service.close()


def environment_for(out: Path) -> dict[str, str]:
    return {
        "GCLOUD_PROJECT": PROJECT,
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "FIREBASE_CONFIG": json.dumps({"projectId": PROJECT, "storageBucket": f"{PROJECT}.firebasestorage.app"}),
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:1",
        "OUT_FILE": str(out),
    }
