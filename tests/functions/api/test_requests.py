"""A request from end to end over sockets: parsed or refused in one shape, logged, and told to allowed pages alone."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from afterimage.api.dispatch import RouteTable
from afterimage.api.table import TABLE
from tests.functions.api.conftest import ServedApi
from tests.functions.api.echo_handlers import ECHO_ROUTES
from tests.functions.api.test_every_route import refused_with

ECHO = RouteTable([*TABLE.routes, *ECHO_ROUTES])
PAGE = "https://app.example.com"


def test_a_handler_gets_what_the_row_promises(served: ServedApi) -> None:
    """A typed caller, the path's names, the query and the body as their types."""
    address, alice = served.instance(ECHO), served.user("alice")
    answer = served.http.post(f"{address}/echo/a-1?limit=5&pinned=true", json={"text": "ä\x00"}, headers=alice.headers)
    said = answer.json()
    assert (answer.status_code, len(said.pop("operation_id"))) == (200, 32)
    assert said == {"uid": "alice", "path": {"id": "a-1"}, "query": {"limit": 5, "pinned": True}, "text": "ä\x00"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("query", "body", "content_type", "code", "said"),
    [
        ("?limit=x", b'{"text":"a"}', "application/json", "INVALID_REQUEST", "`$.limit`"),
        ("?limit=1&limit=2", b'{"text":"a"}', "application/json", "INVALID_REQUEST", "`limit` is given 2 times"),
        ("?unknown=1", b'{"text":"a"}', "application/json", "INVALID_REQUEST", "`unknown`"),
        ("", b'{"text":1}', "application/json", "INVALID_REQUEST", "`$.text`"),
        ("", b"{}", "application/json", "INVALID_REQUEST", "`text`"),
        ("", b'{"text":"a","other":1}', "application/json", "INVALID_REQUEST", "`other`"),
        ("", b"", "application/json", "INVALID_REQUEST", "the body is not JSON"),
        ("", b"[" * 100_000, "application/json", "INVALID_REQUEST", "array"),
        ("", b'{"text":"\xff"}', "application/json", "INVALID_REQUEST", ""),
        ("", b'{"text":"\\ud800"}', "application/json", "INVALID_REQUEST", ""),
        ("", b"text=a", "application/x-www-form-urlencoded", "UNSUPPORTED_MEDIA_TYPE", "application/json"),
        ("", b'{"text":"' + b"a" * 1_048_576 + b'"}', "application/json", "REQUEST_TOO_LARGE", ""),
    ],
)
def test_what_does_not_fit_is_refused_and_says_where(
    served: ServedApi, query: str, body: bytes, content_type: str, code: str, said: str
) -> None:
    """Bad input of every kind gets a clear error in the one shape."""
    address, alice = served.instance(ECHO), served.user("alice")
    headers = alice.headers | {"Content-Type": content_type}
    answer = served.http.post(f"{address}/echo/a{query}", content=body, headers=headers)
    refusal = refused_with(answer)
    assert (refusal.code, answer.status_code // 100) == (code, 4)
    assert said in refusal.error + refusal.detail


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/echo/..%2f..%2fetc", 404, "NOT_FOUND"),
        ("DELETE", "/echo/a", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/failing/refused", 507, "STORAGE_QUOTA_EXCEEDED"),
        ("GET", "/failing/busy", 503, "UNAVAILABLE"),
        ("GET", "/failing/badly", 500, "INTERNAL"),
        ("PUT", "/length", 413, "REQUEST_TOO_LARGE"),
    ],
)
def test_every_refusal_has_the_one_shape(
    served: ServedApi, capfd: pytest.CaptureFixture[str], method: str, path: str, status: int, code: str
) -> None:
    """Unknown paths, wrong methods, faults of handlers and of what stands behind them; ours stay in the log."""
    address, alice = served.instance(ECHO), served.user("alice")
    content = b"a" * 1001 if method == "PUT" else None
    answer = served.http.request(method, f"{address}{path}", headers=alice.headers, content=content)
    assert (answer.status_code, refused_with(answer).code) == (status, code)
    assert "secret" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith('{"severity"')]
    [line] = [line for line in lines if line["request_id"] == answer.headers["x-request-id"]]
    assert (line["status"], line["uid"]) == (status, "alice" if status not in (404, 405) else "")
    assert ("a secret of ours" in line.get("stack", "")) == (status == 500)


def test_a_request_that_flask_itself_cannot_read_is_refused_in_the_one_shape(served: ServedApi) -> None:
    """A length that is no number, and a body that ends early, never reach a handler."""
    address, alice = served.instance(ECHO), served.user("alice")
    parts = urlsplit(address)
    for length, sent in (("12", b"abc"), ("nonsense", b"{}")):
        with socket.create_connection((parts.hostname, parts.port)) as line:
            head = f"PUT /length HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\nContent-Length: {length}"
            line.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode() + sent)
            line.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: line.recv(65536), b""))
        status, body = int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]
        assert status < 500
        if status >= 400:
            assert set(json.loads(body)) == {"success", "error", "detail", "code"}


def test_pages_of_allowed_origins_may_call_and_no_others(served: ServedApi) -> None:
    """A preflight tells an allowed page what it may send; any other page is told nothing and reads nothing."""
    address, alice = (
        served.instance(ECHO, API_ALLOWED_ORIGINS=f"{PAGE}, https://other.example.com"),
        served.user("alice"),
    )
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    allowed = served.http.options(f"{address}/echo/a", headers={"Origin": PAGE, **asking})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, PAGE)
    assert allowed.headers["access-control-allow-methods"] == "POST"
    assert "Authorization" in allowed.headers["access-control-allow-headers"]
    for origin in ("https://evil.example.com", "null", f"{PAGE}.evil.example.com", ""):
        for answer in (
            served.http.options(f"{address}/echo/a", headers={"Origin": origin, **asking}),
            served.http.post(f"{address}/echo/a", json={"text": ""}, headers={"Origin": origin, **alice.headers}),
        ):
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"
    refused = served.http.get(f"{address}/nowhere", headers={"Origin": PAGE})
    assert refused.headers["access-control-allow-origin"] == PAGE


def test_the_same_key_names_one_operation_of_one_caller_at_one_route(served: ServedApi) -> None:
    """A repeat has the same operation id, another caller another; the key of another request is refused."""
    address, other = served.instance(ECHO), served.instance(ECHO)
    alice, bob = served.user("alice"), served.user("bob")

    def post(where: str, who: Any, key: str, text: str, path: str = "/echo/a") -> Any:
        return served.http.post(f"{where}{path}", json={"text": text}, headers=who.headers | {"Idempotency-Key": key})

    first = post(address, alice, "k", "a").json()["operation_id"]
    assert post(other, alice, "k", "a").json()["operation_id"] == first
    assert post(address, bob, "k", "a").json()["operation_id"] != first
    assert post(address, alice, "l", "a").json()["operation_id"] != first
    for refused in (post(address, alice, "k", "b"), post(address, alice, "k", "a", "/echo/b")):
        assert (refused.status_code, refused_with(refused).code) == (422, "IDEMPOTENCY_KEY_REUSED")
    for key in ("", "a" * 256):
        assert post(address, alice, key, "a").status_code == 400


def test_a_request_keeps_its_id_from_the_caller_to_the_log(served: ServedApi) -> None:
    """The caller's id where it can be logged, the platform's trace else; never what would forge a line."""
    address = served.instance(ECHO)
    trace = "0123456789abcdef" * 2
    for sent, expected in ((("my-id-12345", ""), "my-id-12345"), (("", f"{trace}/1;o=1"), trace), (("a b", ""), None)):
        headers = {"X-Request-Id": sent[0], "X-Cloud-Trace-Context": sent[1]}
        found = served.http.get(f"{address}/health", headers=headers).headers["x-request-id"]
        assert found == expected if expected else len(found) == 32


def test_a_route_for_admins_takes_the_claim_and_nothing_like_it(served: ServedApi) -> None:
    """`admin` is the boolean true; the text, the number and other words are no claim."""
    address = served.instance(ECHO)
    for claims, status in (
        ({"admin": True}, 200), ({}, 403), ({"admin": "true"}, 403), ({"admin": 1}, 403), ({"role": "admin"}, 403),
    ):  # fmt: skip
        caller = served.user("ada", **claims)
        answer = served.http.put(f"{address}/admins/length", content=b"abc", headers=caller.headers)
        assert answer.status_code == status, claims
    assert served.http.put(f"{address}/admins/length", content=b"abc").status_code == 401


def test_head_answers_as_get_without_a_body(served: ServedApi) -> None:
    """Monitors ask so."""
    answer = served.http.head(f"{served.instance()}/health")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_page_for_people_loads_nothing(served: ServedApi) -> None:
    """The documentation is readable without a network, and its policy lets no script run."""
    answer = served.http.get(f"{served.instance()}/docs")
    assert "src=" not in answer.text
    assert "<link" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "GET /api/phase5/status" in answer.text
