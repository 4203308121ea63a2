"""Seeded clients against a naive model, killed between any two steps: what is acknowledged holds, no more stays."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.storage.service import StorageService
from afterimage_emulator.wire.http_messages import FileSlice, Headers, HttpRequest, HttpResponse
from tests.emulator.storage.conftest import EventLog

BUCKET = "simulated-bucket"
NAMES = ("a", "b", "dir/c", "dir/d")
LARGEST_BYTES = 3 * 1024 * 1024


class Body:
    """A request's body in pieces; `dies_after` of them the client is gone."""

    def __init__(self, content: bytes, chance: random.Random, *, dies: bool = False) -> None:
        cuts = sorted({0, len(content), *(chance.randrange(len(content) + 1) for _ in range(4))})
        self._pieces = [content[start:end] for start, end in pairwise(cuts)]
        self._dies_after = chance.randrange(len(self._pieces) + 1) if dies else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, piece in enumerate(self._pieces):
            if number == self._dies_after:
                raise StatusError(Code.CANCELLED, "the client went away")
            await asyncio.sleep(0)
            yield piece
        if self._dies_after is not None:
            raise StatusError(Code.CANCELLED, "the client went away")

    async def read(self, limit_bytes: int = 0) -> bytes:
        return b"".join([piece async for piece in self])


@dataclass
class Object:
    """What the model knows of one live object."""

    generation: int
    metageneration: int
    content: bytes


@dataclass
class Model:
    """The bucket as it should be, and the events that should have been sent."""

    live: dict[str, Object] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, stored: Object) -> None:
        overwritten = name in self.live
        self.live[name] = stored
        self.events.append(("finalized", name))
        if overwritten:
            self.events.append(("deleted", name))

    def remove(self, name: str) -> None:
        del self.live[name]
        self.events.append(("deleted", name))


class Simulation:
    """One client with a seed. Steps that die leave the outcome open: it is looked up, and must be old or new."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.chance = random.Random(seed)
        self.model = Model()
        self.log = EventLog()
        clock = Clock()
        bus = EventBus(clock=clock, faults=Faults(), activity=Activity())
        bus.subscribe(self.log)
        self.service = StorageService(clock=clock, events=bus, directory=directory)
        self.last_generation = 0

    async def request(
        self,
        method: str,
        path: str,
        query: str = "",
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        dies: bool = False,
    ) -> HttpResponse:
        body = Body(content, self.chance, dies=dies)
        return await self.service.http(HttpRequest(method, path, query, Headers((headers or {}).items()), body))

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            step = self.chance.choice(
                [self.upload, self.upload, self.resumable, self.delete, self.patch, self.copy, self.killed_upload]
            )
            await step(self.chance.choice(NAMES))
            await self.check_one(self.chance.choice(NAMES))
        await self.check_everything()
        await self.service.close()

    # -- steps

    async def upload(self, name: str) -> None:
        content, condition, holds = self.content(), *self.condition(name)
        answer = await self.request(
            "POST", f"/upload/storage/v1/b/{BUCKET}/o", f"uploadType=media&name={quote(name)}{condition}", content
        )
        assert answer.status == (200 if holds else 412)
        if holds:
            self.stored(name, answer, content)

    async def killed_upload(self, name: str) -> None:
        """Cut off in the middle of its body: nothing may have changed. Cancelled anywhere: old or new."""
        content = self.content()
        path, query = f"/upload/storage/v1/b/{BUCKET}/o", f"uploadType=media&name={quote(name)}"
        if self.chance.random() < 0.5:
            answer = await self.request("POST", path, query, content, dies=True)
            assert answer.status == 499
            return
        task = asyncio.ensure_future(self.request("POST", path, query, content))
        for _ in range(self.chance.randrange(12)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.look_up(name, content)

    async def resumable(self, name: str) -> None:
        content = self.content()
        answer = await self.request(
            "POST", f"/upload/storage/v1/b/{BUCKET}/o", f"uploadType=resumable&name={quote(name)}", b"{}"
        )
        query = dict(answer.headers)["location"].partition("?")[2]
        for _ in range(20):
            status = await self.send_piece(query, content)
            if status.status == 200:
                self.stored(name, status, content)
                return
            if self.chance.random() < 0.1:
                cancelled = await self.request("DELETE", f"/upload/storage/v1/b/{BUCKET}/o", query)
                assert cancelled.status == 499
                return

    async def send_piece(self, query: str, content: bytes) -> HttpResponse:
        """Asks how far the upload is and sends a piece from there, or a little before, perhaps dying on the way."""
        path = f"/upload/storage/v1/b/{BUCKET}/o"
        status = await self.request("PUT", path, query, headers={"content-range": f"bytes */{len(content)}"})
        if status.status == 200:
            return status
        arrived = int(dict(status.headers).get("range", "bytes=0--1").rpartition("-")[2]) if _has_range(status) else -1
        first = max(0, arrived + 1 - self.chance.choice((0, 0, 0, 5)))
        last = min(len(content), first + self.chance.randint(1, LARGEST_BYTES)) - 1
        span = f"bytes {first}-{last}/{len(content)}" if content else "bytes */0"
        dies = self.chance.random() < 0.4
        piece = content[first : last + 1]
        return await self.request("PUT", path, query, piece, {"content-range": span}, dies=dies and bool(content))

    async def delete(self, name: str) -> None:
        condition, holds = self.condition(name)
        answer = await self.request("DELETE", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", condition[1:])
        if name not in self.model.live:
            assert answer.status == 404
        else:
            assert answer.status == (204 if holds else 412)
            if holds:
                self.model.remove(name)

    async def patch(self, name: str) -> None:
        answer = await self.request(
            "PATCH", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", "", b'{"metadata": {"k": "v"}}'
        )
        if name not in self.model.live:
            assert answer.status == 404
            return
        known = self.model.live[name]
        known.metageneration += 1
        assert json.loads(_bytes(answer))["metageneration"] == str(known.metageneration)
        self.model.events.append(("metadataUpdated", name))

    async def copy(self, name: str) -> None:
        target = self.chance.choice(NAMES)
        path = f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}/copyTo/b/{BUCKET}/o/{quote(target, safe='')}"
        answer = await self.request("POST", path)
        if name not in self.model.live:
            assert answer.status == 404
            return
        self.stored(target, answer, self.model.live[name].content)

    # -- what should be

    def content(self) -> bytes:
        return self.chance.randbytes(self.chance.choice((0, 1, 100, 70_000, LARGEST_BYTES)))

    def condition(self, name: str) -> tuple[str, bool]:
        """A precondition and whether it holds."""
        known = self.model.live.get(name)
        current = 0 if known is None else known.generation
        return self.chance.choice(
            [
                ("", True),
                ("&ifGenerationMatch=0", current == 0),
                (f"&ifGenerationMatch={current}", True),
                ("&ifGenerationMatch=12345", False),
                (f"&ifGenerationNotMatch={current}", False),
            ]
        )

    def stored(self, name: str, answer: HttpResponse, content: bytes) -> None:
        resource = json.loads(_bytes(answer))
        generation = int(resource["generation"])
        assert generation > self.last_generation, "generations must rise"
        self.last_generation = generation
        assert resource["size"] == str(len(content))
        self.model.put(name, Object(generation, int(resource["metageneration"]), content))

    async def look_up(self, name: str, maybe: bytes) -> None:
        answer = await self.request("GET", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}")
        known = self.model.live.get(name)
        if answer.status == 200 and (
            known is None or json.loads(_bytes(answer))["generation"] != str(known.generation)
        ):
            self.stored(name, answer, maybe)

    # -- checks

    async def check_one(self, name: str) -> None:
        answer = await self.request("GET", f"/download/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}", "alt=media")
        known = self.model.live.get(name)
        if known is None:
            assert answer.status == 404
            return
        found = answer.body.path.read_bytes() if isinstance(answer.body, FileSlice) else answer.body
        assert found == known.content

    async def check_everything(self) -> None:
        listed = json.loads(_bytes(await self.request("GET", f"/storage/v1/b/{BUCKET}/o"))).get("items", [])
        assert {one["name"]: int(one["generation"]) for one in listed} == {
            name: known.generation for name, known in self.model.live.items()
        }
        for name in NAMES:
            await self.check_one(name)
        assert self.log.of(BUCKET) == self.model.events
        self.service.store.check_invariants()
        self.service.resumable.reset()
        await self.service.files.disk.cleaned()
        on_disk = {file.name for file in self.service.files.folder.iterdir()}
        referred = {record.blob.path.name for record in self.service.store.everything()}
        assert on_disk == referred, "bytes without an object, or an object without bytes"


def _bytes(answer: HttpResponse) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def _has_range(answer: HttpResponse) -> bool:
    return "range" in dict(answer.headers)


@pytest.mark.parametrize("seed", range(12))
async def test_no_history_loses_or_invents_anything(seed: int, tmp_path: Path) -> None:
    """After every history of uploads, deletes, copies and kills: the model's objects, its events, and no other file."""
    await Simulation(seed, tmp_path).run(steps=40)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 150))
async def test_long_histories(seed: int, tmp_path: Path) -> None:
    """The same, longer and oftener."""
    await Simulation(seed, tmp_path).run(steps=400)


@pytest.mark.parametrize("seed", range(10))
async def test_of_racing_first_uploads_exactly_one_wins(seed: int, tmp_path: Path) -> None:
    """ifGenerationMatch=0 is a lock that exactly one client gets, and its bytes are what is stored."""
    simulation = Simulation(seed, tmp_path)
    contents = [simulation.chance.randbytes(simulation.chance.choice((10, 70_000, 1_200_000))) for _ in range(8)]
    query = "uploadType=media&name=prize&ifGenerationMatch=0"
    answers = await asyncio.gather(
        *(simulation.request("POST", f"/upload/storage/v1/b/{BUCKET}/o", query, content) for content in contents)
    )
    winners = [content for content, answer in zip(contents, answers, strict=True) if answer.status == 200]
    assert len(winners) == 1
    assert sorted({answer.status for answer in answers}) == [200, 412]
    simulation.stored("prize", next(answer for answer in answers if answer.status == 200), winners[0])
    await simulation.check_everything()
    await simulation.service.close()
