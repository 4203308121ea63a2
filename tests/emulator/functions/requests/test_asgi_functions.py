"""Asynchronous functions (`functions_framework.aio`) under their URLs and on events, as synchronous ones are served."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from afterimage_emulator.functions.instances.streamed_answers import StreamedAnswer
from afterimage_emulator.wire.http_messages import Headers, HttpRequest
from tests.emulator.functions.running import CODEBASES, Running, WholeBody, serving

URL = "/demo-functions/us-central1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asynchronous(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The codebase `asynchronous`, loaded once for all tests of the module."""
    async with serving(CODEBASES / "asynchronous", tmp_path_factory.mktemp("asynchronous") / "notes") as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_whole_application_behind_one_function(asynchronous: Running) -> None:
    """Routes, queries, headers and bodies of megabytes reach the Starlette application that a function returns."""
    body = b"x" * 3_000_000 + b"last"
    answer, text = await asynchronous.request(f"{URL}/site/echo?q=a%20b", "PUT", body, {"x-name": "Ada"})
    assert answer.status == 200
    assert json.loads(text) == {
        "method": "PUT", "path": "/echo", "query": "a b", "header": "Ada", "client": "127.0.0.1",
        "bytes": 3_000_004, "last": "last",
    }  # fmt: skip
    assert (await asynchronous.request(f"{URL}/site/nothing"))[0].status == 404


async def test_synchronous_functions_stand_beside_asynchronous_ones(asynchronous: Running) -> None:
    """Each is served by the kind of server that it was written for, and what it prints is its request's."""
    assert (await asynchronous.request(f"{URL}/synchronous"))[1] == b"GET synchronous"
    answer, text = await asynchronous.request(f"{URL}/in_a_thread", "POST")
    assert (answer.status, text) == (201, b"POST in a thread")
    record = next(r for r in asynchronous.service.records(failed_only=False) if r["function"] == "in_a_thread")
    assert record["log"] == ["held back"]


async def test_one_instance_serves_many_requests_at_once(asynchronous: Running) -> None:
    """Two requests that wait for each other are both answered, by one process."""
    answers = await asyncio.gather(*(asynchronous.request(f"{URL}/together") for _ in range(2)))
    assert len({json.loads(text)["pid"] for _, text in answers}) == 1


async def test_pieces_arrive_while_the_answer_is_made(asynchronous: Running) -> None:
    """A caller reads what there is before the end; the handler hears of a caller who leaves and may clean up."""
    answer = await asynchronous.service.http(
        HttpRequest("GET", f"{URL}/site/count", "then=wait", Headers(()), WholeBody(b""))
    )
    assert isinstance(answer.body, StreamedAnswer)
    read = b""
    while read != b"0\n1\n2\n":
        read += await anext(answer.body)
    await asynchronous.until(lambda: "waiting" in asynchronous.notes())
    ended = asynchronous.notes().count("numbers ended")
    await answer.body.aclose()
    await asynchronous.until(lambda: asynchronous.notes().count("numbers ended") == ended + 1)
    assert (await asynchronous.request(f"{URL}/site/count"))[1] == b"0\n1\n2\n"


async def test_an_answer_that_breaks_in_the_middle_is_no_whole_answer(asynchronous: Running) -> None:
    """The caller of a stream that fails is told so by its end, and the record has the reason."""
    with pytest.raises(Exception, match=r"middle of its answer|broke off"):
        await asynchronous.request(f"{URL}/site/count?then=break")
    record = next(r for r in reversed(asynchronous.service.records(failed_only=True)) if r["type"] == "GET /count")
    assert any("in the middle" in line for line in record["log"])


async def test_a_handler_that_raises(asynchronous: Running) -> None:
    """The caller gets 500, the record what was printed before and the traceback."""
    answer, text = await asynchronous.request(f"{URL}/failing")
    assert (answer.status, text) == (500, b"Internal Server Error")
    record = next(r for r in reversed(asynchronous.service.records(failed_only=True)) if r["function"] == "failing")
    printed = "\n".join(record["log"])
    assert "about to fail" in printed
    assert "ValueError: it never works" in printed


async def test_a_handler_that_ends_its_process_is_not_called_twice(asynchronous: Running) -> None:
    """A handler begins when its request is whole, so a request that it dies with is never taken for an unread one."""
    await asynchronous.request(f"{URL}/site/count")
    answer, text = await asynchronous.request(f"{URL}/leaving", "POST", b"x" * 8_000_000)
    assert (answer.status, b"exited with code 7" in text) == (502, True), text
    assert asynchronous.notes().count("leaving") == 1


async def test_a_handler_that_forks_answers_once(asynchronous: Running) -> None:
    """The copy that a handler forks does not answer too: the next caller gets an answer of its own."""
    pids = {(await asynchronous.request(f"{URL}/forking"))[1] for _ in range(5)}
    assert len(pids) == 1


async def test_an_event_reaches_an_asynchronous_function(asynchronous: Running) -> None:
    """Events are delivered, and tried again where the trigger says so."""
    good, bad = asynchronous.publish("news", "Z29vZA=="), asynchronous.publish("news", "ZmFpbA==")
    await asynchronous.until(lambda: asynchronous.notes().count("heard ZmFpbA==") == 1)
    await asynchronous.until(lambda: len(asynchronous.attempts(good)) == 1)
    await asynchronous.until(lambda: asynchronous.attempts(good)[0]["outcome"] == "ok")
    asynchronous.clock.advance(5)
    await asynchronous.until(lambda: asynchronous.notes().count("heard ZmFpbA==") >= 2)
    assert asynchronous.attempts(bad)[0]["outcome"] == "failed"


IN_PROCESS = """
import functions_framework.aio
from firebase_functions import https_fn
from firebase_functions.options import HttpsOptions

@functions_framework.aio.http
async def hello(request):
    if request.url.path == "/leave":
        raise SystemExit(3)
    return "asynchronous"

hello.__firebase_endpoint__ = HttpsOptions()._endpoint(func_name="hello")
"""
OF_THE_OTHER_KIND = """
from firebase_functions import https_fn

@https_fn.on_request()
def hello(request):
    return f"synchronous {request.args['q']}"
"""


async def test_asynchronous_functions_in_the_tests_own_process(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """They run there too, survive `sys.exit`, end with the suite, and leave nothing to the next codebase."""
    async with serving(write_codebase(IN_PROCESS), tmp_path / "out", in_process=True) as running:
        assert (await running.request(f"{URL}/hello"))[1] == b"asynchronous"
        assert (await running.request(f"{URL}/hello/leave"))[0].status == 500
        assert (await running.request(f"{URL}/hello"))[1] == b"asynchronous"
    await running.until(lambda: "function hello" not in {thread.name for thread in threading.enumerate()})
    async with serving(write_codebase(OF_THE_OTHER_KIND), tmp_path / "out", in_process=True) as running:
        assert (await running.request(f"{URL}/hello?q=one"))[1] == b"synchronous one"
