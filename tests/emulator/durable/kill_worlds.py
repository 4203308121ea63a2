"""What the kills of services are tried with: for each service, writers that change it and what is found of it later."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from tests.emulator.durable.killable import Killable

WRITERS = 4
Ask = Callable[..., tuple[int, dict[str, str], bytes]]
"""Method, path, body and headers; answers with status, headers and body."""


@dataclass(slots=True)
class Told:
    """What one writer was told, by name, and what it asked for last; None is that it is gone."""

    things: dict[str, str | None] = field(default_factory=dict)
    asked: dict[str, str | None] = field(default_factory=dict)
    under_way: dict[str, Any] = field(default_factory=dict)
    """What has begun and not ended: a service's own."""

    def done(self) -> None:
        self.things |= self.asked
        self.asked = {}


class World(Protocol):
    """One service. `act` asks for one thing and notes what it was told; it ends by an error when the suite is gone."""

    service: str

    def act(self, ask: Ask, told: Told, who: int, chance: random.Random) -> None: ...

    def found(self, suite: Killable) -> dict[str, str]: ...

    def go_on(self, suite: Killable, told: Told) -> None:
        """After the next start: takes up what was under way."""
        ...


def asking(connection: http.client.HTTPConnection) -> Ask:
    def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"authorization": "Bearer owner", **named})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    return ask


def ask_once(suite: Killable, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    connection = http.client.HTTPConnection(suite.address, timeout=60)
    try:
        status, _, answer = asking(connection)(method, path, body, **headers)
        assert status == 200, (status, answer)
        return json.loads(answer or b"null")
    finally:
        connection.close()


def survive_kills(folder: Path, world: World, kills: int, seed: int) -> None:
    """Kills the suite at random acknowledgements, with other requests under way, and compares after each start."""
    chance = random.Random(seed)
    told = [Told() for _ in range(WRITERS)]
    for round_number in range(kills):
        suite = Killable(folder, world.service)
        found = compared(world, suite, told)
        for one in told:
            world.go_on(suite, one)
            # What is there is what was told from now on.
            one.things, one.asked = {name: found.get(name) for name in one.things.keys() | one.asked.keys()}, {}
        count, ended = threading.Semaphore(0), threading.Event()
        writers = [
            threading.Thread(target=_write, args=(world, suite, told[who], who, f"{seed} {round_number}", count, ended))
            for who in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        for _ in range(chance.randrange(1, 120)):
            count.acquire()
        suite.kill()
        ended.set()
        for writer in writers:
            writer.join()
    suite = Killable(folder, world.service)
    compared(world, suite, told)
    suite.stop()


def _write(
    world: World,
    suite: Killable,
    told: Told,
    who: int,
    seed: str,
    count: threading.Semaphore,
    ended: threading.Event,
) -> None:
    chance = random.Random(f"{seed} {who}")
    connection = http.client.HTTPConnection(suite.address, timeout=60)
    try:
        while not ended.is_set():
            world.act(asking(connection), told, who, chance)
            count.release()
    except (OSError, http.client.HTTPException):
        return
    except BaseException:
        for _ in range(1_000):
            count.release()  # nobody is to wait for a writer that failed
        raise
    finally:
        connection.close()


def compared(world: World, suite: Killable, told: list[Told]) -> dict[str, str]:
    """Each thing is as it was told last, or as it was asked to be when nobody answered any more."""
    found = world.found(suite)
    names: set[str] = set()
    for one in told:
        names |= one.things.keys() | one.asked.keys()
        for name, value in one.things.items():
            allowed = {value, one.asked.get(name, value)}
            assert found.get(name) in allowed, f"`{name}` is {found.get(name)}, and {allowed} was told or asked"
    assert found.keys() <= names, f"nobody asked for {found.keys() - names}"
    return found


def sent(answer: tuple[int, dict[str, str], bytes], *wanted: int) -> Any:
    assert answer[0] in (wanted or (200,)), answer
    return json.loads(answer[2] or b"null")


# -- Storage


BUCKET = "demo-kills.appspot.com"
CHUNK = 256 * 1024


def md5_of(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


class StorageWorld:
    """Objects by the MD5 of their bytes; uploads in pieces, left half and taken up after the next start."""

    service = "storage"

    def act(self, ask: Ask, told: Told, who: int, chance: random.Random) -> None:
        name, kind = f"{who}/{chance.randrange(6)}", chance.random()
        if kind < 0.2 and told.things.get(name) is not None:
            told.asked = {name: None}
            sent(ask("DELETE", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}"), 204)
        elif kind < 0.4 and not told.under_way:
            self._begin_upload(ask, told, f"{who}/pieces", chance)
        else:
            content = chance.randbytes(chance.randrange(3_000))
            told.asked = {name: md5_of(content)}
            where = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}"
            assert sent(ask("POST", where, content))["md5Hash"] == told.asked[name]
        told.done()

    def _begin_upload(self, ask: Ask, told: Told, name: str, chance: random.Random) -> None:
        seed = chance.randrange(10**9)
        where = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name={quote(name, safe='')}"
        status, headers, _ = ask("POST", where, b"{}", content_type="application/json")
        assert status == 200
        path = headers["location"].partition(BUCKET)[0].rpartition("/upload")[0]
        session = headers["location"].removeprefix(path)
        told.under_way = {"session": session, "seed": seed, "name": name, "told": 0}
        piece = random.Random(seed).randbytes(2 * CHUNK)[:CHUNK]
        status, headers, _ = ask("PUT", session, piece, content_range=f"bytes 0-{CHUNK - 1}/*")
        assert (status, headers["range"]) == (308, f"bytes=0-{CHUNK - 1}")
        told.under_way["told"] = CHUNK

    def found(self, suite: Killable) -> dict[str, str]:
        page = ask_once(suite, "GET", f"/storage/v1/b/{BUCKET}/o?maxResults=1000")
        found = {item["name"]: item["md5Hash"] for item in page.get("items", [])}
        connection = http.client.HTTPConnection(suite.address, timeout=60)
        for name, told in found.items():
            where = f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media"
            assert md5_of(asking(connection)("GET", where)[2]) == told, f"the bytes of `{name}` are others"
        connection.close()
        return found

    def go_on(self, suite: Killable, told: Told) -> None:
        """The upload stands where it was told to stand, and becomes what it was to be."""
        if not told.under_way:
            return
        begun, told.under_way = told.under_way, {}
        connection = http.client.HTTPConnection(suite.address, timeout=60)
        ask = asking(connection)
        status, headers, _ = ask("PUT", begun["session"], b"", content_range="bytes */*")
        if begun["told"] or status != 404:
            assert status == 308, f"the upload of `{begun['name']}` is gone, and {begun['told']} bytes were told"
            stands = int(headers.get("range", "bytes=0--1").rpartition("-")[2] if "range" in headers else -1) + 1
            assert stands >= begun["told"]
            content = random.Random(begun["seed"]).randbytes(2 * CHUNK)
            span = f"bytes {stands}-{len(content) - 1}/{len(content)}"
            made = sent(ask("PUT", begun["session"], content[stands:], content_range=span))
            assert made["md5Hash"] == md5_of(content)
            # Deleted again: what is found next was not asked for by a writer.
            sent(ask("DELETE", f"/storage/v1/b/{BUCKET}/o/{quote(begun['name'], safe='')}"), 204)
        connection.close()


# -- Pub/Sub


PROJECT = "/v1/projects/demo-kills"


class PubSubWorld:
    """Messages that nobody acknowledged, by what is in them; those of one ordering key are in their order."""

    service = "pubsub"

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def act(self, ask: Ask, told: Told, who: int, chance: random.Random) -> None:
        waiting = [name for name, value in told.things.items() if value is not None]
        if chance.random() < 0.3 and waiting:
            pulled = sent(ask("POST", f"{PROJECT}/subscriptions/sub-{who}:pull", b'{"maxMessages": 1}'))
            for one in pulled.get("receivedMessages", []):
                told.asked = {one["message"]["attributes"]["name"]: None}
                body = json.dumps({"ackIds": [one["ackId"]]}).encode()
                sent(ask("POST", f"{PROJECT}/subscriptions/sub-{who}:acknowledge", body))
        else:
            name, text = f"{who}/{chance.randrange(10**9)}", str(chance.randrange(10**9))
            told.asked = {name: text}
            message = {
                "data": base64.b64encode(text.encode()).decode(),
                "attributes": {"name": name},
                "orderingKey": chance.choice(["", "one", "two"]),
            }
            (made,) = sent(ask("POST", f"{PROJECT}/topics/of-{who}:publish", _json({"messages": [message]})))[
                "messageIds"
            ]
            assert made not in self._ids, f"the id {made} is another message's already"
            self._ids.add(made)
        told.done()

    def found(self, suite: Killable) -> dict[str, str]:
        connection = http.client.HTTPConnection(suite.address, timeout=60)
        ask, found = asking(connection), {}
        for who in range(WRITERS):
            sent(ask("PUT", f"{PROJECT}/topics/of-{who}", b"{}"), 200, 409)
            settings = {"topic": f"projects/demo-kills/topics/of-{who}", "enableMessageOrdering": True}
            sent(ask("PUT", f"{PROJECT}/subscriptions/sub-{who}", _json(settings)), 200, 409)
            out: dict[str, list[int]] = {}
            taken = []
            while True:
                asked = _json({"maxMessages": 1000, "returnImmediately": True})
                pulled = sent(ask("POST", f"{PROJECT}/subscriptions/sub-{who}:pull", asked)).get("receivedMessages", [])
                taken += [one["ackId"] for one in pulled]
                for message in (one["message"] for one in pulled):
                    found[message["attributes"]["name"]] = base64.b64decode(message["data"]).decode()
                    out.setdefault(message.get("orderingKey", ""), []).append(int(message["messageId"]))
                if not pulled:
                    break
            for key, numbers in out.items():
                assert not key or numbers == sorted(numbers), f"messages of `{key}` come in another order"
            if taken:
                body = _json({"ackIds": taken, "ackDeadlineSeconds": 0})
                sent(ask("POST", f"{PROJECT}/subscriptions/sub-{who}:modifyAckDeadline", body))
        connection.close()
        return found

    def go_on(self, suite: Killable, told: Told) -> None:
        pass


# -- Cloud Tasks


QUEUES = "/v2/projects/demo-kills/locations/us-central1/queues"


class TasksWorld:
    """Tasks that wait in a queue that rests, by their addresses; the name of an ended one is used up."""

    service = "tasks"

    def act(self, ask: Ask, told: Told, who: int, chance: random.Random) -> None:
        waiting = [name for name, value in told.things.items() if value is not None]
        if chance.random() < 0.4 and waiting:
            name = chance.choice(waiting)
            told.asked = {name: None}
            sent(ask("DELETE", f"{QUEUES}/rests/tasks/{name}"))
            task = {"name": f"{QUEUES[4:]}/rests/tasks/{name}", "httpRequest": {"url": "http://127.0.0.1:9/"}}
            assert ask("POST", f"{QUEUES}/rests/tasks", _json({"task": task}))[0] == 409
        else:
            name, url = f"{who}-{chance.randrange(10**9)}", f"http://127.0.0.1:9/{chance.randrange(10**9)}"
            told.asked = {name: url}
            task = {"name": f"{QUEUES[4:]}/rests/tasks/{name}", "httpRequest": {"url": url}}
            sent(ask("POST", f"{QUEUES}/rests/tasks", _json({"task": task})))
        told.done()

    def found(self, suite: Killable) -> dict[str, str]:
        connection = http.client.HTTPConnection(suite.address, timeout=60)
        ask, found, token = asking(connection), {}, ""
        sent(ask("POST", QUEUES, _json({"name": f"{QUEUES[4:]}/rests"})), 200, 409)
        sent(ask("POST", f"{QUEUES}/rests:pause", b"{}"))
        while True:
            page = sent(ask("GET", f"{QUEUES}/rests/tasks?responseView=FULL&pageToken={token}"))
            for task in page.get("tasks", []):
                found[task["name"].rpartition("/")[2]] = task["httpRequest"]["url"]
            token = page.get("nextPageToken", "")
            if not token:
                break
        connection.close()
        return found

    def go_on(self, suite: Killable, told: Told) -> None:
        pass


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
