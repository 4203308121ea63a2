"""Callable functions over HTTP with the suite's own tokens: who is told what, who is refused, and how."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from afterimage_emulator.auth.app_check import make_app_check_token
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.functions.http_front import REQUEST_LIMIT_BYTES
from afterimage_emulator.suite import Suite
from tests.emulator.functions.running import CODEBASES

PROJECT = "demo-callables"
APP = "1:12345:web:abc"
UNAUTHENTICATED = {"error": {"status": "UNAUTHENTICATED", "message": "Unauthenticated"}}


class Caller:
    """What an app sends, over real sockets."""

    def __init__(self, suite: BackgroundSuite) -> None:
        self.suite = suite
        self.http = httpx.Client(timeout=30, trust_env=False)

    def call(self, name: str, data: Any = None, *, app_check: str | None = None, auth: str | None = None) -> Any:
        headers = {} if app_check is None else {"x-firebase-appcheck": app_check}
        if auth is not None:
            headers["authorization"] = auth
        return self.http.post(self.url(name), json={"data": data}, headers=headers)

    def url(self, name: str) -> str:
        return f"http://{self.suite.address('functions')}/{PROJECT}/us-central1/{name}"

    def auth(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(f"http://{self.suite.address('auth')}{path}", json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def app_check_token(self, *, limited_use: bool = False) -> str:
        body = {"debug_token": "any", "limited_use": limited_use}
        return str(self.auth(f"/v1/projects/{PROJECT}/apps/{APP}:exchangeDebugToken", body)["token"])

    def sign_in(self) -> dict[str, Any]:
        return self.auth("/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any", {})


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    configuration = Configuration(
        root=tmp_path_factory.mktemp("callables"),
        project_id=PROJECT,
        codebases=(Codebase(name="default", source=CODEBASES / "callables"),),
    )
    # The guard of the ports is not what is tried here: which pages a function itself lets in is.
    allowed = AllowedPages.read({}, origins=["https://app.example.com", "https://evil.example.com"])
    with BackgroundSuite(Suite(configuration, only=("auth", "functions"), free_ports=True, allowed=allowed)) as running:
        yield running


@pytest.fixture
def caller(suite: BackgroundSuite) -> Iterator[Caller]:
    caller = Caller(suite)
    yield caller
    caller.http.close()


def test_a_caller_without_tokens_is_nobody(caller: Caller) -> None:
    """No token is no error where none is demanded."""
    answer = caller.call("who")
    assert (answer.status_code, answer.json()) == (
        200, {"result": {"uid": None, "provider": None, "app": None, "instance": None}},
    )  # fmt: skip


def test_a_handler_sees_the_user_and_the_app_of_the_suites_tokens(caller: Caller) -> None:
    """The tokens that the suite's Auth and App Check hand out are verified and decoded."""
    user = caller.sign_in()
    answer = caller.call("guarded", app_check=caller.app_check_token(), auth=f"Bearer {user['idToken']}")
    assert (answer.status_code, answer.json()) == (200, {"result": {"uid": user["localId"], "app": APP}})


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "not a token",
        "a.b.c",
        unsigned_jwt({"sub": APP, "exp": 9_999_999_999}),
        make_app_check_token(app_id=APP, project_id="demo-other", now_seconds=4_000_000_000),
        make_app_check_token(app_id=APP, project_id=PROJECT, now_seconds=1_000_000_000),
    ],
    ids=["missing", "empty", "text", "three parts", "no audience", "of another project", "expired"],
)
def test_a_function_that_enforces_app_check_refuses_all_else(caller: Caller, token: str | None) -> None:
    """Missing, forged, foreign and expired tokens: 401 and the SDK's own error body; the handler is not entered."""
    answer = caller.call("guarded", app_check=token)
    assert (answer.status_code, answer.json()) == (401, UNAUTHENTICATED)
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "header",
    ["Basic dXNlcg==", "Bearer nonsense", "Bearer a.b.c",
     "Bearer " + unsigned_jwt({"sub": "u", "aud": "demo-other", "iss": "https://securetoken.google.com/demo-other"})],
    ids=["not a bearer", "text", "three parts", "of another project"],
)  # fmt: skip
def test_a_wrong_id_token_is_refused_even_where_none_is_needed(caller: Caller, header: str) -> None:
    """Who shows a token must show a good one; nobody becomes anonymous by showing a bad one."""
    answer = caller.call("who", auth=header)
    assert (answer.status_code, answer.json()) == (401, UNAUTHENTICATED)


def test_tokens_run_out_by_the_suites_clock(suite: BackgroundSuite, caller: Caller) -> None:
    """An hour of the suite's time ends an App Check token, whatever this machine's clock says; a new one is good."""
    token, user = caller.app_check_token(), caller.sign_in()
    suite.advance_clock(3500)
    assert caller.call("guarded", app_check=token).status_code == 200
    suite.advance_clock(200)
    assert caller.call("guarded", app_check=token).status_code == 401
    assert caller.call("guarded", app_check=caller.app_check_token()).status_code == 200
    # As with the official emulator: firebase-admin does not look at the times of a local ID token.
    assert caller.call("who", auth=f"Bearer {user['idToken']}").json()["result"]["uid"] == user["localId"]


def test_a_consumed_token_is_good_only_once(caller: Caller) -> None:
    """Replay protection holds across instances, and for each token by itself."""
    token = caller.app_check_token(limited_use=True)
    assert caller.call("once", app_check=token).json() == {"result": "first"}
    again = caller.call("once", app_check=token)
    assert (again.status_code, again.json()["error"]["message"]) == (401, "this token was used before")
    assert caller.call("once", app_check=caller.app_check_token(limited_use=True)).status_code == 200


@pytest.mark.parametrize(
    "data",
    [None, True, 0, -1.5, 2**53, "", "ä\u2028\U0001f600", [], [[1], {}], {}, {"a": {"b": [None, {"c": "d"}]}}],
    ids=repr,
)
def test_data_of_every_kind_comes_back_as_it_went(caller: Caller, data: Any) -> None:
    """JSON in, the same JSON out."""
    assert caller.call("echo", data).json() == {"result": data}


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        ("invalid-argument", 400, "INVALID_ARGUMENT"),
        ("failed-precondition", 400, "FAILED_PRECONDITION"),
        ("unauthenticated", 401, "UNAUTHENTICATED"),
        ("permission-denied", 403, "PERMISSION_DENIED"),
        ("not-found", 404, "NOT_FOUND"),
        ("already-exists", 409, "ALREADY_EXISTS"),
        ("resource-exhausted", 429, "RESOURCE_EXHAUSTED"),
        ("cancelled", 499, "CANCELLED"),
        ("internal", 500, "INTERNAL"),
        ("unimplemented", 501, "UNIMPLEMENTED"),
        ("unavailable", 503, "UNAVAILABLE"),
        ("deadline-exceeded", 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_keep_their_code_message_and_details(caller: Caller, code: str, status: int, name: str) -> None:
    """What the handler raises is what the app is told."""
    answer = caller.call("fails", {"code": code, "message": "why", "details": {"field": ["a", 1]}})
    expected = {"error": {"status": name, "message": "why", "details": {"field": ["a", 1]}}}
    assert (answer.status_code, answer.json()) == (status, expected)


def test_an_exception_of_the_handler_does_not_show_its_insides(caller: Caller) -> None:
    """The app learns that it failed; the record says why."""
    answer = caller.call("broken")
    assert (answer.status_code, answer.json()) == (500, {"error": {"status": "INTERNAL", "message": "INTERNAL"}})
    record = caller.suite.call(lambda: caller.suite.suite.records(failed_only=True))[-1]
    assert (record["function"], record["outcome"]) == ("broken", "failed")
    assert "a secret of the implementation" in "\n".join(record["log"])


@pytest.mark.parametrize(
    ("method", "content", "kind", "status", "name"),
    [
        ("GET", b"", "application/json", 400, "INVALID_ARGUMENT"),
        ("POST", b'{"data": 1}', "text/plain", 400, "INVALID_ARGUMENT"),
        ("POST", b"{", "application/json", 500, "INTERNAL"),
        ("POST", b"[]", "application/json", 400, "INVALID_ARGUMENT"),
        ("POST", b'{"other": 1}', "application/json", 400, "INVALID_ARGUMENT"),
        ("POST", b'{"data": 1, "more": 2}', "application/json", 400, "INVALID_ARGUMENT"),
    ],
)
def test_what_is_no_call_is_refused_in_the_protocols_own_words(
    caller: Caller, method: str, content: bytes, kind: str, status: int, name: str
) -> None:
    """A wrong method, type or body never reaches the handler."""
    answer = caller.http.request(method, caller.url("echo"), content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["status"]) == (status, name)


@pytest.mark.parametrize(
    ("name", "origin", "allowed"),
    [
        ("echo", "http://localhost:5173", True),
        ("streamed", "http://localhost:5173", True),
        ("ours_alone", "https://app.example.com", True),
        ("ours_alone", "https://evil.example.com", False),
    ],
)
def test_a_browsers_preflight_is_answered_as_the_function_declares(
    caller: Caller, name: str, origin: str, allowed: bool
) -> None:
    """Origin, method and the SDK's own headers are allowed, or are not, before anything runs."""
    asked = "authorization,content-type,firebase-instance-id-token,x-firebase-appcheck"
    headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": asked}
    answer = caller.http.options(caller.url(name), headers=headers)
    assert answer.status_code == 200
    assert answer.headers.get("access-control-allow-origin") in ((origin, "*") if allowed else (None,))
    if allowed:
        assert "POST" in answer.headers["access-control-allow-methods"]
        told = {header.strip().lower() for header in answer.headers["access-control-allow-headers"].split(",")}
        assert set(asked.split(",")) <= told


def test_a_streamed_answer_arrives_while_it_is_made(caller: Caller) -> None:
    """The first piece is there before the function makes the next one."""
    with caller.http.stream("GET", caller.url("piecewise")) as answer:
        pieces = answer.iter_text()
        assert next(pieces) == "first"
        assert caller.http.get(caller.url("piecewise") + "/go-on").text == "thanks"
        assert "".join(pieces) == "last"


def test_a_request_that_is_too_large_is_refused(caller: Caller) -> None:
    """As on the platform, 32 MB are the limit; one of 10 MB arrives and comes back."""
    data = "x" * 10_000_000
    assert caller.call("echo", data).json() == {"result": data}
    answer = caller.http.post(caller.url("echo"), content=b"x" * (REQUEST_LIMIT_BYTES + 1))
    assert (answer.status_code, answer.text) == (413, "the request is larger than 33,554,432 bytes")


def drip(caller: Caller, path: str) -> tuple[str, dict[str, Any]]:
    """What arrived of a streamed answer, and its record once everything is over."""
    arrived = ""
    with (
        contextlib.suppress(httpx.RemoteProtocolError),
        caller.http.stream("GET", caller.url("drips") + path) as answer,
    ):
        for piece in answer.iter_text():
            arrived += piece
            if path == "/left":
                break
    caller.suite.settled()
    records = caller.suite.call(lambda: caller.suite.suite.records(failed_only=False))
    return arrived, [record for record in records if record["function"] == "drips"][-1]


def test_a_streamed_answer_is_recorded_to_its_end(caller: Caller) -> None:
    """Outcome, duration and output are those of the whole answer; `settled` waits for its end."""
    arrived, record = drip(caller, "/")
    assert arrived == "firstlast"
    assert (record["outcome"], record["log"]) == ("ok", ["the first piece", "the last piece"])


def test_the_timeout_counts_for_a_streamed_answer_too(caller: Caller) -> None:
    """A stream that never ends is cut off with its process, and the next request finds a new one."""
    arrived, record = drip(caller, "/for-ever")
    assert arrived.startswith("firstmore")
    assert (record["outcome"], record["detail"]) == ("timeout", "it took longer than its timeout of 1 s")
    assert drip(caller, "/")[0] == "firstlast"


def test_a_crash_in_the_middle_of_an_answer_cuts_it_off(caller: Caller) -> None:
    """The caller sees that the answer is not whole; the record says why."""
    arrived, record = drip(caller, "/crash")
    assert arrived in ("first", "")
    assert record["outcome"] == "crashed"
    assert "exited with code 4" in record["detail"]
    assert record["log"] == ["the first piece", "about to crash"]


def test_who_leaves_in_the_middle_gives_the_place_free(caller: Caller) -> None:
    """With a single instance, the next caller is served all the same."""
    arrived, record = drip(caller, "/left")
    assert arrived == "first"
    assert record["outcome"] in ("cancelled", "ok")  # the last piece may have been on its way
    assert drip(caller, "/")[0] == "firstlast"
