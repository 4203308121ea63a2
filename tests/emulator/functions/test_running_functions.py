"""What functions are promised, with real functions in real processes."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from functools import partial

import pytest

from afterimage_emulator.events import CloudEvent
from afterimage_emulator.protos import messages
from tests.emulator.functions.running import PROJECT, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


def document_event(path: str, event_id: str, project: str = PROJECT) -> CloudEvent:
    firestore = messages("google.events.cloud.firestore.v1")
    data = firestore.DocumentEventData()
    data.value.name = f"projects/{project}/databases/(default)/documents/{path}"
    data.value.fields["rank"].integer_value = 7
    attributes = {
        "project": project, "database": "(default)", "namespace": "(default)", "document": path, "location": "nam5",
    }  # fmt: skip
    return CloudEvent(
        id=event_id,
        source=f"//firestore.googleapis.com/projects/{project}/databases/(default)",
        type="google.cloud.firestore.document.v1.written",
        time="2026-01-02T03:04:05.678901Z",
        subject=f"documents/{path}",
        content_type="application/protobuf",
        data=data.SerializeToString(),
        attributes=attributes,
    )


def object_event(bucket: str, name: str, event_id: str) -> CloudEvent:
    moment = "2026-01-02T03:04:05.678Z"
    resource = {
        "bucket": bucket, "name": name, "generation": "1", "metageneration": "1", "id": f"{bucket}/{name}/1",
        "timeCreated": moment, "updated": moment, "size": "3", "storageClass": "STANDARD", "kind": "storage#object",
        "selfLink": "http://x", "mediaLink": "http://x", "etag": "x", "crc32c": "x", "md5Hash": "x",
    }  # fmt: skip
    return CloudEvent(
        id=event_id,
        source=f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        type="google.cloud.storage.object.v1.finalized",
        time=moment,
        subject=f"objects/{name}",
        data=json.dumps(resource).encode(),
        attributes={"bucket": bucket},
    )


def has_attempts(plain: Running, event_id: str, count: int) -> bool:
    return len(plain.attempts(event_id)) == count


async def test_an_object_event_reaches_the_function_of_its_bucket_alone(plain: Running) -> None:
    """A storage trigger is called with the SDK's own object, for its bucket and no other."""
    plain.events.publish(object_event("pictures", "a/ä b.jpg", "object-1"))
    plain.events.publish(object_event("elsewhere", "a.jpg", "object-2"))
    await plain.settled()
    assert "stored pictures/a/ä b.jpg" in plain.notes()
    (attempt,) = plain.attempts("object-1")
    assert attempt["outcome"] == "ok"
    assert "stored a/ä b.jpg" in attempt["log"]
    assert plain.attempts("object-2") == []


async def test_a_document_event_brings_its_parameters_and_its_fields(plain: Running) -> None:
    """A Firestore trigger sees the captures of its pattern and the document decoded; deeper paths do not match."""
    plain.events.publish(document_event("cards/seven", "document-1"))
    plain.events.publish(document_event("cards/seven/sides/one", "document-2"))
    await plain.settled()
    assert "card seven {'rank': 7}" in plain.notes()
    assert plain.attempts("document-2") == []


async def test_events_of_another_project_are_not_ours(plain: Running) -> None:
    """Tests share a suite by using projects of their own; functions hear of the suite's project only."""
    plain.events.publish(document_event("cards/eight", "foreign", project="demo-other"))
    await plain.settled()
    assert plain.attempts("foreign") == []


async def test_a_failing_event_is_tried_again_only_where_the_trigger_says_so(plain: Running) -> None:
    """Without `retry` one failure is the end, in the record and in the log; with it the event comes again, later."""
    dropped = plain.publish("dropped")
    await plain.settled()
    assert [(a["attempt"], a["outcome"]) for a in plain.attempts(dropped)] == [(1, "failed")]
    assert "ValueError: once is enough" in plain.attempts(dropped)[0]["detail"]
    first, place, *source, last = plain.attempts(dropped)[0]["log"]
    assert (first, source, last) == (
        "Traceback (most recent call last):", ['    raise ValueError("once is enough")'], "ValueError: once is enough",
    )  # fmt: skip
    assert re.fullmatch(r'  File ".*/plain/main\.py", line \d+, in dropped', place)
    plain.clock.freeze()
    failing = plain.publish("failing")
    await plain.until(lambda: [a["outcome"] for a in plain.attempts(failing)] == ["failed"])
    assert plain.activity.under_way == {"failing": 1}, "an event that waits to be tried again is not settled"
    for seconds, attempts in ((1.0, 2), (2.0, 3)):
        await plain.until(lambda: plain.attempts(failing)[-1]["outcome"] == "failed")
        await asyncio.sleep(0)
        plain.clock.advance(seconds)
        await plain.until(partial(has_attempts, plain, failing, attempts))
    await plain.until(lambda: plain.attempts(failing)[-1]["outcome"] == "failed")
    plain.clock.advance(25 * 3600)  # past the end of its patience: the next failure is the last
    await plain.settled()
    plain.clock.resume()
    assert [a["attempt"] for a in plain.attempts(failing)] == [1, 2, 3, 4]


async def test_a_crash_is_contained_and_named(plain: Running) -> None:
    """A process that ends says so in the record; the next event finds a new one, other functions notice nothing."""
    first, second, other = plain.publish("crash"), plain.publish("crash"), plain.publish("news", "aGk=")
    await plain.settled()
    for event_id in (first, second):
        (attempt,) = plain.attempts(event_id)
        assert (attempt["outcome"], attempt["log"]) == ("crashed", ["crashing"])
        assert "exited with code 3" in attempt["detail"]
    assert plain.attempts(other)[0]["outcome"] == "ok"


async def test_a_function_that_never_returns_is_killed_at_its_timeout(plain: Running) -> None:
    """The timeout of the declaration holds, the process goes, and its place is free again."""
    first = plain.publish("hang")
    await plain.settled()
    (attempt,) = plain.attempts(first)
    assert attempt["outcome"] == "timeout"
    assert attempt["detail"] == "it took longer than its timeout of 1 s"
    assert plain.service.functions()["hang"].timeout_seconds == 1


async def test_a_greedy_function_is_killed_at_its_memory_limit(plain: Running) -> None:
    """The record says how much it used and how much it may; the machine keeps its memory."""
    first = plain.publish("greedy")
    await plain.settled()
    (attempt,) = plain.attempts(first)
    assert attempt["outcome"] in ("out of memory", "failed"), attempt
    assert "256 MiB" in attempt["detail"] or "MemoryError" in attempt["detail"]


async def test_megabytes_of_binary_output_are_bounded_and_harm_nothing(plain: Running) -> None:
    """The function is not blocked by its own output, the record stays small, and it says how much was left out."""
    first = plain.publish("loud")
    await plain.settled()
    assert "loud done" in plain.notes()
    (attempt,) = plain.attempts(first)
    assert attempt["outcome"] == "ok"
    assert sum(map(len, attempt["log"])) <= 100_000
    assert all(character.isprintable() for line in attempt["log"] for character in line)
    later = plain.publish("news", "aGk=")
    await plain.settled()
    assert plain.attempts(later)[0]["outcome"] == "ok"


async def test_an_http_function_answers_under_its_url(plain: Running) -> None:
    """Method, path, query and body arrive; the status and the body come back; streams come back as streams."""
    answer, body = await plain.request(f"/{PROJECT}/us-central1/hello/deep/er?q=1%202", "POST", b"given")
    assert (answer.status, body) == (200, b"POST /deep/er 1 2 given")
    answer, body = await plain.request(f"/{PROJECT}/us-central1/hello/stream")
    assert body == b"0\n1\n2\n"


@pytest.mark.parametrize(
    "host",
    [
        "hello-123456789012.us-central1.run.app.localhost:5001",
        "hello-abcdefghij-uc.a.run.app.localhost:5001",
        "hello.run.app.localhost",
    ],
)
async def test_a_url_of_cloud_runs_form_is_the_functions_alone(plain: Running, host: str) -> None:
    """Production's host with `.localhost` behind it: the whole path is the function's."""
    answer, body = await plain.request("/deep/er?q=1%202", "POST", b"given", {"host": host})
    assert (answer.status, body) == (200, b"POST /deep/er 1 2 given")
    for wrong in (host.replace("hello", "hallo"), "hello-1.europe-west1.run.app.localhost"):
        answer, body = await plain.request("/", headers={"host": wrong})
        assert answer.status == 404, wrong


async def test_an_unknown_function_is_answered_with_those_there_are(plain: Running) -> None:
    """A wrong name, region or project gets a 404 that helps."""
    for path in (f"/{PROJECT}/us-central1/hallo", f"/{PROJECT}/europe-west1/hello", "/other/us-central1/hello"):
        answer, body = await plain.request(path)
        assert answer.status == 404
        assert b"valid functions are: us-central1-add, us-central1-busy, us-central1-hello" in body
    answer, body = await plain.request("/__/health")
    assert answer.status == 200


async def test_a_callable_function_speaks_the_sdks_protocol_with_cors(plain: Running) -> None:
    """`data` goes in, `result` comes out, and a browser's preflight is answered."""
    path = f"/{PROJECT}/us-central1/add"
    sent = json.dumps({"data": {"a": 2, "b": 3}}).encode()
    answer, body = await plain.request(path, "POST", sent, {"content-type": "application/json"})
    assert (answer.status, json.loads(body)) == (200, {"result": 5})
    asked = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    answer, _ = await plain.request(path, "OPTIONS", headers=asked)
    assert answer.status < 300
    assert dict(answer.headers)["access-control-allow-origin"] in ("*", "http://localhost:5173")


async def test_instances_and_concurrency_are_what_the_function_declares(plain: Running) -> None:
    """With one instance and two places, many requests are all served, two at a time, by one process."""
    answers = await asyncio.gather(*(plain.request(f"/{PROJECT}/us-central1/busy") for _ in range(12)))
    peaks = {body for _, body in answers}
    assert len({body.split()[0] for body in peaks}) == 1
    assert max(int(body.split()[1]) for body in peaks) == 2


async def test_a_schedule_fires_when_the_clock_reaches_it(plain: Running) -> None:
    """Five minutes pass in no time, and the function is told the time it was due."""
    plain.clock.freeze(datetime(2031, 1, 1, tzinfo=UTC))
    await plain.settled()
    before = len([note for note in plain.notes() if note.startswith("tick")])
    for _ in range(3):
        plain.clock.advance(300)
        await plain.settled()
    plain.clock.resume()
    ticks = [note for note in plain.notes() if note.startswith("tick")][before:]
    assert len(ticks) == 3
    assert all(tick.startswith("tick 2031-01-01T00:") for tick in ticks)


async def test_an_event_of_the_record_can_be_sent_again(plain: Running) -> None:
    """Replay delivers the same event to the functions that want it now; what is forgotten is sent to nobody."""
    event_id = plain.publish("news", "c2Vjb25k")
    await plain.settled()
    assert await plain.service.replay(event_id) == 1
    await plain.settled()
    assert len(plain.attempts(event_id)) == 2
    assert await plain.service.replay("never heard of") == 0


async def test_many_events_all_arrive(plain: Running) -> None:
    """Nothing is lost between the bus and the handler, and the record keeps to its bounds."""
    before = len(plain.notes())
    for _ in range(500):
        plain.publish("news", "bWFueQ==")
    await plain.settled()
    assert len(plain.notes()) - before == 500
    assert len(plain.service.records(failed_only=False)) <= 1_000
