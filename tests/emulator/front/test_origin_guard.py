"""Which pages and which names reach the suite: every port, tried over real sockets with one table of each."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.composition.services import SERVE_PAGES, SERVICES
from afterimage_emulator.configuration import Codebase, Configuration, ConfigurationError, HostingSection
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.front.origin_guard import OriginGuard
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code
from afterimage_emulator.suite import Suite
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse
from afterimage_emulator.wire.server import WireServer
from tests.emulator.front.guarded_ports import (
    CALLED,
    FOREIGN,
    LOCAL,
    PROJECT,
    REBOUND,
    ROUTES,
    Answer,
    Route,
    ask,
    send,
)

FUNCTIONS = """
from firebase_functions import https_fn, options

@https_fn.on_request(cors=options.CorsOptions(cors_origins="*", cors_methods=["get", "post"]))
def hello(request):
    return "hello"
"""
PORTS = (*SERVICES, "hub")
by_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.service}-{route.method}-{route.path}")


def start(folder: Path, project: str, allowed: AllowedPages) -> Suite:
    (folder / "main.py").write_text(FUNCTIONS)
    configuration = Configuration(
        root=folder,
        project_id=project,
        codebases=(Codebase(name="default", source=folder),),
        hosting=(HostingSection(place="hosting", content={"public": "public"}),),
    )
    return Suite(configuration, free_ports=True, allowed=allowed)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """Every service, nothing allowed beyond what is local."""
    with BackgroundSuite(start(tmp_path_factory.mktemp("guard"), PROJECT, AllowedPages())) as running:
        yield running


def refused(answer: Answer) -> bool:
    """By the guard: not by rules, nor by a service."""
    return answer.status == 403 and any(
        says in answer.body for says in (b"only pages of this machine may", b"only administrators may", b"a name that")
    )


def own_page(suite: BackgroundSuite, name: str = "127.0.0.1", service: str = "storage") -> str:
    return f"http://{name}:{suite.address(service).rpartition(':')[2]}"


@pytest.mark.parametrize("service", SERVICES)
def test_an_injected_fault_is_read_by_pages_that_may_ask_and_by_no_other(suite: BackgroundSuite, service: str) -> None:
    """Without leave to read, a page sees a network error in place of the status that a test has ordered."""
    for origin in (*LOCAL, *FOREIGN):
        suite.add_fault(FaultRule(action="fail", match={"service": service}, code=Code.UNAUTHENTICATED, times=1))
        answer = send(suite.address(service), "GET", "/", {"origin": origin})
        assert answer.status == 401, origin
        assert answer.headers.get("access-control-allow-origin") == (origin if origin in LOCAL else None), origin
    suite.clear_faults()


def test_the_tables_try_every_port(suite: BackgroundSuite) -> None:
    """A new service must be tried as the others are: its port has open routes and, but for functions, admin routes."""
    listening = set(suite.suite.addresses())
    assert listening == set(PORTS)
    assert {route.service for route in ROUTES if not route.admin} == listening
    assert {route.service for route in ROUTES if route.admin} == listening - {"functions"}


def test_no_port_is_open_without_the_guard(suite: BackgroundSuite) -> None:
    """Whatever listens refuses a foreign page and a foreign name, routes that do not exist included."""
    for service in suite.suite.addresses():
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
                answer = send(suite.address(service), method, "/any/thing", headers)
                assert answer.status == 403, (service, method, headers)
                assert "access-control-allow-origin" not in answer.headers


@by_route
def test_programs_go_on_as_ever(suite: BackgroundSuite, route: Route) -> None:
    """What sends no Origin is never in the guard's way, whichever way it calls this machine."""
    for host in CALLED:
        assert not refused(ask(suite.address(route.service), route, host=host)), host
    assert not refused(ask(suite.address(route.service), route))


@by_route
def test_local_pages_may_ask_everything(suite: BackgroundSuite, route: Route) -> None:
    """An app under development runs on any port of this machine, or in the shell of an app."""
    for origin in LOCAL:
        assert not refused(ask(suite.address(route.service), route, origin=origin)), origin


@by_route
def test_foreign_pages_are_refused_whatever_they_show(suite: BackgroundSuite, route: Route) -> None:
    """Reads, writes and preflights, as a user with a forged token or as nobody; and no script may read the refusal."""
    payload = base64.urlsafe_b64encode(json.dumps({"sub": "victim", "user_id": "victim"}).encode()).decode().rstrip("=")
    for origin in FOREIGN:
        for shown in ({}, {"authorization": f"Bearer eyJhbGciOiJub25lIn0.{payload}."}, {"content_type": "text/plain"}):
            answer = ask(suite.address(route.service), route, origin=origin, **shown)
            assert refused(answer), (origin, shown, answer)
            assert not [name for name in answer.headers if name.startswith("access-control")]
        asked = {"origin": origin, "access-control-request-method": route.method}
        assert refused(send(suite.address(route.service), "OPTIONS", route.path, asked)), origin


@by_route
def test_foreign_names_are_refused(suite: BackgroundSuite, route: Route) -> None:
    """A page whose name was pointed at this machine is of one origin with us: only the name gives it away."""
    for host in REBOUND:
        assert refused(ask(suite.address(route.service), route, host=host)), host
        assert refused(ask(suite.address(route.service), route, host=host, sec_fetch_site="same-origin")), host


@by_route
def test_stored_pages_are_no_administrators(suite: BackgroundSuite, route: Route) -> None:
    """A page of Storage or of Hosting may do what an app may, and nothing that takes an administrator."""
    for service in SERVE_PAGES:
        for name in ("127.0.0.1", "localhost", "a.localhost", "[::1]"):
            answer = ask(suite.address(route.service), route, origin=own_page(suite, name, service))
            assert refused(answer) == route.admin, (service, name, answer)
    if route.service in SERVE_PAGES:  # what a page reads of its own origin carries no Origin header
        page = own_page(suite, "localhost", route.service)
        same = {"host": page.removeprefix("http://"), "sec_fetch_site": "same-origin"}
        assert refused(ask(suite.address(route.service), route, **same)) == route.admin


@by_route
def test_what_pages_embed_without_an_origin(suite: BackgroundSuite, route: Route) -> None:
    """`localhost` and `127.0.0.1` are two sites: an app's own pictures pass; what a foreign page embeds does not."""
    marks = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    address = suite.address(route.service)
    for referer in ({}, {"referer": "http://localhost:3000/page"}):
        assert not refused(ask(address, route, **marks, **referer))
    assert refused(ask(address, route, **marks, referer="https://evil.example/"))
    frame = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    assert refused(ask(address, route, **frame, referer="https://evil.example/"))
    followed = frame | {"sec_fetch_dest": "document"}
    assert not refused(ask(address, route, **followed, referer="https://mail.example/"))


def test_no_link_makes_a_port_show_a_script(suite: BackgroundSuite) -> None:
    """Followed links pass the guard, so no answer may repeat what a link asks for as a page: its script is ours."""
    script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    places = ("any", f"download/storage/v1/b/{script}/o", "storage/v1/b/any-bucket/o", "v0/b/any-bucket/o", "v1")
    targets = {f"/{place}/{script}?{query}" for place in places for query in ("", "alt=media", f"{script}={script}")}
    targets |= {f"/{route.path.strip('/')}/{script}" for route in ROUTES}
    for service in suite.suite.addresses():
        for target in sorted(targets):
            answer = send(suite.address(service), "GET", target, followed)
            is_page = answer.headers.get("content-type", "text/html").startswith(("text/html", "application/xhtml"))
            runs = is_page and answer.headers.get("content-security-policy") != "sandbox"
            assert not (runs and b"<script" in answer.body), (service, target, answer)


def test_two_origins_must_both_be_trusted(suite: BackgroundSuite) -> None:
    """A second header does not hide the first."""
    pair = ["http://localhost:3000", "https://evil.example"]
    for origins in (pair, pair[::-1]):
        assert refused(send(suite.address("hub"), "POST", "/control/reset", [("origin", one) for one in origins]))


def test_an_address_of_this_machine_is_local_and_another_is_not(suite: BackgroundSuite) -> None:
    """A phone's browser shows the app by this machine's address in the network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; picks the interface that leads out
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    assert not refused(send(suite.address("hub"), "GET", "/emulators", {"origin": f"http://{own}:3000"}))
    assert refused(send(suite.address("hub"), "GET", "/emulators", {"origin": "http://192.0.2.1:3000"}))


def test_a_page_may_ask_the_address_that_served_it(suite: BackgroundSuite) -> None:
    """A function's form, opened in an Android emulator by 10.0.2.2 or through a container's published port, is sent."""
    for host in ("10.0.2.2:5001", "[2001:db8::7]:5001", "192.0.2.7"):
        sent = {"host": host, "origin": f"http://{host}"}
        assert send(suite.address("functions"), "POST", f"/{PROJECT}/us-central1/hello", sent).status == 200
    others = ("http://10.0.2.2:5002", "https://10.0.2.2:5001", "http://10.0.2.3:5001", "http://10.0.2.2")
    for origin in others:
        assert refused(send(suite.address("functions"), "GET", "/", {"host": "10.0.2.2:5001", "origin": origin})), (
            origin
        )
    for name in ("firestore:5001", "suite.internal:5001"):  # a name can mean another machine the next moment
        assert refused(send(suite.address("functions"), "GET", "/", {"host": name, "origin": f"http://{name}"})), name
    storage = own_page(suite, "10.0.2.2")
    stored = {"host": storage.removeprefix("http://"), "origin": storage}
    assert refused(send(suite.address("storage"), "GET", "/storage/v1/b", stored))
    assert not refused(send(suite.address("storage"), "GET", "/v0/b/any/o", stored))


def test_text_plain_posts_of_a_foreign_page_change_nothing(suite: BackgroundSuite, tmp_path: Path) -> None:
    """The requests that browsers send without asking first: reset, rules, export, publish, stop."""
    document = f"/v1/projects/{PROJECT}/databases/(default)/documents/kept/one"
    owner = {"authorization": "Bearer owner"}
    assert send(suite.address("firestore"), "PATCH", document, owner, '{"fields": {}}').status == 200
    target = str(tmp_path / "stolen")
    rules = {"rules": {"files": [{"name": "x", "content": "rules_version = '2';"}]}}
    attacks: list[tuple[str, str, str, Any]] = [
        ("hub", "POST", "/control/reset", {}),
        ("hub", "POST", "/_admin/export", {"path": target}),
        ("hub", "POST", "/control/events", {"type": "x"}),
        ("firestore", "POST", "/reset", {}),
        ("firestore", "POST", "/shutdown", {}),
        ("firestore", "POST", f"/emulator/v1/projects/{PROJECT}:securityRules", rules),
        ("firestore", "POST", f"/emulator/v1/projects/{PROJECT}:export", {"export_directory": target}),
        ("storage", "POST", "/internal/setRules", rules),
        ("storage", "POST", "/internal/export", {"path": target}),
        ("pubsub", "POST", f"/v1/projects/{PROJECT}/topics/news:publish", {"messages": [{"data": "aGk="}]}),
    ]
    for origin in ("https://evil.example", "null", own_page(suite)):
        for service, method, path, body in attacks:
            headers = {"origin": origin, "content-type": "text/plain"}
            assert refused(send(suite.address(service), method, path, headers, json.dumps(body))), (origin, path)
    assert send(suite.address("firestore"), "GET", document, owner).status == 200
    assert not Path(target).exists()


def test_grpc_calls_from_pages_are_judged_too(suite: BackgroundSuite) -> None:
    """No gRPC client sends an Origin; a call that has one is judged by it."""
    protos: Any = messages("google.firestore.v1")
    request = protos.GetDocumentRequest(name=f"projects/{PROJECT}/databases/(default)/documents/a/b")
    with grpc.insecure_channel(suite.address("firestore")) as channel:
        get = channel.unary_unary(
            "/google.firestore.v1.Firestore/GetDocument",
            lambda message: message.SerializeToString(),
            protos.Document.FromString,
        )
        for origin, code in (
            (None, grpc.StatusCode.NOT_FOUND),
            ("http://localhost:3000", grpc.StatusCode.NOT_FOUND),
            ("https://evil.example", grpc.StatusCode.PERMISSION_DENIED),
        ):
            metadata = [("authorization", "Bearer owner")] + ([] if origin is None else [("origin", origin)])
            with pytest.raises(grpc.RpcError) as caught:
                get(request, metadata=metadata, timeout=20)
            assert caught.value.code() == code, origin


def test_a_functions_own_cors_reaches_local_pages(suite: BackgroundSuite) -> None:
    """The user's code answers preflights itself; the guard only decides whether it is asked."""
    asked = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    answer = send(suite.address("functions"), "OPTIONS", f"/{PROJECT}/us-central1/hello", asked)
    assert answer.status < 300
    assert answer.headers["access-control-allow-origin"] in ("*", "http://localhost:3000")


def test_answers_are_readable_for_the_page_that_asked_and_for_no_other(suite: BackgroundSuite) -> None:
    """The origin is named, never a star, and caches are told; programs get no such headers."""
    origin = "http://localhost:3000"
    for service, path in (
        ("firestore", "/"), ("auth", "/"), ("storage", "/v0/b/any/o/none"), ("hub", "/emulators"), ("hub", "/"),
    ):  # fmt: skip
        answer = send(suite.address(service), "GET", path, {"origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin, service
        assert "Origin" in answer.headers["vary"]
        bare = send(suite.address(service), "GET", path)
        assert "access-control-allow-origin" not in bare.headers, service
    assert send(suite.address("storage"), "GET", "/v0/b/any/o/none").headers["vary"] == "Origin"
    assert (
        "access-control-allow-origin"
        not in send(suite.address("hub"), "GET", "/control/events", {"origin": origin}).headers
    )


def test_rules_tests_in_imitated_pages_find_the_services(suite: BackgroundSuite) -> None:
    """jsdom and happy-dom ask as browsers do: the hub's locators and its triggers' switches answer with CORS."""
    hub, origin = suite.address("hub"), "http://localhost:3000"
    for method, path in (
        ("GET", "/emulators"),
        ("GET", "/"),
        ("PUT", "/functions/disableBackgroundTriggers"),
        ("PUT", "/functions/enableBackgroundTriggers"),
    ):
        asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "x-a"}
        preflight = send(hub, "OPTIONS", path, asked)
        assert (preflight.status, preflight.headers["access-control-allow-headers"]) == (204, "x-a")
        assert method in preflight.headers["access-control-allow-methods"]
        answer = send(hub, method, path, {"origin": origin})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert "access-control-allow-origin" not in send(hub, "OPTIONS", "/control/reset", asked).headers


def test_what_the_document_names_exists() -> None:
    """A reader who looks for the proof of a statement finds it."""
    document = (Path(__file__).resolve().parents[3] / "docs" / "guard.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", document))
    assert named
    sources = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert not {name for name in named if f"def {name}(" not in sources}


def test_the_refusal_names_the_origin_and_the_way_out_once(
    tmp_path: Path, project_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the answer each time, on the console once for each page."""
    suite = Suite(Configuration(root=tmp_path, project_id=project_id), only=(), free_ports=True, allowed=AllowedPages())
    with BackgroundSuite(suite) as running, caplog.at_level(logging.WARNING, logger="afterimage_emulator"):
        for _ in range(3):
            answer = send(running.address("hub"), "GET", "/", {"origin": "https://app.example:8443"})
            assert "`--allow-origin https://app.example:8443`" in json.loads(answer.body)["error"]["message"]
            answer = send(running.address("hub"), "GET", "/", {"host": "suite.example:4400"})
            assert "`--allow-host suite.example`" in json.loads(answer.body)["error"]["message"]
        for number in range(300):
            send(running.address("hub"), "GET", "/", {"origin": f"https://{number}.example"})
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if "app.example:8443" in text]) == 1
    assert len([text for text in said if "suite.example" in text]) == 1
    assert len(said) <= 100


def test_what_is_allowed_may_ask(tmp_path: Path, project_id: str) -> None:
    """Allowed origins may do what local pages may, under their own name too; allowed hosts may be called."""
    allowed = AllowedPages.read(
        {"AFTERIMAGE_ALLOWED_ORIGINS": "https://app.example, null, file://"}, hosts=["one.example,Two.example:80"]
    )
    suite = Suite(Configuration(root=tmp_path, project_id=project_id), only=(), free_ports=True, allowed=allowed)
    with BackgroundSuite(suite) as running:
        for origin in ("https://app.example", "https://app.example:443", "null", "file://"):
            assert send(running.address("hub"), "POST", "/control/reset", {"origin": origin}).status == 200
        for host in ("one.example", "TWO.example.:4400", "app.example"):
            assert send(running.address("hub"), "GET", "/", {"host": host}).status == 200
        for origin in ("http://app.example", "https://app.example:8443", "https://one.example"):
            assert refused(send(running.address("hub"), "POST", "/control/reset", {"origin": origin}))


@pytest.mark.parametrize(("allowed", "status"), [([], 403), (["http://localhost:9199"], 200)])
async def test_a_page_that_the_suite_serves_is_an_administrator_where_it_is_allowed_by_name(
    allowed: list[str], status: int
) -> None:
    """Whoever names the origin has decided."""

    async def answered(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200)

    guard = OriginGuard(AllowedPages.read({}, origins=allowed), own_ports=lambda: {9199})
    server = WireServer(name="tested", http=guard.around(answered, service="tested", is_admin_route=lambda _: True))
    await server.start()
    try:
        headers = {"origin": "http://localhost:9199"}
        answer = await asyncio.to_thread(send, f"127.0.0.1:{server.port}", "POST", "/", headers)
    finally:
        await server.stop()
    assert answer.status == status


@pytest.mark.parametrize("text", ["app.example", "https://app.example/path", "*", "https://*.example", "://x", "a b"])
def test_what_is_no_origin_is_named(text: str) -> None:
    """A mistyped origin must not look as if it were allowed."""
    with pytest.raises(ConfigurationError, match=r"--allow-origin: `.*` is not an origin"):
        AllowedPages.read({}, origins=[text])


@pytest.mark.parametrize("text", ["https://app.example", "*", "*.example", "a/b"])
def test_what_is_no_host_is_named(text: str) -> None:
    """The variable is named where the mistake stands there."""
    with pytest.raises(ConfigurationError, match=r"AFTERIMAGE_ALLOWED_HOSTS: `.*` is not a host name"):
        AllowedPages.read({"AFTERIMAGE_ALLOWED_HOSTS": text})


def test_a_suite_takes_the_environments_origins(
    tmp_path: Path, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no command line starts it: under pytest, say."""
    monkeypatch.setenv("AFTERIMAGE_ALLOWED_ORIGINS", "https://app.example")
    suite = Suite(Configuration(root=tmp_path, project_id=f"{project_id}-{os.getpid()}"), only=(), free_ports=True)
    with BackgroundSuite(suite) as running:
        assert send(running.address("hub"), "GET", "/", {"origin": "https://app.example"}).status == 200
