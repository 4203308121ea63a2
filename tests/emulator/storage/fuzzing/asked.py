"""A Storage without a socket, asked by one odd request after the other, and what every answer must be like."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.storage.notifications.sending import Topics
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Listing
from afterimage_emulator.storage.service import StorageService
from afterimage_emulator.wire.http_messages import FileSlice, Headers, HttpRequest

BUCKET: Final = "fuzzed-bucket"
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 409, 412, 413, 416, 499})
_PLAIN: Final = frozenset({200, 201, 204, 206, 303, 304, 308})


class Body:
    """A request's body in two pieces."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        half = len(self._content) // 2
        for piece in (self._content[:half], self._content[half:]):
            if piece:
                yield piece

    async def read(self, limit_bytes: int = 0) -> bytes:
        return self._content


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, with what was asked, for the failure's message."""

    asked: str
    status: int
    headers: Headers
    body: bytes

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body or b"{}")
        return found


class AskedStorage:
    """One service on one loop. `ask` raises where an answer is none that production could give."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.new_event_loop()
        clock = Clock()
        bus = EventBus(clock=clock, faults=Faults(), activity=Activity())
        topics = Topics(exists=lambda topic: topic.endswith("/known"), publish=lambda topic, data, attributes: None)
        self.service = self._loop.run_until_complete(self._made(clock, bus, directory, topics))

    async def _made(self, clock: Clock, bus: EventBus, directory: Path, topics: Topics) -> StorageService:
        return StorageService(clock=clock, events=bus, directory=directory, topics=topics, default_buckets=[BUCKET])

    def ask(
        self, method: str, path: str, query: str = "", body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
    ) -> Answer:
        sent = Headers([("host", "localhost"), *headers])
        request = HttpRequest(method, path, query, sent, Body(body))
        asked = f"{method} {path}?{query} {dict(sent.items())} {body[:600]!r}"
        answer = self._loop.run_until_complete(self._answered(request, asked))
        _check(answer)
        return answer

    async def _answered(self, request: HttpRequest, asked: str) -> Answer:
        try:
            response = await self.service.http(request)
        except Exception as error:
            raise AssertionError(f"no answer to {asked}") from error
        content = response.body
        if isinstance(content, FileSlice):
            with content.opened() as file:
                file.seek(content.offset)
                content = file.read(content.length)
        assert isinstance(content, bytes)
        return Answer(asked, response.status, Headers(response.headers), content)

    def objects(self) -> dict[str, tuple[ObjectRecord, bytes]]:
        """The live ones of the bucket, with their bytes."""
        page = self.service.store.list(Listing(bucket=BUCKET))
        return {record.name: (record, record.blob.path.read_bytes()) for record in page.items}

    def empty(self) -> None:
        self.service.store.check_invariants()
        self._loop.run_until_complete(self._reset())

    async def _reset(self) -> None:
        self.service.reset()

    def close(self) -> None:
        self.service.store.check_invariants()
        self._loop.run_until_complete(self.service.close())
        self._loop.close()


def _check(answer: Answer) -> None:
    if answer.status in _PLAIN:
        return
    if answer.status == 501:
        assert b"not implemented here" in answer.body, answer
        return
    assert answer.status in _REFUSALS, answer
    kind = answer.headers.get("content-type") or ""
    if not answer.body:
        assert answer.status in (404, 499), answer
    elif kind.startswith("application/json"):
        error = answer.json()["error"]
        assert isinstance(error, dict)
        assert error["message"], answer
        assert error["code"] == answer.status, answer
    elif kind.startswith("application/xml"):
        document = ElementTree.fromstring(answer.body)
        assert {"Code", "Message", "Details"} <= {element.tag for element in document}, answer
    else:
        assert kind.startswith("text/"), answer
