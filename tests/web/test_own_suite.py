"""What needs a suite of its own: a deployment with Google Drive, and a clock that is moved."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from afterimage.edges.drive.keys.key_file import add_key
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, load_configuration
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from afterimage_emulator.suite import Suite
from tests.browser.chromium import Chromium
from tests.browser.page import Browser, PageServer
from tests.functions.drive.google_server import GoogleServer, served
from tests.web.conftest import WEB, Person, bars, crowd, link_sdk
from tests.web.pictures import picture
from tests.web.test_account import writes_down
from tests.web.test_versions import saves

ROOT = WEB.parent
REDIRECT = "https://api.example.com/api/phase5/auth/callback"
RETURN = "https://page.example.com/"
TWO_HOURS_SECONDS = 7200


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleServer]:
    with served(GoogleServer(clock=[datetime.now(UTC)])) as running:
        yield running
        assert running.broken_contracts == []


@pytest.fixture(scope="module")
def own_suite(
    chromium: tuple[Chromium, PageServer], google: GoogleServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackgroundSuite]:
    link_sdk()
    folder = tmp_path_factory.mktemp("own")
    codebase = folder / "functions"
    shutil.copytree(ROOT / "functions", codebase, ignore=shutil.ignore_patterns("__pycache__", "venv", ".venv"))
    add_key(folder / "keys.json")
    named = {
        "GOOGLE_CLIENT_ID": google.consents.client_id,
        "GOOGLE_REDIRECT_URI": REDIRECT,
        "DRIVE_RETURN_URL": RETURN,
        "DRIVE_KEY": folder / "keys.json",
        "GOOGLE_OAUTH_URL": google.url,
        "GOOGLE_API_URL": google.url,
    }
    (codebase / ".env.local").write_text("".join(f"{name}={value}\n" for name, value in named.items()))
    (codebase / ".secret.local").write_text(f"GOOGLE_CLIENT_SECRET={google.consents.client_secret}\n")
    project = f"demo-own-page-{os.getpid()}"
    known = load_configuration(ROOT / "firebase.json", project_id=project)
    configuration = dataclasses.replace(known, codebases=(Codebase(name="default", source=codebase),))
    with BackgroundSuite(Suite(configuration, free_ports=True)) as suite:
        yield suite


@pytest.fixture
def people(
    browsers: list[Browser], chromium: tuple[Chromium, PageServer], own_suite: BackgroundSuite
) -> Iterator[Callable[[], Person]]:
    with crowd(browsers, chromium, own_suite) as comes:
        yield comes


def address_at_google(person: Person) -> str:
    """Where the page sends its user, whom Google's page would ask."""
    person.page.answer_once("accounts.google.com/o/oauth2", 200, "<title>Google</title>", "text/html")
    person.presses("Link Google Drive")
    person.sees("location.host === 'accounts.google.com'")
    return str(person.page.run("() => location.href"))


def come_back(person: Person, google: GoogleServer, address: str) -> str:
    """The user says yes; the fragment that the API's callback then sends the browser to the page with."""
    back = google.consents.consent(address, "ana@example.com")
    callback = f"{person.site}/api/phase5/auth/callback"
    answer = httpx.get(callback, params=dict(parse_qsl(urlsplit(back).query)))
    assert answer.headers["location"].startswith(f"{RETURN}#")
    return urlsplit(answer.headers["location"]).fragment


def test_a_drive_is_linked_shown_and_unlinked(people: Callable[[], Person], google: GoogleServer) -> None:
    """Offered where the API says so; completed by the user who began, and by nobody who is sent the same address."""
    person, victim = people(), people()
    uid = person.arrives("storage")
    person.reads("Link your Drive")
    assert bars(person) == []
    fragment = come_back(person, google, address_at_google(person))
    victim.page.go(f"{victim.site}/#{fragment}")
    victim.reads("no link was begun so")
    victim.reads("Link your Drive")

    person.page.go(f"{person.site}/#{fragment}")
    person.reads("The Drive is linked.")
    person.reads("Every save goes to the Drive of ana@example.com as well.")
    assert person.page.run("() => location.hash") == "#storage"
    assert person.uid() == uid
    assert bars(person) == []
    person.presses("Unlink")
    person.presses("Undo")
    person.reads("Every save goes to the Drive of ana@example.com as well.")
    assert google.consents.revoked == []
    person.presses("Unlink")
    person.presses("Do it now")
    person.reads("Link your Drive")
    assert google.consents.revoked == ["ana@example.com"]


def two_hours_pass(person: Person) -> None:
    """For the services and for the browser."""
    person.suite.advance_clock(TWO_HOURS_SECONDS)
    person.page.run(f"() => {{ const now = Date.now; Date.now = () => now() + {TWO_HOURS_SECONDS * 1000}; }}")


def test_a_token_that_has_run_out_costs_nobody_a_word(people: Callable[[], Person]) -> None:
    """Two hours pass at once: files, documents and the API take what comes next, with a token that was asked for anew.

    A browser's clock may be wrong, so a service may refuse a token that looks good; services of the suite check no
    times, so their refusals are ordered.
    """
    person = people()
    person.arrives()
    renewals = "performance.getEntriesByType('resource').filter((one) => one.name.includes('securetoken')).length"
    assert person.page.run(f"() => {renewals}") == 0
    two_hours_pass(person)
    person.drops(("a.jpg", "image/jpeg", picture(colour=4)))
    person.reads("1 of 1 files are stored")
    person.sees(f"{renewals} > 0")
    person.sees("document.querySelector('.tile img.here')")
    for service, resource in (("firestore", "*Write/channel*"), ("storage", "/v0/*"), ("hosting", "/api/*")):
        match = {"service": service, "method": "POST", "resource": resource}
        person.suite.add_fault(FaultRule(action="fail", match=match, times=1, code=Code.UNAUTHENTICATED))
    person.drops(("b.jpg", "image/jpeg", picture(colour=5)))
    person.reads("2 of 2 files are stored")
    person.goes_to("dialogues")
    writes_down(person, "Two hours later.")
    person.goes_to("versions")
    saves(person, "two hours later", name="late.txt")
    person.sees("document.querySelector('.line')?.innerText.includes('late.txt')")
    assert [fault["struck"] for fault in person.suite.call(person.suite.suite.faults.listing)] == [1, 1, 1]
    person.page.reload()
    person.is_known()
    person.goes_to("dialogues")
    person.reads("1 dialogue")
    assert "did not work" not in person.text()
