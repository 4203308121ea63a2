"""What the console knows of rules, indexes and operations: requests of before it was opened, heat, gaps, refusals."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.commands.command_line import main
from afterimage_emulator.composition.services import SERVICES
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser
from tests.emulator.console.test_console_api import ask, unsigned
from tests.emulator.console.test_console_functions import choose, section
from tests.emulator.console.test_console_page import CONTRAST, opened, press, until
from tests.emulator.front.guarded_ports import send

RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function isOpen() { return get(/databases/$(database)/documents/flags/door).data.open == true; }
    match /doors/{id} {
      allow get: if request.auth.uid == 'owner' || /* ü😀 */ isOpen();
      allow get: if request.auth.uid == 'owner' && isOpen();
    }
    match /large/{id} { allow get: if resource.data.text != ''; }
  }
}
"""
OWNER = {"authorization": "Bearer owner"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root, project = tmp_path_factory.mktemp("console-rules"), f"demo-console-rules-{os.getpid()}"
    configuration = Configuration(root=root, project_id=project)
    with BackgroundSuite(Suite(configuration, only=SERVICES, free_ports=True, console=True)) as started:
        path = f"/emulator/v1/projects/{project}:securityRules"
        body = json.dumps({"rules": {"files": [{"name": "firestore.rules", "content": RULES}]}})
        assert send(started.address("firestore"), "PUT", path, OWNER, body).status == 200
        yield started


def documents(running: BackgroundSuite, path: str) -> str:
    return f"/v1/projects/{running.suite.project_id}/databases/(default)/documents{path}"


def write(running: BackgroundSuite, path: str, **fields: Any) -> None:
    body = json.dumps({"fields": fields})
    assert send(running.address("firestore"), "PATCH", documents(running, path), OWNER, body).status == 200


def read(running: BackgroundSuite, path: str, uid: str) -> int:
    token = unsigned({"sub": uid, "user_id": uid})
    headers = {"authorization": f"Bearer {token}"}
    return send(running.address("firestore"), "GET", documents(running, path), headers).status


def requests(running: BackgroundSuite) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask(running, "/control/requests").body)["requests"]
    return found


def test_requests_of_before_anybody_looked_are_explained_as_they_were(running: BackgroundSuite) -> None:
    """By the documents that were read then; what nobody read then is not read now, when it may say something else."""
    write(running, "/flags/door", open={"booleanValue": False})
    assert not running.suite.judged.is_watched
    assert read(running, "/doors/a", "guest") == 403
    assert read(running, "/doors/a", "owner") == 404
    write(running, "/flags/door", open={"booleanValue": True})
    write(running, "/large/a", text={"stringValue": "x" * 900_000})
    assert [read(running, "/large/a", "guest") for _ in range(5)] == [200] * 5
    # Documents of four megabytes are kept, so that a record nobody reads stays small.
    assert [each["path"] for each in requests(running)] == ["large/a"] * 4


def test_what_was_not_read_then_is_not_read_later(running: BackgroundSuite) -> None:
    """A decision that waits to be put into words knows the documents that it read, and no others."""
    write(running, "/flags/door", open={"booleanValue": False})
    running.call(running.suite.judged.clear)
    running.suite.judged.is_watched = False
    assert read(running, "/doors/a", "guest") == 403
    assert read(running, "/doors/a", "owner") == 404
    write(running, "/flags/door", open={"booleanValue": True})
    guest, owner = requests(running)
    told = {RULES[each["start"] : each["end"]]: each["values"] for each in guest["values"]}
    assert (guest["allowed"], told["isOpen()"]) == (False, ["false"])
    assert owner["allowed"]
    assert "was not read when the request was judged" in json.dumps(owner["values"])


def test_coverage_is_heat_over_the_text_of_the_rules(browser: Browser, running: BackgroundSuite) -> None:
    """What ran often is warmer, what never ran and what was never true is named, and every word can be read."""
    write(running, "/flags/door", open={"booleanValue": True})
    assert [read(running, "/doors/a", "owner") for _ in range(9)] == [404] * 9
    assert read(running, "/doors/a", "guest") == 404
    page = opened(browser, running)
    press(page, "r")
    until(page, "document.querySelectorAll('coverage-page .line').length > 10")
    assert page.run("() => document.querySelector('.source').innerText").count("ü😀") == 1
    hot = page.run("() => [...document.querySelectorAll('.heat-5')].map((one) => one.textContent)")
    assert "request.auth.uid" in "".join(hot)
    assert "line 7: never evaluated: isOpen()" in section(page)
    assert "never false" in section(page)
    for scheme in ("light", "dark"):
        page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert page.run(CONTRAST) == []
    page.command("Emulation.setDeviceMetricsOverride", width=480, height=800, deviceScaleFactor=1, mobile=False)
    until(page, "innerWidth === 480")
    hidden = "(one) => one.getBoundingClientRect().right > innerWidth || one.scrollWidth > one.clientWidth"
    assert page.run(f"() => [...document.querySelectorAll('coverage-page .split > *')].filter({hidden}).length") == 0
    assert page.console == []


def test_indexes_that_production_would_ask_for_are_shown(browser: Browser, running: BackgroundSuite) -> None:
    """Ready for the indexes file, as soon as a query needed one."""
    page = opened(browser, running, "indexes")
    until(page, "document.querySelector('indexes-page').textContent.includes('has the index it needs')")
    both = [
        {"fieldFilter": {"field": {"fieldPath": "town"}, "op": "EQUAL", "value": {"stringValue": "x"}}},
        {"fieldFilter": {"field": {"fieldPath": "size"}, "op": "GREATER_THAN", "value": {"integerValue": "1"}}},
    ]
    where = {"compositeFilter": {"op": "AND", "filters": both}}
    query = json.dumps({"structuredQuery": {"from": [{"collectionId": "houses"}], "where": where}})
    assert send(running.address("firestore"), "POST", documents(running, ":runQuery"), OWNER, query).status == 200
    until(page, "document.querySelector('indexes-page pre')?.textContent.includes('houses')")
    entry = json.loads(page.run("() => document.querySelector('indexes-page pre').textContent"))["indexes"][0]
    assert [field["fieldPath"] for field in entry["fields"]] == ["town", "size"]
    assert page.console == []


def offered(running: BackgroundSuite) -> list[tuple[str, dict[str, str]]]:
    services = json.loads(ask(running, "/control/capabilities").body)["services"]
    return [(service, each) for service, operations in services.items() for each in operations]


def test_what_the_tables_refuse_is_refused(running: BackgroundSuite) -> None:
    """Every operation that is said to be refused, asked over its own wire, says that it is not implemented.

    Triggers have no wire: a codebase that asks for a refused one is told when it is loaded.
    """
    told = [(service, each) for service, each in offered(running) if each["state"] == "refused"]
    refused = [(service, each) for service, each in told if each["wire"] != "trigger"]
    assert {each["wire"] for _, each in refused} == {"gRPC", "HTTP"}
    for service, each in refused:
        assert each["note"], each
        if each["wire"] == "gRPC":
            with grpc.insecure_channel(running.address(service)) as channel:
                call = channel.unary_stream(f"/{each['operation']}")
                with pytest.raises(grpc.RpcError) as error:
                    list(call(b"", timeout=30))
            assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED, each
        else:
            methods, _, pattern = each["operation"].rpartition(" ")
            method = "POST" if methods == "*" else methods.split()[0]
            path = re.sub(r"\{[^}]*\}", "x", pattern.partition("|")[0]).replace("/tenantsx", "/tenants")
            assert send(running.address(service), method, path, OWNER, "{}").status == 501, (service, each)


def test_the_command_says_what_the_hub_says(running: BackgroundSuite, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a running suite, as JSON for programs and in lines for people."""
    assert main(["capabilities", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads(ask(running, "/control/capabilities").body)
    assert main(["capabilities"]) == 0
    assert (
        "firestore  refused   gRPC google.firestore.v1.Firestore/ExecutePipeline  pipelines" in capsys.readouterr().out
    )


def test_capabilities_are_found_by_what_they_refuse(browser: Browser, running: BackgroundSuite) -> None:
    """The page shows each operation with its state, and the reason of the chosen one."""
    page = opened(browser, running, "capabilities")
    until(page, "document.querySelectorAll('virtual-list .item').length > 10")
    press(page, "/")
    page.command("Input.insertText", text="pipeline")
    choose(page, "refusedfirestoregoogle.firestore")
    until(page, "document.querySelector('main section').textContent.includes('Enterprise edition')")
    assert page.console == []
