"""The hub: how tools find the suite, and how any client in any language drives time and faults."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.hub.locator import locator_path
from afterimage_emulator.suite import Suite


@pytest.fixture
def bare(project_id: str, tmp_path: Path) -> Iterator[BackgroundSuite]:
    """A suite of nothing but its hub."""
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=(), free_ports=True)) as running:
        yield running


def ask(suite: BackgroundSuite, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"http://{suite.address('hub')}{path}",
        method=method,
        data=None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers=headers,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_an_export_that_cannot_be_written_says_why(bare: BackgroundSuite, tmp_path: Path) -> None:
    """The reason, not an internal error; and what is in the way stays."""
    (tmp_path / "precious").write_text("mine")
    for path, said in (
        (tmp_path, "not empty and no export"),
        (tmp_path / "precious", "no folder"),
        ("/proc/x", "/proc"),
    ):
        status, answer = ask(bare, "POST", "/_admin/export", {"path": str(path)})
        assert (status, said in answer["error"]["message"]) == (400, True), answer
    assert (tmp_path / "precious").read_text() == "mine"
    assert ask(bare, "POST", "/_admin/export", {"path": str(tmp_path / "new")})[0] == 200


def test_tools_find_the_suite_by_its_locator_file(bare: BackgroundSuite) -> None:
    """The file is where the Firebase CLI's libraries look, names this hub, and goes when the suite goes."""
    located = json.loads(locator_path(bare.project_id).read_text())
    assert located["origins"] == [f"http://{bare.address('hub')}"]
    status, about = ask(bare, "GET", "/")
    assert (status, about["origins"]) == (200, located["origins"])
    assert ask(bare, "GET", "/emulators")[1]["hub"]["port"] == about["port"]
    bare.stop()
    assert not locator_path(bare.project_id).exists()


def test_the_clock_is_read_and_moved_over_the_wire(bare: BackgroundSuite) -> None:
    """Freeze, advance, resume: what Python tests do in process, anybody can do with curl."""
    assert ask(bare, "GET", "/control/clock")[1]["frozen"] is False
    frozen = ask(bare, "POST", "/control/clock", {"freeze_at": "2026-01-31T12:00:00Z"})[1]
    assert (frozen["frozen"], frozen["now"]) == (True, "2026-01-31T12:00:00+00:00")
    assert ask(bare, "POST", "/control/clock", {"advance_seconds": 90})[1]["now"] == "2026-01-31T12:01:30+00:00"
    assert ask(bare, "POST", "/control/clock", {"resume": True})[1]["frozen"] is False


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "nothing to do"),
        ({"advance": 3}, "`advance`"),
        ({"advance_seconds": -1}, "`-1`"),
        ({"advance_seconds": "soon"}, "`soon`"),
        ({"freeze_at": "noon"}, "`noon`"),
        ({"freeze_at": "2026-01-31T12:00:00"}, "`2026-01-31T12:00:00`"),
        ([1], "must be a JSON object"),
        (b"{", "not JSON"),
    ],
)
def test_a_wrong_clock_request_names_what_is_wrong(bare: BackgroundSuite, body: object, named: str) -> None:
    """A mistyped field is refused, not ignored, and time stays where it was."""
    status, answer = ask(bare, "POST", "/control/clock", body)
    assert status == 400
    assert named in answer["error"]["message"]
    assert ask(bare, "GET", "/control/clock")[1]["offset_seconds"] == pytest.approx(0, abs=0.5)


def test_faults_are_ordered_listed_and_taken_back_over_the_wire(bare: BackgroundSuite) -> None:
    """A rule strikes requests of the very service that it names, then is counted, then is gone."""
    rule = {"action": "fail", "match": {"service": "hub", "resource": "/emulators"}, "code": "ABORTED", "times": 1}
    status, added = ask(bare, "POST", "/control/faults", rule)
    assert status == 201
    assert ask(bare, "GET", "/emulators")[0] == 409
    assert ask(bare, "GET", "/emulators")[0] == 200
    listed = ask(bare, "GET", "/control/faults")[1]["faults"][0]
    assert (listed["id"], listed["struck"], listed["code"]) == (added["id"], 1, "ABORTED")
    assert ask(bare, "DELETE", f"/control/faults/{added['id']}")[0] == 200
    assert ask(bare, "DELETE", f"/control/faults/{added['id']}")[0] == 404
    ask(bare, "POST", "/control/faults", rule)
    ask(bare, "DELETE", "/control/faults")
    assert ask(bare, "GET", "/control/faults")[1] == {"faults": []}


def test_settled_waits_for_what_is_under_way_and_names_it(bare: BackgroundSuite) -> None:
    """A client in another language waits as a Python test does; a time-out says for what."""
    assert ask(bare, "POST", "/control/settled")[0] == 200
    bare.call(lambda: bare.suite.activity.begin("a slow thing"))
    status, answer = ask(bare, "POST", "/control/settled", {"timeout_seconds": 0.05})
    assert status == 504
    assert "a slow thing" in answer["error"]["message"]
    bare.call(lambda: bare.suite.activity.end("a slow thing"))
    assert ask(bare, "POST", "/control/settled")[1] == {"settled": True}


def test_background_triggers_are_switched_as_the_official_library_does(bare: BackgroundSuite) -> None:
    """The rules-testing library switches triggers off around its own writes."""
    assert ask(bare, "PUT", "/functions/disableBackgroundTriggers")[1] == {"enabled": False}
    assert bare.suite.events.paused
    assert ask(bare, "PUT", "/functions/enableBackgroundTriggers")[1] == {"enabled": True}
    assert not bare.suite.events.paused


def test_a_web_sites_page_cannot_drive_the_suite(bare: BackgroundSuite) -> None:
    """What pages of this machine may ask without the start's token, pages of others may not."""
    assert ask(bare, "POST", "/control/reset", origin="https://evil.example")[0] == 403
    assert ask(bare, "PUT", "/functions/enableBackgroundTriggers", origin="http://localhost:3000")[0] == 200


def test_unknown_routes_and_verbs_say_so(bare: BackgroundSuite) -> None:
    """A wrong address is a 404 that names it."""
    status, answer = ask(bare, "GET", "/nowhere")
    assert status == 404
    assert "`GET /nowhere`" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/control/clock", None),
        ("POST", "/control/clock", {"freeze": False, "advance_seconds": 0}),
        ("POST", "/control/reset", {}),
        ("GET", "/control/events", None),
        ("GET", "/control/capabilities", None),
        ("POST", "/token", {}),
    ],
)
def test_of_all_pages_the_console_alone_controls_the_suite(
    bare: BackgroundSuite, method: str, path: str, body: Any
) -> None:
    """A page of this machine needs the token of this start, however a browser says that it is one; programs do not."""
    token = {"x-console-token": bare.suite.token}
    marks = {"origin": "http://localhost:3000"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "same-origin"}
    for page in marks:
        for wrong in ({}, {"x-console-token": "x" * 43}, {"x-console-token": ""}):
            status, answer = ask(bare, method, path, body, **page, **wrong)
            assert (status, "x-console-token" in answer["error"]["message"]) == (403, True)
        assert ask(bare, method, path, body, **page, **token)[0] == 200
    assert ask(bare, method, path, body)[0] == 200
    assert ask(bare, method, path, body, **{"sec-fetch-site": "none"})[0] == 200
