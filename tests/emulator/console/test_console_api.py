"""The console's port: its page for this machine, what the page asks for whoever has the token, nothing for others."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import (
    Address,
    Configuration,
    ConfigurationError,
    HostingSection,
    load_configuration,
)
from afterimage_emulator.suite import Suite
from tests.emulator.front.guarded_ports import FOREIGN, LOCAL, REBOUND, Answer, send

RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function owns(id) { return request.auth.uid == id; }
    match /notes/{owner} {
      allow read: if owns(owner);
      allow create: if owns(owner) && request.resource.data.size > 1;
    }
  }
}
"""
ASKED = (
    ("GET", "/console/state"),
    ("GET", "/control/requests"),
    ("GET", "/console/stream"),
    ("GET", "/control/rules/x"),
    ("GET", "/console/services/firestore/databases"),
    ("POST", "/console/services/firestore/v1/projects/p/databases/d/documents:commit"),
    ("GET", "/control/clock"),
    ("POST", "/control/clock"),
    ("POST", "/control/reset"),
    ("DELETE", "/control/faults"),
    ("GET", "/nothing"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """A suite with its console, and with pages of Storage and Hosting beside it."""
    configuration = Configuration(
        root=tmp_path_factory.mktemp("console"),
        project_id=f"demo-console-{os.getpid()}",
        hosting=(HostingSection(place="hosting", content={"public": "public"}),),
    )
    suite = Suite(configuration, only=("firestore", "storage", "hosting"), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        yield started


def token_of(running: BackgroundSuite) -> str:
    page = send(running.address("ui"), "GET", "/")
    found = re.search(rb'name="console-token" content="([\w-]{43})"', page.body)
    assert found is not None
    return found[1].decode()


def ask(running: BackgroundSuite, path: str, method: str = "GET", body: str = "", **headers: str) -> Answer:
    return send(running.address("ui"), method, path, {"x-console-token": token_of(running), **headers}, body)


def load_rules(running: BackgroundSuite, rules: str = RULES) -> None:
    path = f"/emulator/v1/projects/{running.suite.project_id}:securityRules"
    body = json.dumps({"rules": {"files": [{"name": "firestore.rules", "content": rules}]}})
    assert send(running.address("firestore"), "PUT", path, {"authorization": "Bearer owner"}, body).status == 200


def read_note(running: BackgroundSuite, name: str, uid: str) -> int:
    payload = {"sub": uid, "user_id": uid}
    headers = {"authorization": f"Bearer {unsigned(payload)}"}
    path = f"/v1/projects/{running.suite.project_id}/databases/(default)/documents/notes/{name}"
    return send(running.address("firestore"), "GET", path, headers).status


def unsigned(payload: Mapping[str, Any]) -> str:
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, payload)]
    return ".".join([*encoded, ""])


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_nothing_is_answered_without_the_token(running: BackgroundSuite, method: str, path: str) -> None:
    """Neither without one nor with another, from a program or from a page of this machine."""
    for origin in ({}, {"origin": "http://localhost:3000"}):
        for token in ({}, {"x-console-token": ""}, {"x-console-token": "x" * 43}, {"x-console-token": "é"}):
            answer = send(running.address("ui"), method, path, {**origin, **token})
            assert (answer.status, b"console's token" in answer.body) == (403, True)


@pytest.mark.parametrize("path", ["/", "/index.html", "/app.js", "/console/state", "/control/reset"])
def test_no_foreign_page_and_no_stored_page_gets_anything(running: BackgroundSuite, path: str) -> None:
    """With the token or without: other sites, pages that users stored, pages of the project's site, rebound names."""
    served = [f"http://127.0.0.1:{running.address(name).rpartition(':')[2]}" for name in ("storage", "hosting")]
    token = {"x-console-token": token_of(running)}
    for origin in (*FOREIGN, *served):
        assert send(running.address("ui"), "GET", path, {"origin": origin, **token}).status == 403, origin
    for host in REBOUND:
        assert send(running.address("ui"), "GET", path, {"host": host, **token}).status == 403, host


def test_the_token_is_for_the_consoles_own_page(running: BackgroundSuite) -> None:
    """A page of this machine may load the console, and may not read it: no answer names an origin that may."""
    for origin in (None, *LOCAL):
        page = send(running.address("ui"), "GET", "/", {} if origin is None else {"origin": origin})
        assert page.status == 200
        assert not [name for name in page.headers if name.startswith("access-control")]
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
    preflight = {"origin": "http://localhost:3000", "access-control-request-headers": "x-console-token"}
    assert send(running.address("ui"), "OPTIONS", "/console/state", preflight).status == 403


def test_each_suite_makes_a_token_of_its_own(running: BackgroundSuite, tmp_path: Path, project_id: str) -> None:
    """A token that was copied is worth nothing after a restart."""
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=(), free_ports=True, console=True)) as other:
        assert token_of(other) != token_of(running)
        assert token_of(running) == token_of(running)


def test_files_of_the_page_and_no_others_are_served(running: BackgroundSuite) -> None:
    """Everything that the page loads, as what it is; nothing beside the page's folder."""
    page = send(running.address("ui"), "GET", "/").body.decode()
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        answer = send(running.address("ui"), "GET", f"/{name}")
        assert (answer.status, answer.headers["x-content-type-options"]) == (200, "nosniff")
    for path in ("/../service.py", "/%2e%2e/service.py", "/..%2fservice.py", "/service.py", "/page/app.js"):
        assert send(running.address("ui"), "GET", path).status == 403
    assert send(running.address("ui"), "POST", "/").status == 405


def test_the_page_sees_the_state_and_moves_it(running: BackgroundSuite) -> None:
    """Services, clock and faults; the hub's control routes are there too."""
    state = json.loads(ask(running, "/console/state").body)
    assert state["project"] == running.suite.project_id
    assert {service["name"] for service in state["services"]} == {"firestore", "storage", "hosting", "hub", "ui"}
    assert json.loads(ask(running, "/api/config").body)["firestore"]["port"] == int(
        running.address("firestore").rpartition(":")[2]
    )
    fault = '{"action": "fail", "match": {"service": "none"}}'
    assert ask(running, "/control/faults", "POST", fault).status == 201
    assert ask(running, "/control/clock", "POST", '{"freeze": true}').status == 200
    state = json.loads(ask(running, "/console/state").body)
    assert state["clock"]["frozen"] is True
    assert [each["match"] for each in state["faults"]] == [{"service": "none"}]
    assert ask(running, "/control/faults", "DELETE").status == 200
    assert ask(running, "/control/clock", "POST", '{"resume": true}').status == 200


def test_requests_are_kept_once_somebody_looks(tmp_path: Path, project_id: str) -> None:
    """Also those of before, which wait until then; each request is there, with its reasons."""
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True, console=True)) as running:
        load_rules(running)
        assert read_note(running, "alice", "bob") == 403
        [early] = json.loads(ask(running, "/control/requests").body)["requests"]
        assert (early["allowed"], early["uid"]) == (False, "bob")
        assert read_note(running, "alice", "bob") == 403
        assert read_note(running, "alice", "alice") == 404
        _, denied, allowed = json.loads(ask(running, "/control/requests").body)["requests"]
        assert (denied["allowed"], denied["uid"], denied["method"], denied["path"]) == (
            False, "bob", "get", "notes/alice",
        )  # fmt: skip
        assert (allowed["allowed"], allowed["allow"]["line"]) == (True, 6)
        rules = json.loads(ask(running, f"/control/rules/{denied['rules']}").body)
        assert rules == {"file": "firestore.rules", "text": RULES}
        values = {RULES[each["start"] : each["end"]]: each["values"] for each in denied["values"]}
        assert values["owns(owner)"] == ["false"]
        assert values["request.auth.uid"] == ["'bob'"]
        assert values["owner"] == ["'alice'"]
        later = json.loads(ask(running, f"/control/requests?after={denied['id']}").body)["requests"]
        assert [each["id"] for each in later] == [allowed["id"]]
        assert ask(running, "/control/requests?after=x").status == 400


def test_the_stream_tells_of_requests_and_log_lines(running: BackgroundSuite, caplog: pytest.LogCaptureFixture) -> None:
    """Each as one event, as it happens; a client that goes away takes its listeners along."""
    caplog.set_level(logging.INFO, logger="afterimage_emulator")
    load_rules(running)
    host, _, port = running.address("ui").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", "/console/stream", headers={"x-console-token": token_of(running)})
    answer = connection.getresponse()
    assert answer.headers["content-type"] == "text/event-stream"
    read_note(running, "alice", "eve\n\ndata: forged")
    kinds: dict[str, dict[str, Any]] = {}
    while not {"request", "log"} <= set(kinds):
        kind = answer.readline().decode().removeprefix("event: ").strip()
        if kind:
            kinds[kind] = json.loads(answer.readline().decode().removeprefix("data: "))
    assert kinds["request"]["uid"] == "eve\n\ndata: forged"
    assert "denied: get" in kinds["log"]["text"]
    connection.close()
    answer.close()


def test_a_suite_without_a_console_opens_no_port_for_it(tmp_path: Path, project_id: str) -> None:
    """Tests, and projects that turn it off in firebase.json, are as they were."""
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=(), free_ports=True)) as running:
        assert set(running.suite.addresses()) == {"hub"}


def test_nothing_is_read_or_kept_before_somebody_looks(tmp_path: Path, project_id: str) -> None:
    """The console's code is not imported with the suite, and no request is put into words, before anybody looks."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from afterimage_emulator.background import BackgroundSuite\n"
        "from afterimage_emulator.configuration import Configuration\n"
        "from afterimage_emulator.suite import Suite\n"
        f"described = Configuration(root=Path({str(tmp_path)!r}), project_id={project_id!r})\n"
        "suite = Suite(described, free_ports=True, console=True)\n"
        "with BackgroundSuite(suite) as running:\n"
        "    assert 'ui' in running.suite.addresses()\n"
        "    assert not suite.judged.is_watched\n"
        "    print([name for name in sys.modules if name.startswith('afterimage_emulator.console')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_console_can_be_turned_off_in_firebase_json(tmp_path: Path) -> None:
    """As the official one; anything but true and false is named."""
    file = tmp_path / "firebase.json"
    for content, wanted in (("{}", True), ('{"emulators": {"ui": {"enabled": false}}}', False)):
        file.write_text(content)
        assert load_configuration(file, project_id="demo-ui").wants_console is wanted
    file.write_text('{"emulators": {"ui": {"enabled": "no"}}}')
    with pytest.raises(ConfigurationError, match=r"`emulators.ui.enabled` must be true or false"):
        load_configuration(file, project_id="demo-ui")


def test_a_taken_port_moves_the_console_to_the_next(tmp_path: Path, project_id: str) -> None:
    """A second suite, or whatever else listens on 4000, does not keep the suite from starting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses = {name: Address(host="127.0.0.1", port=0) for name in ("hub", "hosting", "functions")}
        addresses["ui"] = Address(host="127.0.0.1", port=port)
        configuration = Configuration(root=tmp_path, project_id=project_id, addresses=addresses)
        with BackgroundSuite(Suite(configuration, only=(), console=True)) as running:
            found = int(running.address("ui").rpartition(":")[2])
    assert port < found <= port + 100
