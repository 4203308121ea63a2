"""WebChannel at the wire: sessions, frames, replay, and what happens to both when a network is bad or gone."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import pytest
from google.cloud import firestore

from afterimage_emulator.firestore.adapters import web_channel
from afterimage_emulator.firestore.adapters.web_channel import IDLE_LIMIT_SECONDS
from afterimage_emulator.firestore.adapters.web_channel_session import (
    BACK_CHANNEL_LIMIT_BYTES,
    WAITING_LIMIT_BYTES,
    Patience,
)
from afterimage_emulator.wire.http_messages import Headers, HttpRequest, HttpResponse
from tests.emulator.firestore.adapters.web_channel_client import CHANNEL, PAGE, RefusedError, WireClient, form
from tests.emulator.firestore.conftest import RunningFirestore

RULES = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /users/{uid} { allow read, write: if request.auth.uid == uid; }
  }
}
"""


@contextmanager
def own_service(patience: Patience | None = None) -> Iterator[RunningFirestore]:
    """For tests that move the clock, or cannot wait for what keeps answers alive."""
    service = RunningFirestore(patience=patience)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def listener(running: RunningFirestore, project: str, collection: str = "rooms", **opened: str) -> WireClient:
    made = WireClient(running.address, project, "Listen")
    made.open(target(made, collection), **opened)
    return made


def target(client: WireClient, collection: str, target_id: int = 2) -> dict[str, Any]:
    query = {"parent": client.documents, "structuredQuery": {"from": [{"collectionId": collection}]}}
    return {"database": client.database, "addTarget": {"query": query, "targetId": target_id}}


def writer(running: RunningFirestore, project: str) -> WireClient:
    made = WireClient(running.address, project, "Write")
    made.open({"database": made.database})
    return made


def increment(client: WireClient, path: str) -> dict[str, Any]:
    transform = {"fieldPath": "n", "increment": {"integerValue": "1"}}
    update = {"name": f"{client.documents}/{path}"}
    return {"writes": [{"update": update, "updateTransforms": [transform], "updateMask": {}}]}


def until_snapshot(messages: Iterator[Any]) -> list[Any]:
    """The documents of a snapshot, which a change of no target with a time ends."""
    found = []
    for message in messages:
        if "documentChange" in message:
            found.append(message["documentChange"]["document"])
        change = message.get("targetChange", {})
        if "readTime" in change and not change.get("targetIds"):
            return found
    raise AssertionError("the answer ended before the snapshot")


def token(uid: str) -> str:
    head, claims = ({"alg": "none"}, {"sub": uid, "user_id": uid, "iat": 0})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)]
    return ".".join([*parts, ""])


# -- what a session says and hears


def test_a_page_listens_and_hears_what_others_write(
    running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """Handshake, first state, changes: numbered from 1, one message an array, each in a frame of its own length."""
    client.document("rooms/a").set({"n": 1})
    page = WireClient(running.address, project, "Listen")
    assert page.open(target(page, "rooms")) == [[0, ["c", page.sid, "", 8, 12, 30000]]]
    heard = page.hear()
    messages = heard.messages()
    (first,) = until_snapshot(messages)
    assert first["fields"] == {"n": {"integerValue": "1"}}
    client.document("rooms/b").set({"n": 2})
    (second,) = until_snapshot(messages)
    assert second["name"].endswith("/rooms/b")
    is_open, last_sent, outstanding = page.say(target(page, "halls", 4))
    assert is_open == 1
    assert last_sent >= page.last_received
    assert outstanding >= 0
    assert until_snapshot(messages) == []
    heard.cut()


def test_lengths_of_frames_are_those_that_javascript_counts(
    running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """Text outside of ASCII and of the first plane comes whole: the reader here counts UTF-16 as browsers do."""
    words = {"text": 'é\u2028日本語\U0001f600\x00"\\', "key é.\U0001f9ff": "x"}
    client.document("rooms/a").set({"m": words})
    page = listener(running, project)
    (document,) = until_snapshot(page.hear().messages())
    fields = document["fields"]["m"]["mapValue"]["fields"]
    assert {name: value["stringValue"] for name, value in fields.items()} == words


def test_writes_are_answered_in_their_turn(running: RunningFirestore, project: str, client: firestore.Client) -> None:
    """The handshake of Write, then one answer a batch; what fails is the stream's error, worded for the SDK."""
    page = writer(running, project)
    messages = page.hear().messages()
    assert {"streamId", "streamToken"} <= next(messages).keys()
    page.say(increment(page, "rooms/a"), increment(page, "rooms/a"))
    answers = [next(messages), next(messages)]
    assert [len(answer["writeResults"]) for answer in answers] == [1, 1]
    assert client.document("rooms/a").get().get("n") == 2
    page.say({"writes": [{"delete": f"{page.documents}/rooms/a", "currentDocument": {"exists": False}}]})
    error = next(messages)["error"]
    assert (error["status"], error["code"]) == ("ALREADY_EXISTS", 409)
    assert list(messages) == []


def test_the_caller_is_whom_the_headers_in_the_body_name(running: RunningFirestore, project: str) -> None:
    """Rules see the user of the handshake's `headers`, with LF or CRLF between them, and nobody where there is none."""
    running.call(lambda: running.service.rules.load(project, RULES, file_name="firestore.rules"))
    for headers, allowed in (
        (f"X-Goog-Api-Client:gl-js/\r\nAuthorization:Bearer {token('ann')}\r\n", True),
        (f"authorization: Bearer {token('ann')}\n", True),
        (f"Authorization:Bearer {token('bob')}\r\n", False),
        ("", False),
    ):
        page = WireClient(running.address, project, "Listen")
        documents = {"documents": [f"{page.documents}/users/ann"]}
        page.open({"database": page.database, "addTarget": {"documents": documents, "targetId": 2}}, headers=headers)
        first = next(page.hear().messages())
        assert first["targetChange"]["targetChangeType"] == ("ADD" if allowed else "REMOVE")


def test_a_denial_is_explained_to_whoever_asks(running: RunningFirestore, project: str) -> None:
    """The header that asks for it may stand in the body too; the cause of the target carries the reason."""
    running.call(lambda: running.service.rules.load(project, RULES, file_name="firestore.rules"))
    page = listener(running, project, headers="x-explain-denials: true\n")
    removed = next(page.hear().messages())["targetChange"]
    assert removed["cause"]["code"] == 7
    assert "no match block covers this path" in removed["cause"]["details"][0]["detail"]


# -- what networks do


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_network_loses_nothing_and_repeats_nothing(seed: int) -> None:
    """Requests repeated, split anew, overtaken; answers cut anywhere: each write happens and is answered once."""
    chance = random.Random(seed)
    # Answers end soon, so that whoever waits here for one that is not to come waits little.
    with own_service(Patience(keep_alive_seconds=0.05)) as service, ThreadPoolExecutor(2) as threads:
        page = writer(service, "demo-bad-network")
        writes = [increment(page, f"rooms/r{n % 3}") for n in range(40)]
        answered: list[int] = []
        done = 0
        while done < len(writes) or len(answered) < len(writes):
            if done < len(writes):
                batch = writes[done : done + chance.randint(1, 4)]
                say_badly(page, batch, 1 + done, chance, threads)
                done += len(batch)
            heard = page.hear(until_data=chance.random() < 0.3)
            for number, message in islice(heard, chance.randint(0, 6)):
                answered += [number] if "writeResults" in message else []
            heard.cut()
        page.terminate()
        assert answered == sorted(set(answered))
        found = [service.service.store.databases()[0].get(f"rooms/r{n}") for n in range(3)]
        assert [each and each.message().fields["n"].integer_value for each in found] == [14, 13, 13]


def say_badly(
    page: WireClient, batch: list[Any], number: int, chance: random.Random, threads: ThreadPoolExecutor
) -> None:
    match chance.randrange(4):
        case 0:  # the answer is lost, and the request comes again with the same numbers
            page.say(*batch, first=number)
            page.say(*batch, first=number)
        case 1:  # a part comes again together with what follows, counted from further back
            page.say(*batch[:1], first=number)
            page.say(*batch, first=number, offset=max(0, number - chance.randint(0, 100)))
        case 2 if len(batch) > 1:  # the second half overtakes the first
            overtaking = threads.submit(page.say, *batch[1:], first=number + 1)
            threads.submit(page.say, *batch[:1], first=number).result(30)
            overtaking.result(30)
        case _:
            page.say(*batch, first=number)


def test_a_newer_back_channel_replaces_an_older_one(
    running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """The older answer ends; the newer one tells again whatever was not acknowledged, and then what is new."""
    page = listener(running, project)
    older = page.hear()
    before = [next(iter(older))[0]]
    page.last_received = 0
    newer = page.hear()
    messages = newer.messages()
    assert until_snapshot(messages) == []
    assert list(older.messages()) == []
    client.document("rooms/a").set({})
    assert len(until_snapshot(messages)) == 1
    assert before == [1]
    newer.cut()


def test_what_is_acknowledged_is_not_kept() -> None:
    """A forward request acknowledges as well as a back channel does."""
    with own_service() as service:
        page = listener(service, "demo-acknowledged")
        heard = page.hear()
        until_snapshot(heard.messages())
        assert service.call(service.service.web_channel.kept_bytes) > 0
        assert page.say()[2] == 0
        assert service.call(service.service.web_channel.kept_bytes) == 0
        heard.cut()


def test_long_polling_ends_with_the_first_data_or_after_its_time(
    running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """What React Native and clients behind buffering proxies ask for: whole answers, one after the other."""
    page = listener(running, project)
    first = list(page.hear(until_data=True).messages())
    assert "targetChange" in first[-1]
    assert [message for _, message in page.hear(until_data=True, TO="20")] == ["noop"]
    waiting = page.hear(until_data=True)
    client.document("rooms/a").set({})
    while not any("documentChange" in message for message in waiting.messages()):
        waiting = page.hear(until_data=True)


def test_answers_are_kept_alive_and_end_in_good_time() -> None:
    """Something comes at once, so that no network is taken for one that buffers; then a sign of life, then the end."""
    with own_service(Patience(keep_alive_seconds=0.02)) as service:
        page = writer(service, "demo-alive")
        assert [message for _, message in page.hear()][1:] == ["noop", "noop"]
        assert [message for _, message in page.hear()] == ["noop", "noop", "noop"]
        assert page.open({"database": page.database})[0][1][5] == 20


# -- limits


def test_a_client_that_does_not_read_costs_little() -> None:
    """What is kept for it stays within a limit however much there is to tell; in the end it gets everything."""
    with own_service() as service:
        names = [f"r{n}" for n in range(8)]
        other = writer(service, "demo-slow")
        for name in names:
            other.say(setting(other, name, "text", name * 350_000))
        page = listener(service, "demo-slow")
        assert 0 < service.call(service.service.web_channel.kept_bytes) < 2 * BACK_CHANNEL_LIMIT_BYTES
        for name in names:
            other.say(setting(other, name, "late", "yes"))
        assert service.call(service.service.web_channel.kept_bytes) < 2 * BACK_CHANNEL_LIMIT_BYTES
        late: set[str] = set()
        answers = 0
        while len(late) < len(names):
            answers += 1
            for message in page.hear().messages():
                if "late" in message.get("documentChange", {}).get("document", {}).get("fields", {}):
                    late.add(message["documentChange"]["document"]["name"])
                if len(late) == len(names):
                    break
        assert answers > 5
        page.terminate()


def setting(client: WireClient, name: str, field: str, value: str) -> dict[str, Any]:
    document = {"name": f"{client.documents}/rooms/{name}", "fields": {field: {"stringValue": value}}}
    return {"writes": [{"update": document, "updateMask": {"fieldPaths": [field]}}]}


def test_messages_that_wait_for_a_lost_one_are_bounded(running: RunningFirestore, project: str) -> None:
    """A client that goes on and on behind a gap loses its session, not the suite its memory."""
    page = writer(running, project)
    large = {"writes": [{"delete": "x" * 9_000_000}]}
    page.say(large, first=2)
    with pytest.raises(RefusedError, match="message 1 never came"):
        page.say(large, first=3)
    with pytest.raises(RefusedError, match="Unknown SID"):
        page.say()


class UntoldBody:
    """A request's body that tells whether it was asked for, and comes when it may."""

    def __init__(self, form_text: str = "count=0&ofs=0") -> None:
        self.is_read = False
        self.may_come = asyncio.Event()
        self._form_text = form_text

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield await self.read()

    async def read(self, limit_bytes: int = 0) -> bytes:
        self.is_read = True
        await self.may_come.wait()
        return self._form_text.encode()


def test_what_waits_for_the_service_is_bounded_and_the_rest_is_left_unread() -> None:
    """A page that says much and reads nothing costs some requests' memory: what waits and what is read count alike."""
    with own_service() as running:
        other, page = writer(running, "demo-a"), WireClient(running.address, "demo-a", "Listen")
        other.say(*(setting(other, f"a{n}", "text", "x" * 600_000) for n in range(3)))
        assert len(list(islice(other.hear().messages(), 4))) == 4
        page.open(target(page, "rooms"))  # what it asks for waits for a reader, and so does what it says next

        async def say_at_once(count: int, size: int) -> tuple[list[UntoldBody], list[asyncio.Task[HttpResponse]]]:
            bodies = [UntoldBody() for _ in range(count)]
            heads = Headers([("origin", PAGE), ("content-length", str(size))])
            path, query = CHANNEL.format(kind="Listen"), f"SID={page.sid}&RID=9"
            told = [HttpRequest("POST", path, query, heads, body) for body in bodies]
            tasks = [asyncio.ensure_future(running.service.http(each)) for each in told]
            for _ in range(100):  # turns of the loop: whoever may go on has gone on
                await asyncio.sleep(0)
            return bodies, tasks

        async def answered(bodies: list[UntoldBody], tasks: list[asyncio.Task[HttpResponse]]) -> set[int]:
            for body in bodies:
                body.may_come.set()
            return {answer.status for answer in await asyncio.gather(*tasks)}

        size = WAITING_LIMIT_BYTES * 2 // 3
        bodies, tasks = running.run(say_at_once(5, size))
        assert sum(body.is_read for body in bodies) == 2
        assert running.run(answered(bodies, tasks)) == {200}
        large = target(page, "rooms", 4) | {"labels": {"a": "x" * size}}
        page.say(large)
        page.say(large)
        bodies, tasks = running.run(say_at_once(1, 10))
        assert not bodies[0].is_read
        heard = chain.from_iterable(page.hear().messages() for _ in range(9))  # one answer holds less than all of it
        assert len(until_snapshot(heard)) == 3
        assert running.run(answered(bodies, tasks)) == {200}


def test_a_page_that_opens_sessions_without_end_loses_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """First those that wait for nothing; where all wait, the one not heard of for longest. Another site's stay."""

    def is_known(client: WireClient) -> bool:
        try:
            client.say(target(client, "halls", 4))
        except RefusedError:
            return False
        return True

    monkeypatch.setattr(web_channel, "SESSIONS_LIMIT", 4)
    with own_service() as running:
        other = WireClient(running.address, "demo-a", "Listen", origin="http://localhost:3000")
        other.open(target(other, "rooms"))
        waiting, idle, third = (listener(running, "demo-a") for _ in range(3))
        held = [page.hear() for page in (waiting, third)]
        fourth = listener(running, "demo-a")
        assert not is_known(idle)
        held.append(fourth.hear())
        fifth = listener(running, "demo-a")
        assert [is_known(page) for page in (other, waiting, third, fourth, fifth)] == [True, False, True, True, True]
        assert running.service.web_channel.session_count() == 4


def test_idle_sessions_end_and_open_ones_live_for_hours() -> None:
    """By the suite's clock: whoever listens may do so for days, and of whom nothing is heard is forgotten."""
    with own_service() as service:
        gone, stays = listener(service, "demo-idle"), listener(service, "demo-idle")
        heard = stays.hear()
        messages = heard.messages()
        until_snapshot(messages)
        for _ in range(6):
            service.call(lambda: service.clock.advance(3600))
        with pytest.raises(RefusedError, match="Unknown SID"):
            gone.hear()
        assert stays.say()[0] == 1
        service.call(lambda: service.clock.advance(IDLE_LIMIT_SECONDS - 1))
        assert service.call(service.service.web_channel.session_count) == 1
        heard.cut()


@pytest.mark.parametrize(("method", "origin"), [("POST", True), ("GET", True), ("GET", False)])
def test_a_page_that_leaves_takes_its_listeners_along(
    running: RunningFirestore, project: str, method: str, origin: bool
) -> None:
    """By a beacon, by a request, or by a picture's address, which comes without an origin; open answers end at once."""
    before = running.call(running.service.listeners.target_count)
    page = listener(running, project)
    heard = page.hear()
    messages = heard.messages()
    until_snapshot(messages)
    assert running.call(running.service.listeners.target_count) == before + 1
    assert page.terminate(method, origin=origin) == ""
    assert list(messages) == []
    assert running.call(running.service.listeners.target_count) == before
    with pytest.raises(RefusedError, match="Unknown SID"):
        page.say()


# -- who may


def test_a_session_answers_the_page_that_opened_it_and_no_other(running: RunningFirestore, project: str) -> None:
    """Another origin, and a program that found the session's name out, are told that there is none such."""
    page = listener(running, project)
    for origin in ("http://localhost:5174", "http://127.0.0.1:5173", None):
        other = WireClient(running.address, project, "Listen", origin=origin)
        other.sid = page.sid
        with pytest.raises(RefusedError, match="Unknown SID"):
            other.say()
        with pytest.raises(RefusedError, match="Unknown SID"):
            other.terminate()
    program = WireClient(running.address, project, "Listen", origin=None)
    program.open(target(program, "rooms"))
    page_again = WireClient(running.address, project, "Listen", origin=PAGE)
    page_again.sid = program.sid
    with pytest.raises(RefusedError, match="Unknown SID"):
        page_again.hear()
    assert page.say()[0] == 0
    assert program.say()[0] == 0


@pytest.mark.parametrize(
    "marks",
    [
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Referer": "http://localhost:5174/"},
    ],
    ids=["a picture", "another site", "another page"],
)
def test_what_a_page_embeds_takes_no_session_over(
    running: RunningFirestore, project: str, marks: dict[str, str]
) -> None:
    """A picture's GET names no origin. It acknowledges nothing and is told nothing."""
    page = listener(running, project)
    messages = page.hear().messages()
    until_snapshot(messages)
    other = WireClient(running.address, project, "Listen", origin=None, headers=marks)
    other.sid, other.last_received = page.sid, 10_000
    with pytest.raises(RefusedError, match="Unknown SID"):
        other.hear(until_data=True)
    writer(running, project).say(increment(page, "rooms/a"))
    assert len(until_snapshot(messages)) == 1


def test_pictures_and_reads_without_an_origin_are_the_pages_own(running: RunningFirestore, project: str) -> None:
    """A page that reaches the suite through its own server reads without an origin; one that leaves asks a picture."""
    page = listener(running, project)
    own = {"Sec-Fetch-Site": "same-origin", "Referer": f"{PAGE}/rooms"}
    through_its_server = WireClient(running.address, project, "Listen", origin=None, headers=own)
    through_its_server.sid = page.sid
    assert until_snapshot(through_its_server.hear().messages()) == []
    picture = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Referer": f"{PAGE}/"}
    leaving = WireClient(running.address, project, "Listen", origin=None, headers=picture)
    leaving.sid = page.sid
    assert leaving.terminate("GET") == ""
    with pytest.raises(RefusedError, match="Unknown SID"):
        page.say()


def test_what_the_body_says_is_judged_like_the_head(running: RunningFirestore, project: str) -> None:
    """A page cannot bring headers past the guard by writing them where browsers do not look."""
    for line in ("Origin: https://evil.example", "Host: evil.example"):
        page = WireClient(running.address, project, "Listen")
        with pytest.raises(RefusedError, match=r"evil\.example"):
            page.open(target(page, "rooms"), headers=f"{line}\n")


BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "another version": ({"VER": "7"}, form([{}], 0)),
    "no form": ({}, "{}"),
    "bytes": ({}, "count=1&ofs=0&req0___data__=%ff"),
    "no JSON": ({}, "count=1&ofs=0&req0___data__=%7B"),
    "JSON of another shape": ({}, "count=1&ofs=0&req0___data__=%5B%5D"),
    "an unknown field": ({}, form([{"nothing": 1}], 0)),
    "half a surrogate": ({}, "count=1&ofs=0&req0___data__=%7B%22database%22%3A%22%5Cud800%22%7D"),
    "deep": ({}, "count=1&ofs=0&req0___data__=" + "%7B%22addTarget%22%3A" * 2000 + "1" + "%7D" * 2000),
    "no offset": ({}, "count=1&ofs=x&req0___data__=%7B%7D"),
    "no headers": ({}, "headers=nothing&" + form([{}], 0)),
    "too many": ({}, form([{}] * 1100, 0)),
    "no base64": ({}, form([{"addTarget": {"targetId": 2, "resumeToken": "???"}}], 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_requests_are_refused_and_open_nothing(running: RunningFirestore, project: str, name: str) -> None:
    """Each says what is wrong with it; none leaves a session behind."""
    before = running.call(running.service.web_channel.session_count)
    parameters, body = BROKEN[name]
    page = WireClient(running.address, project, "Listen")
    with pytest.raises(RefusedError) as refused:
        page.request("POST", {"VER": "8", "RID": "1", **parameters}, body)
    assert refused.value.status == 400
    assert json.loads(refused.value.text)["error"]["status"] == "INVALID_ARGUMENT"
    assert running.call(running.service.web_channel.session_count) == before


def test_a_session_answers_in_its_own_conversation_alone(running: RunningFirestore, project: str) -> None:
    """What a Write session is called is no Listen session's name, so no message is read as another kind."""
    page, writing = listener(running, project), WireClient(running.address, project, "Write")
    writing.sid = page.sid
    with pytest.raises(RefusedError, match="Unknown SID"):
        writing.say({"database": page.database}, first=1)
    with pytest.raises(RefusedError, match="Unknown SID"):
        writing.terminate()
    assert page.say()[0] == 0


def test_a_broken_message_later_on_leaves_the_session_whole(running: RunningFirestore, project: str) -> None:
    """Nothing of the refused request counts: its messages can be sent again, mended."""
    page = writer(running, project)
    with pytest.raises(RefusedError, match="nothing"):
        page.say({"nothing": 1}, first=1)
    with pytest.raises(RefusedError, match="AID"):
        page.say(first=1, AID="x")
    page.say(increment(page, "rooms/a"), first=1)
    messages = page.hear().messages()
    assert [bool(message.get("writeResults")) for message in islice(messages, 2)] == [False, True]
