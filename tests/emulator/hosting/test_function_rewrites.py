"""Requests that a site rewrites to functions arrive as Hosting sends them, and answers return as Hosting gives them."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.hosting.function_rewrites import FunctionRewrites
from afterimage_emulator.hosting.site_settings import FunctionTarget
from afterimage_emulator.wire.http_messages import Headers, HttpRequest, HttpResponse
from tests.emulator.hosting.running_site import Answer, NoBody, Site, serving

MAIN = '''
import json, threading
from firebase_functions import https_fn, tasks_fn
from flask import Response

released = threading.Event()

@https_fn.on_request()
def api(request):
    seen = {
        "method": request.method, "path": request.path, "query": request.query_string.decode(),
        "headers": [[name.lower(), value] for name, value in request.headers], "body": request.get_data(as_text=True),
        "cookies": dict(request.cookies),
    }
    return Response(json.dumps(seen), int(request.args.get("status", 200)), headers=[
        (name, value) for name, value in (line.split(":", 1) for line in request.args.getlist("answer"))
    ], content_type="application/json")

@https_fn.on_request()
def streamed(request):
    """Sends its first piece, and the second one only when somebody has said that the first arrived."""
    if request.path == "/streamed/released":
        released.set()
        return "released"
    def pieces():
        yield "one "
        assert released.wait(30)
        yield "two"
    return Response(pieces(), content_type="text/plain")

@https_fn.on_request(region="europe-west1")
def european(request):
    return "european"

@https_fn.on_request(region=["europe-west1", "asia-east1"])
def everywhere(request):
    return "everywhere"

@https_fn.on_call()
def called(request):
    return {"got": request.data}

@tasks_fn.on_task_dispatched()
def task(request):
    raise AssertionError("a page of the site reached a task's function")
'''
HOSTING = {
    "public": "public",
    "rewrites": [
        {"source": "/api/**", "function": "api"},
        {"source": "/object/**", "function": {"functionId": "api", "region": "us-central1"}},
        {"source": "/streamed{,/**}", "function": "streamed"},
        {"source": "/eu/here", "function": "european", "region": "europe-west1"},
        {"source": "/eu/found", "function": "european"},
        {"source": "/eu/wrong", "function": "european", "region": "asia-east1"},
        {"source": "/all/asia", "function": {"functionId": "everywhere", "region": "asia-east1"}},
        {"source": "/all", "function": "everywhere"},
        {"source": "/called", "function": "called"},
        {"source": "/task", "function": "task"},
        {"source": "/none", "function": "none"},
        {"source": "/run/**", "run": {"serviceId": "renderer", "region": "us-central1"}},
        {"source": "/d/**", "dynamicLinks": True},
    ],
    "headers": [{"source": "/api/**", "headers": [{"key": "X-Site", "value": "yes"}]}],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Functions of a real codebase, and a site beside them."""
    files = {"functions/main.py": MAIN, "public/api/real.txt": "a file", "public/404.html": "the site's own"}
    with serving(
        tmp_path_factory.mktemp("rewritten"),
        HOSTING,
        f"demo-rewritten-{os.getpid()}",
        files,
        only=("functions", "hosting"),
        functions={"source": "functions"},
    ) as running:
        yield running


def seen(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.body)
    return found


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_requests_arrive_whole(site: Site, method: str) -> None:
    """Method, path, query, body and the client's own headers."""
    body = None if method == "GET" else b"x" * 100_000
    headers = {"content-type": "text/plain", "x-own": "1", "authorization": "Bearer abc"}
    arrived = seen(site.ask("/api/a%2Fb/c?x=1&y=%20", headers, method=method, body=body))
    assert (arrived["method"], arrived["path"], arrived["query"]) == (method, "/api/a/b/c", "x=1&y=%20")
    assert arrived["body"] == (body or b"").decode()
    assert {"x-own": "1", "authorization": "Bearer abc"}.items() <= dict(arrived["headers"]).items()


def test_the_function_learns_how_the_site_was_called(site: Site) -> None:
    """Its own address is the function's; the site's stands beside it."""
    arrived = dict(seen(site.ask("/api/x?a=1", {"host": "localhost:5000", "x-forwarded-host": "forged"}))["headers"])
    assert arrived["host"] == site.suite.address("functions")
    assert arrived["x-forwarded-host"].split(",")[-1] == "localhost:5000"
    assert arrived["x-original-url"] == "/api/x?a=1"
    assert arrived["x-forwarded-for"] == "127.0.0.1"


def test_one_cookie_passes(site: Site) -> None:
    """`__session`, and no other: production removes them, so nothing may come to depend on them here."""
    cookies = "a=1; __session=kept; __sessionx=2; b=__session=3"
    assert seen(site.ask("/api/x", {"cookie": cookies}))["cookies"] == {"__session": "kept"}
    assert seen(site.ask("/api/x", {"cookie": "a=1"}))["cookies"] == {}


def test_answers_are_private_unless_they_say_otherwise(site: Site) -> None:
    """No cache may hand one visitor's answer, or cookie, to another."""
    private = site.ask("/api/x?answer=set-cookie:__session=1&answer=set-cookie:b=2")
    assert private.headers["cache-control"] == "private"
    assert list(private.cookies) == ["__session=1", "b=2"]
    public = site.ask("/api/x?answer=cache-control:public,max-age=60&answer=set-cookie:a=1&answer=vary:accept-language")
    assert public.headers["cache-control"] == "public,max-age=60"
    assert list(public.cookies) == []
    assert public.headers["vary"] == "accept-language, Accept-Encoding, Authorization, Cookie"


def test_redirects_to_the_function_itself_stay_on_the_site(site: Site) -> None:
    """A function that builds an address from its Host header means the site."""
    functions = f"http://{site.suite.address('functions')}"
    project = site.suite.suite.project_id
    for location, expected in (
        (f"{functions}/login?a=1", "/login?a=1"),
        (f"{functions}/{project}/us-central1/api/login", "/login"),
        (f"{functions}//evil.example", "/evil.example"),
        ("https://accounts.example/login", "https://accounts.example/login"),
        ("/login", "/login"),
    ):
        answer = site.ask(f"/api/x?status=302&answer=location:{location.replace('?', '%3F').replace('&', '%26')}")
        assert (answer.status, answer.headers["location"]) == (302, expected)


def test_a_file_comes_before_a_rewrite_and_headers_go_on_both(site: Site) -> None:
    """Static content wins; what firebase.json says of headers holds for answers of functions too."""
    assert site.ask("/api/real.txt").text == "a file"
    assert site.ask("/api/real.txt").headers["x-site"] == site.ask("/api/x").headers["x-site"] == "yes"


def test_answers_are_handed_on_while_they_are_made(site: Site) -> None:
    """The function sends its second piece only after the client has had the first."""
    host, _, port = site.suite.address("hosting").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("GET", "/streamed")
        answer = connection.getresponse()
        assert answer.read(4) == b"one "
        releasing = threading.Thread(target=site.ask, args=("/streamed/released",))
        releasing.start()
        assert answer.read() == b"two"
        releasing.join()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/object/x", 200, '"method": "GET"'),
        ("/eu/here", 200, "european"),
        ("/eu/found", 200, "european"),
        ("/eu/wrong", 404, "`european` does not run in `asia-east1`, but in europe-west1"),
        ("/all/asia", 200, "everywhere"),
        ("/all", 404, "name one as `region`"),
        ("/task", 404, "no function `task` with a URL"),
        ("/none", 404, "no function `none` with a URL"),
        ("/run/x", 501, '`hosting.rewrites[11]` of firebase.json leads to the Cloud Run service `"renderer"`'),
        ("/d/x", 501, "Firebase Dynamic Links"),
    ],
)
def test_a_rewrite_finds_its_function_or_says_why_not(site: Site, path: str, status: int, says: str) -> None:
    """By name and region; what only Google runs is refused by its name."""
    answer = site.ask(path)
    assert (answer.status, says in answer.text) == (status, True), answer.text


def test_callables_are_called_through_the_site(site: Site) -> None:
    """As pages do that reach their functions by their own origin."""
    headers = {"content-type": "application/json", "origin": "http://localhost:5000"}
    answer = site.ask("/called", headers, method="POST", body=b'{"data": 7}')
    assert json.loads(answer.body) == {"result": {"got": 7}}


def test_a_function_may_pass_a_request_on(site: Site) -> None:
    """`X-Cascade: PASS` on a 404 shows the site's own page for what is missing."""
    passed = site.ask("/api/x?status=404&answer=x-cascade:pass")
    assert (passed.status, passed.text) == (404, "the site's own")
    assert "method" in site.ask("/api/x?status=404").text


def test_what_the_suite_does_not_run_is_told_at_the_start(site: Site) -> None:
    """Before the first visitor finds out."""
    told = "\n".join(site.suite.suite.warnings)
    assert "hosting.rewrites[11]" in told
    assert "hosting.rewrites[12]" in told


def test_without_functions_the_way_out_is_told(tmp_path: Path, project_id: str) -> None:
    """`--only hosting` is a choice; a rewrite must not look as if the function had failed."""
    rewrites = [{"source": "**", "function": "api"}]
    with serving(tmp_path, {"rewrites": rewrites}, project_id) as site:
        answer = site.ask("/x")
        assert (answer.status, "`functions` among --only" in answer.text) == (503, True)


class LateBody:
    """A stream that says when it was given up."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()

    def __aiter__(self) -> LateBody:
        return self

    async def __anext__(self) -> bytes:
        return b"late"

    async def aclose(self) -> None:
        self.given_up.set()


class SlowFunctions:
    """Functions that begin no answer until they are let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.body = LateBody()

    def regions_of(self, name: str) -> tuple[str, ...]:
        return ("us-central1",)

    async def http(self, request: HttpRequest) -> HttpResponse:
        await self.may_answer.wait()
        return HttpResponse(200, [], self.body)


async def test_a_function_that_begins_no_answer_in_time_is_a_504() -> None:
    """As on the platform, whose limit is a minute whatever the function's own is; what comes late is let go."""
    functions = SlowFunctions()
    rewrites = FunctionRewrites(
        functions, project_id="demo", address=lambda: "127.0.0.1:5001", answer_limit_seconds=0.01
    )
    request = HttpRequest("GET", "/x", "", Headers(), NoBody())
    answer = await rewrites.call(request, FunctionTarget("slow", None))
    assert answer is not None
    assert isinstance(answer.body, bytes)
    assert (answer.status, b"`slow` began no answer within 0.01 s" in answer.body) == (504, True)
    functions.may_answer.set()
    await functions.body.given_up.wait()
    await rewrites.close()
