"""The console's page of Auth users in a real browser, beside the official admin SDK."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import firebase_admin
import pytest
from firebase_admin import auth

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser, Page
from tests.emulator.console.test_console_firestore import click, fill, focus, until_closed, until_rows
from tests.emulator.console.test_console_page import CONTRAST, STORED_MARKUP, opened, press, until
from tests.emulator.front.guarded_ports import send


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root, project = tmp_path_factory.mktemp("console-auth"), f"demo-console-auth-{os.getpid()}"
    suite = Suite(Configuration(root=root, project_id=project), only=("auth",), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        yield started


@pytest.fixture
def app(running: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[firebase_admin.App]:
    """The official SDK; the users that a test before left are gone."""
    running.reset()
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    made = firebase_admin.initialize_app(options={"projectId": running.suite.project_id}, name="console-auth")
    yield made
    firebase_admin.delete_app(made)


def shown(browser: Browser, running: BackgroundSuite, uid: str = "") -> Page:
    page = opened(browser, running, f"auth/{uid}" if uid else "auth")
    until(page, "document.querySelector('auth-page').count.textContent !== ''")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_users_are_listed_and_their_claims_changed(
    scheme: str, browser: Browser, running: BackgroundSuite, app: firebase_admin.App
) -> None:
    """From the keyboard; names are text; what cannot be claims is refused in the suite's words, and stays as typed."""
    auth.create_user(uid="ann", email="ann@example.com", display_name=STORED_MARKUP, app=app)
    auth.set_custom_user_claims("ann", {"role": "editor"}, app=app)
    auth.create_user(uid="bob", phone_number="+491701234567", app=app)
    page = shown(browser, running)
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    until_rows(page, "Users by uid", ["ann@example.comclaimsann", "+491701234567bob"])
    focus(page, "Users by uid")
    press(page, "ArrowDown")
    until(page, "document.querySelector('auth-page textarea')?.value.includes('editor')")
    text = page.run("() => document.querySelector('auth-page section').innerText")
    assert STORED_MARKUP in text
    assert page.run("() => document.querySelectorAll('img').length") == 0
    assert page.run(CONTRAST) == []
    fill(page, "Custom claims as JSON", '{"role": "owner", "level": [1]}')
    click(page, "Save claims")
    until(page, "JSON.parse(document.querySelector('auth-page textarea').value).level !== undefined")
    until(page, "document.querySelector('auth-page textarea').value.includes('\\n')")
    assert auth.get_user("ann", app=app).custom_claims == {"role": "owner", "level": [1]}
    assert page.console == []
    fill(page, "Custom claims as JSON", '{"sub": "eve"}')
    click(page, "Save claims")
    until(page, "document.querySelector('auth-page section .bad') !== null")
    assert "FORBIDDEN_CLAIM" in page.run("() => document.querySelector('auth-page section .bad').textContent")
    assert page.run("() => document.querySelector('auth-page textarea').value") == '{"sub": "eve"}'
    assert auth.get_user("ann", app=app).custom_claims == {"role": "owner", "level": [1]}


def test_users_are_added_disabled_found_and_deleted(
    browser: Browser, running: BackgroundSuite, app: firebase_admin.App
) -> None:
    """Deleting asks first; a user is found by uid, email or phone number; who is not there is said not to be."""
    auth.create_user(uid="caller", phone_number="+491701234567", app=app)
    page = shown(browser, running)
    click(page, "Add user")
    fill(page, "Uid, or empty for a new one", "a b/c?")
    fill(page, "Email", "new@example.com")
    fill(page, "Password", "secret1")
    click(page, "Add")
    until_closed(page)
    until(page, "document.querySelector('auth-page section h2')?.textContent === 'new@example.com'")
    fill(page, "Custom claims as JSON", '{"not": "saved yet"}')
    click(page, "Disable")
    until(page, "[...document.querySelectorAll('button')].some((one) => one.textContent === 'Enable')")
    until(page, "document.querySelector('auth-page textarea').value.includes('saved yet')")
    assert auth.get_user_by_email("new@example.com", app=app).disabled
    for wanted, heading in (("+491701234567", "+491701234567"), ("new@example.com", "new@example.com")):
        press(page, "/")
        fill(page, "Find a user", wanted)
        press(page, "Enter")
        until(page, f"document.querySelector('auth-page section h2')?.textContent === '{heading}'")
    click(page, "Delete user")
    click(page, "Cancel")
    until_closed(page)
    assert auth.get_user("a b/c?", app=app).email == "new@example.com"
    click(page, "Delete user")
    click(page, "Delete")
    until_closed(page)
    until_rows(page, "Users by uid", ["+491701234567caller"])
    with pytest.raises(auth.UserNotFoundError):
        auth.get_user("a b/c?", app=app)
    fill(page, "Find a user", "nobody")
    focus(page, "Find a user")
    press(page, "Enter")
    until(page, "document.querySelector('auth-page').said.textContent.includes('nobody')")
    assert page.console == []


def test_many_users_are_read_where_they_are_looked_at(
    browser: Browser, running: BackgroundSuite, app: firebase_admin.App
) -> None:
    """End shows the last of two thousand; those between are not asked for."""
    for first in (0, 1000):
        records = [auth.ImportUserRecord(uid=f"u{place:04}") for place in range(first, first + 1000)]
        assert auth.import_users(records, app=app).failure_count == 0
    page = shown(browser, running)
    until(page, "document.querySelector('auth-page').count.textContent === '2,000 users'")
    focus(page, "Users by uid")
    press(page, "End")
    until(page, "document.querySelector('auth-page section th')?.nextSibling.textContent === 'u1999'")
    assert page.run("() => document.querySelectorAll('auth-page .item').length") < 100
    assert page.console == []


def test_a_page_of_a_service_that_does_not_run_says_so(browser: Browser, running: BackgroundSuite) -> None:
    """It asks nothing in vain, however long it is open."""
    page = opened(browser, running, "firestore")
    until(page, "document.querySelector('firestore-page').said.textContent === 'this suite runs no Firestore'")
    assert page.console == []


def test_users_of_each_tenant_are_shown_and_added_apart(
    browser: Browser, running: BackgroundSuite, app: firebase_admin.App
) -> None:
    """A tenant is chosen by its name; its users are found and made there, and nobody else's are seen."""
    auth.create_user(uid="ann", email="ann@example.com", app=app)
    owner = {"authorization": "Bearer owner"}
    toolkit = f"/identitytoolkit.googleapis.com/v2/projects/{running.suite.project_id}/tenants"
    body = '{"displayName": "<b>North</b>", "allowPasswordSignup": true}'
    made = send(running.address("auth"), "POST", toolkit, owner, body)
    tenant = json.loads(made.body)["name"].rpartition("/")[2]
    page = shown(browser, running)
    until_rows(page, "Users by uid", ["ann@example.comann"])
    page.run(
        """(value) => {
          const field = document.querySelector('[aria-label="Tenant"]');
          field.value = value;
          field.dispatchEvent(new Event("change"));
        }""",
        tenant,
    )
    until_rows(page, "Users by uid", [])
    click(page, "Add user")
    fill(page, "Uid, or empty for a new one", "nils")
    click(page, "Add")
    until_closed(page)
    until_rows(page, "Users by uid", ["anonymousnils"])
    until(page, f"document.querySelector('auth-page section').textContent.includes({tenant!r})")
    found = send(running.address("auth"), "POST", f"{toolkit.replace('v2', 'v1')}/{tenant}/accounts:query", owner, "{}")
    assert [user["localId"] for user in json.loads(found.body)["userInfo"]] == ["nils"]
    assert auth.list_users(app=app).users[0].uid == "ann"
    assert page.run("() => document.querySelector('[aria-label=\"Tenant\"]').textContent").count("<b>North</b>") == 1
    assert page.console == []
