"""The console's Firestore page in a real browser: what the official SDK wrote is shown, what is typed there arrives."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_v1.vector import Vector

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser, Page
from tests.emulator.console.test_console_api import token_of
from tests.emulator.console.test_console_page import CONTRAST, STORED_MARKUP, opened, press, until
from tests.emulator.front.guarded_ports import send

MOMENT = datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.UTC)
TYPED: list[tuple[str, str, Any]] = [
    ("string", 'two\nlines, "quoted"', 'two\nlines, "quoted"'),
    ("integer", "-9223372036854775808", -9223372036854775808),
    ("double", "-0", -0.0),
    ("double", "-Infinity", float("-inf")),
    ("boolean", "true", True),
    ("null", "", None),
    ("timestamp", "2026-01-31T12:00:00.123456Z", MOMENT),
    ("geopoint", "-1.5, 170", firestore.GeoPoint(-1.5, 170.0)),
    ("bytes", "AAH/", b"\x00\x01\xff"),
    ("map", '{"a": {"b": [1, 1.5, null]}}', {"a": {"b": [1, 1.5, None]}}),
    ("array", '["x", {"y": true}]', ["x", {"y": True}]),
    ("vector", "[1, 2.5]", Vector([1.0, 2.5])),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root, project = tmp_path_factory.mktemp("console-firestore"), f"demo-console-firestore-{os.getpid()}"
    suite = Suite(Configuration(root=root, project_id=project), only=("firestore",), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        yield started


@pytest.fixture
def client(running: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    """The official SDK; the documents that a test before left are gone."""
    running.reset()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", running.environment()["FIRESTORE_EMULATOR_HOST"])
    made = firestore.Client(project=running.suite.project_id, credentials=AnonymousCredentials())
    yield made
    made.close()


def shown(browser: Browser, running: BackgroundSuite, place: str = "", database: str = "(default)") -> Page:
    page = opened(browser, running, f"firestore/{database}/{place}")
    until(page, "document.querySelector('firestore-page')?.api !== undefined")
    return page


def click(page: Page, text: str) -> None:
    visible = f"one.textContent === {json.dumps(text)} && one.checkVisibility() && !one.disabled"
    until(page, f"[...document.querySelectorAll('button')].some((one) => {visible})")
    page.run(
        "(text) => [...document.querySelectorAll('button')]"
        ".findLast((one) => one.textContent === text && one.checkVisibility()).click()",
        text,
    )


def until_closed(page: Page) -> None:
    until(page, "!document.querySelector('dialog').open")


def fill(page: Page, label: str, value: str) -> None:
    page.run(
        """(label, value) => {
          const labelled = [...document.querySelectorAll(`[aria-label="${label}"]`)];
          const field = labelled.findLast((one) => one.checkVisibility());
          field.value = value;
          field.dispatchEvent(new Event("input", { bubbles: true }));
          field.dispatchEvent(new Event("change", { bubbles: true }));
        }""",
        label,
        value,
    )


def focus(page: Page, label: str) -> None:
    page.run('(label) => document.querySelector(`[aria-label="${label}"]`).focus()', label)


def rows(page: Page, label: str) -> list[list[str]]:
    found: list[list[str]] = page.run(
        """(label) => [...document.querySelectorAll(`virtual-list[aria-label="${label}"] .item`)].map(
          (row) => [...row.children].map((part) => part.textContent))""",
        label,
    )
    return found


def until_rows(page: Page, label: str, wanted: list[str]) -> None:
    until(
        page,
        f"JSON.stringify([...document.querySelectorAll('virtual-list[aria-label=\"{label}\"] .item')]"
        f".map((row) => row.textContent)) === {json.dumps(json.dumps(wanted, separators=(',', ':')))}",
    )


def said(page: Page) -> str:
    text: str = page.run("() => document.querySelector('firestore-fields [role=status]').textContent")
    return text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fields_of_every_type_are_shown_as_text(
    scheme: str, browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """With type and value, maps and arrays with what is in them; markup that somebody stored is letters."""
    client.document("things/all").set(
        {
            "reference": client.document("rooms/blue"),
            "markup": STORED_MARKUP,
            "nested": {"list": [True, {"deep": 7}]},
            "odd.name": float("nan"),
            **{f"a{place:02}": value for place, (*_, value) in enumerate(TYPED)},
        }
    )
    page = shown(browser, running, "things/all")
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.command("Emulation.setDeviceMetricsOverride", width=1400, height=1400, deviceScaleFactor=1, mobile=False)
    until(page, "document.querySelectorAll('virtual-list.fields .item').length > 20")
    found = {name: (kind, value) for name, kind, value in rows(page, "Fields")}
    assert [found[f"a{place:02}"][0] for place in range(len(TYPED))] == [kind for kind, *_ in TYPED]
    assert found["markup"] == ("string", json.dumps(STORED_MARKUP))
    assert found["reference"] == ("reference", "rooms/blue")
    assert found["odd.name"] == ("double", "NaN")
    assert (found["nested"], found["deep"]) == (("map", "1 field"), ("integer", "7"))
    assert found["a02"] == ("double", "-0")
    assert found["a06"] == ("timestamp", "2026-01-31T12:00:00.123456Z")
    assert page.run("() => document.querySelectorAll('img').length") == 0
    assert page.run(CONTRAST) == []
    assert page.console == []


def test_fields_of_every_type_are_added_and_arrive(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """The official SDK reads the very value; a reference is a path of this database."""
    client.document("things/new").set({})
    page = shown(browser, running, "things/new")
    wanted: dict[str, Any] = {"to.a `room`": client.document("rooms/blue")}
    for kind, text, value, name in (
        *((*typed, f"f{place}") for place, typed in enumerate(TYPED)),
        ("reference", "rooms/blue", client.document("rooms/blue"), "to.a `room`"),
    ):
        click(page, "Add field")
        fill(page, "Name", name)
        fill(page, "Type", kind)
        fill(page, "Value", text)
        click(page, "Save")
        until(page, "document.querySelector('firestore-fields [role=status]').textContent !== ''")
        assert said(page) == "saved"
        wanted[name] = value
    found = client.document("things/new").get().to_dict()
    assert found == wanted
    assert str(found["f2"]) == "-0.0"
    assert page.console == []


def test_what_cannot_be_read_is_named_and_nothing_is_written(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """What was typed stays where it is; the message says what was expected."""
    client.document("things/old").set({"n": 1})
    page = shown(browser, running, "things/old")
    until_rows(page, "Fields", ["ninteger1"])
    page.run("() => document.querySelector('virtual-list.fields .item').click()")
    for kind, text, words in (
        ("integer", "1.5", "digits only"),
        ("integer", "9223372036854775808", "64 bits"),
        ("double", "much", "no number"),
        ("boolean", "yes", "true or false"),
        ("timestamp", "tomorrow", "has the form"),
        ("reference", "rooms", "rooms"),
        ("geopoint", "91, 0", "latitude"),
        ("geopoint", "1", "latitude, longitude"),
        ("bytes", "*", "base64"),
        ("map", "[1]", "a map is written"),
        ("array", "[9007199254740993]", "too large"),
        ("vector", '["x"]', "list of numbers"),
    ):
        fill(page, "Type", kind)
        fill(page, "Value", text)
        page.run("() => { document.querySelector('firestore-fields [role=status]').textContent = ''; }")
        click(page, "Save")
        until(page, "document.querySelector('firestore-fields [role=status]').textContent !== ''")
        assert words in said(page).lower(), (kind, said(page))
        assert page.run("() => document.querySelector('.editor textarea').value") == text
    assert client.document("things/old").get().to_dict() == {"n": 1}


def test_one_leaf_changes_and_what_others_wrote_meanwhile_stays(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """Inside a map and inside an array; a write that somebody made since one began to type is not overwritten."""
    document = client.document("things/tree")
    document.set({"m": {"x": 1, "y": [1, {"z": 2}]}, "other": "kept"})
    page = shown(browser, running, "things/tree")
    until(page, "document.querySelectorAll('virtual-list.fields .item').length === 7")
    names = [name for name, *_ in rows(page, "Fields")]
    assert names == ["m", "x", "y", "0", "1", "z", "other"]
    page.run("() => document.querySelectorAll('virtual-list.fields .item')[5].click()")
    fill(page, "Value", "20")
    click(page, "Save")
    until(page, "document.querySelector('firestore-fields [role=status]').textContent === 'saved'")
    assert document.get().to_dict() == {"m": {"x": 1, "y": [1, {"z": 20}]}, "other": "kept"}
    fill(page, "Value", "21")
    document.update({"m.y": ["theirs"]})
    click(page, "Save")
    until(page, "document.querySelector('firestore-fields [role=status]').className === 'bad'")
    assert document.get().to_dict() == {"m": {"x": 1, "y": ["theirs"]}, "other": "kept"}
    assert page.run("() => document.querySelector('.editor textarea').value") == "21"


def test_fields_and_elements_are_deleted_from_the_keyboard(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """An arrow chooses, Delete removes exactly that."""
    document = client.document("things/short")
    document.set({"list": ["a", "b", "c"], "m": {"x": 1, "y": 2}})
    page = shown(browser, running, "things/short")
    until(page, "document.querySelectorAll('virtual-list.fields .item').length === 7")
    focus(page, "Fields")
    for _ in range(3):
        press(page, "ArrowDown")
    press(page, "Delete")
    until(page, "document.querySelectorAll('virtual-list.fields .item').length === 6")
    assert document.get().to_dict() == {"list": ["a", "c"], "m": {"x": 1, "y": 2}}
    press(page, "End")
    press(page, "Delete")
    until(page, "document.querySelectorAll('virtual-list.fields .item').length === 5")
    assert document.get().to_dict() == {"list": ["a", "c"], "m": {"x": 1}}


def test_one_walks_from_collections_down_with_the_keyboard(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """Collections, documents, collections below; a document that is missing is shown where something lies below it."""
    client.document("rooms/blue").set({"size": 4})
    client.document("rooms/ghost/messages/one").set({"text": "boo"})
    client.document("users/ann").set({})
    page = shown(browser, running)
    until_rows(page, "Collections", ["rooms", "users"])
    focus(page, "Collections")
    press(page, "ArrowDown")
    until_rows(page, "Documents", ["ghost", "blue"])
    focus(page, "Documents")
    press(page, "ArrowDown")
    until(page, "document.querySelector('[aria-label=Document]').innerText.includes('no document here')")
    click(page, "messages ›")
    until_rows(page, "Documents", ["one"])
    assert page.run("() => location.hash") == "#firestore/(default)/rooms/ghost/messages"
    focus(page, "Documents")
    press(page, "Home")
    until_rows(page, "Fields", ['textstring"boo"'])
    client.document("rooms/ghost/messages/two").set({})
    until_rows(page, "Documents", ["one", "two"])
    page.run("() => history.back()")
    until(page, "document.querySelector('[aria-label^=Path]').value === 'rooms/ghost'")
    press(page, "/")
    page.run("() => { document.activeElement.value = '/rooms/blue/'; }")
    press(page, "Enter")
    until_rows(page, "Fields", ["sizeinteger4"])
    assert page.console == []


def test_documents_are_added_and_deleted_with_what_is_below(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """A document alone leaves what is below it; deleting with everything below, or a collection, leaves nothing."""
    client.document("other/stays").set({})
    page = shown(browser, running)
    click(page, "Add collection")
    fill(page, "Collection", "rooms")
    fill(page, "Id of the document", "né #1?")
    page.run("() => document.querySelector('dialog[open] input').focus()")
    page.command("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", windowsVirtualKeyCode=13)
    page.command("Input.dispatchKeyEvent", type="keyUp", key="Enter", windowsVirtualKeyCode=13)
    until_closed(page)
    until(page, "document.querySelector('[aria-label^=Path]').value === 'rooms/né #1?'")
    assert client.document("rooms/né #1?").get().exists
    click(page, "Add document")
    click(page, "Add")
    until_closed(page)
    until(page, "document.querySelectorAll('[aria-label=Documents] .item').length === 2")
    click(page, "Add document")
    fill(page, "Id of the document", "né #1?")
    click(page, "Add")
    until(page, "document.querySelector('dialog .bad').textContent.includes('already exists')")
    click(page, "Cancel")
    until_closed(page)
    client.document("rooms/né #1?/messages/one").set({})
    page.run("() => { location.hash = '#firestore/(default)/rooms/' + encodeURIComponent('né #1?'); }")
    until(page, "[...document.querySelectorAll('button')].some((one) => one.textContent === 'messages ›')")
    click(page, "Delete document")
    click(page, "Delete the document alone")
    until_closed(page)
    until(page, "document.querySelector('.missing')?.textContent === 'né #1?'")
    assert client.document("rooms/né #1?/messages/one").get().exists
    page.run("() => document.querySelector('.missing').click()")
    until(page, "document.querySelector('[aria-label=Document] h2').textContent === 'né #1?'")
    click(page, "Delete document")
    click(page, "Delete with everything below")
    until_closed(page)
    until(page, "document.querySelectorAll('[aria-label=Documents] .item').length === 1")
    assert not client.document("rooms/né #1?/messages/one").get().exists
    click(page, "Delete all")
    click(page, "Delete all documents")
    until_closed(page)
    until_rows(page, "Collections", ["other"])
    assert [each.id for each in client.collection("rooms").list_documents()] == []
    assert client.document("other/stays").get().exists
    assert all("409 (Conflict)" in line for line in page.console)  # the browser's word for the id that was taken


def test_queries_filter_order_and_limit(browser: Browser, running: BackgroundSuite, client: firestore.Client) -> None:
    """Also over all collections of one name; what is wrong with a query is said in the suite's words."""
    for place in range(6):
        client.document(f"rooms/r{place}").set({"size": place, "tags": ["even" if place % 2 == 0 else "odd"]})
    client.document("houses/h/rooms/far").set({"size": 3})
    page = shown(browser, running, "rooms")
    until_rows(page, "Documents", [f"r{place}" for place in range(6)])
    page.run("() => { document.querySelector('firestore-query details').open = true; }")
    click(page, "Add condition")
    fill(page, "Field", "size")
    fill(page, "Comparison", ">=")
    fill(page, "Type of the value", "integer")
    fill(page, "Value", "2")
    fill(page, "Order by", "size")
    page.run("() => { document.querySelector('firestore-query').descending.checked = true; }")
    click(page, "Ask")
    until_rows(page, "Documents", ["r5", "r4", "r3", "r2"])
    fill(page, "At most so many documents", "3")
    click(page, "Ask")
    until_rows(page, "Documents", ["r5", "r4", "r3"])
    page.run("() => { document.querySelector('firestore-query').group.checked = true; }")
    click(page, "Ask")
    until_rows(page, "Documents", ["rooms/r5", "rooms/r4", "rooms/r3"])
    fill(page, "At most so many documents", "4")
    click(page, "Ask")
    until_rows(page, "Documents", ["rooms/r5", "rooms/r4", "rooms/r3", "houses/h/rooms/far"])
    focus(page, "Documents")
    press(page, "End")
    until(page, "document.querySelector('[aria-label^=Path]').value === 'houses/h/rooms/far'")
    until_rows(page, "Documents", ["rooms/r5", "rooms/r4", "rooms/r3", "houses/h/rooms/far"])
    fill(page, "Value", "many")
    click(page, "Ask")
    until(page, "document.querySelector('firestore-page [role=status].bad').textContent.includes('digits only')")
    click(page, "Show all")
    until_rows(page, "Documents", ["far"])
    assert page.console == []


def test_a_long_collection_is_read_where_it_is_looked_at(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """End shows the last of thousands of documents without those between; the count is there at once."""
    names = [f"d{place:05}" for place in range(3000)]
    for first in range(0, len(names), 500):
        batch = client.batch()
        for name in names[first : first + 500]:
            batch.set(client.document(f"many/{name}"), {})
        batch.commit()
    page = shown(browser, running, "many")
    until(page, "document.querySelector('[aria-label=Documents] .item')?.textContent === 'd00000'")
    assert page.run("() => document.querySelector('firestore-page').count.textContent") == "3,000"
    focus(page, "Documents")
    press(page, "End")
    until(page, "document.querySelector('[aria-label^=Path]').value === 'many/d02999'")
    press(page, "ArrowUp")
    until(page, "document.querySelector('[aria-label^=Path]').value === 'many/d02998'")
    assert page.run("() => document.querySelectorAll('[aria-label=Documents] .item').length") < 100
    asked = page.run(
        "() => performance.getEntriesByType('resource').filter((one) => one.name.endsWith(':runQuery')).length"
    )
    assert asked < 15
    assert page.console == []


def test_a_database_of_another_name_is_shown_by_its_name(
    browser: Browser, running: BackgroundSuite, client: firestore.Client
) -> None:
    """It can be chosen once somebody used it, and holds its own documents."""
    second = firestore.Client(project=running.suite.project_id, credentials=AnonymousCredentials(), database="second")
    second.document("rooms/here").set({})
    second.close()
    client.document("rooms/elsewhere").set({})
    page = shown(browser, running)
    until(page, "[...document.querySelectorAll('[aria-label=Database] option')].length > 1")
    fill(page, "Database", "second")
    until_rows(page, "Collections", ["rooms"])
    focus(page, "Collections")
    press(page, "Home")
    until_rows(page, "Documents", ["here"])


def test_services_are_reached_with_the_token_alone_and_only_where_the_page_needs_them(
    running: BackgroundSuite, client: firestore.Client
) -> None:
    """As the administrator, uncounted; no answer names an origin that may read it, and no route ends the suite."""
    client.document("rooms/blue").set({})
    project = running.suite.project_id
    place = f"/console/services/firestore/v1/projects/{project}/databases/(default)/documents/rooms/blue"
    address, headers = running.address("ui"), {"x-console-token": token_of(running)}
    assert send(address, "GET", place).status == 403
    before = running.suite.observer.counts["firestore"]
    answer = send(address, "GET", place, {**headers, "origin": f"http://{address}"})
    assert answer.status == 200
    assert json.loads(answer.body)["name"].endswith("rooms/blue")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert running.suite.observer.counts["firestore"] == before
    for path in (
        "firestore/shutdown",
        "firestore/reset",
        "hub/control/reset",
        "storage/b",
        "storage/internal/reset",
        "firestore/",
    ):
        assert send(address, "POST", f"/console/services/{path}", headers).status == 404, path
