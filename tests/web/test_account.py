"""Who is here: a guest at once, a password later, the same person after a reload, without a network, and elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable

import httpx

from tests.web.conftest import WEB, Person

LISTENING = """
self.FIREBASE_APPCHECK_DEBUG_TOKEN = "a-debug-token";
const send = fetch;
globalThis.sent = [];
globalThis.fetch = (address, options) => {
  sent.push([String(address), new Headers(options?.headers).get("X-Firebase-AppCheck")]);
  return send(address, options);
};
"""


def writes_down(person: Person, text: str) -> None:
    """A dialogue, in the room that is open."""
    for name, value in (("card", "dragon"), ("text", text)):
        person.writes(f".write [name={name}]", value)
    person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads(text)


def test_a_guest_keeps_the_account_with_a_password_and_finds_it_elsewhere(people: Callable[[], Person]) -> None:
    """Anonymous at once; linked, the id stays; a reload keeps it; elsewhere it signs in, and out without a trace."""
    first = people()
    uid = first.arrives("account")
    email = f"{uid.lower()}@example.com"
    first.reads("You are a guest")
    first.writes("#keep [name=email]", email)
    first.writes("#keep [name=password]", "short")
    first.page.run("() => document.querySelector('#keep').requestSubmit()")
    first.reads("six characters at least")
    first.writes("#keep [name=password]", "long enough")
    first.page.run("() => document.querySelector('#keep').requestSubmit()")
    first.reads(f"You are {email}.")
    assert first.uid() == uid
    first.page.reload()
    assert first.is_known() == uid

    second = people()
    assert second.arrives("account") != uid
    second.writes("#enter [name=email]", email)
    second.writes("#enter [name=password]", "wrong password")
    second.page.run("() => document.querySelector('#enter').requestSubmit()")
    second.reads("E-mail or password is wrong.")
    second.writes("#enter [name=password]", "long enough")
    second.page.run("() => document.querySelector('#enter').requestSubmit()")
    second.reads(f"You are {email}.")
    assert second.uid() == uid
    second.goes_to("dialogues")
    writes_down(second, "Nobody else reads this.")
    second.goes_to("account")
    second.page.go_offline()
    second.reads("No network.")
    second.goes_to("dialogues")
    writes_down(second, "Not sent yet.")
    second.goes_to("account")
    second.presses("Sign out")
    second.reads("something you wrote is not sent yet")
    second.page.go_offline(offline=False)
    second.presses("Sign out")
    second.reads("You are a guest")
    assert second.uid() != uid
    second.goes_to("dialogues")
    second.reads("No dialogues yet.")
    first.goes_to("dialogues")
    first.reads("Nobody else reads this.")
    first.reads("Not sent yet.")


def test_tabs_are_one_person_and_show_nothing_of_who_was_here_before(people: Callable[[], Person]) -> None:
    """Somebody else signs in or out in one tab: the other follows at once, keeps nothing of theirs, and goes on."""
    elsewhere, tab = people(), people()
    email = f"{elsewhere.arrives('account').lower()}@example.com"
    elsewhere.writes("#keep [name=email]", email)
    elsewhere.writes("#keep [name=password]", "long enough")
    elsewhere.page.run("() => document.querySelector('#keep').requestSubmit()")
    elsewhere.reads(f"You are {email}.")
    elsewhere.goes_to("dialogues")
    writes_down(elsewhere, "Of the one with a password.")

    tab.arrives("dialogues")
    writes_down(tab, "Of the guest.")
    other = tab.opens_tab()
    other.arrives("account")
    other.writes("#enter [name=email]", email)
    other.writes("#enter [name=password]", "long enough")
    other.page.run("() => document.querySelector('#enter').requestSubmit()")
    for each in (other, tab):
        each.sees(f"document.querySelector('.who')?.title === '{email}'")
    tab.reads("Of the one with a password.")
    assert "Of the guest." not in tab.text()
    other.goes_to("account")
    other.presses("Sign out")
    for each in (other, tab):
        each.sees("document.querySelector('.who')?.title === 'Guest'")
    tab.reads("No dialogues yet.")
    writes_down(tab, "Of another guest.")
    other.goes_to("dialogues")
    other.reads("Of another guest.")
    assert "password." not in tab.text() + other.text()

    # A tab that comes while another one takes a user's data away waits, or its own data would be taken with them.
    other.page.run(
        "() => { navigator.locks.request('leaving', () => new Promise((end) => { globalThis.end = end; })); }"
    )
    tab.page.reload()
    tab.page.until("async () => (await navigator.locks.query()).pending.length === 1")
    assert tab.page.run("() => document.querySelector('main > section')") is None
    other.page.run("() => end()")
    tab.is_known()


def test_the_page_opens_and_is_written_in_without_a_network(person: Person) -> None:
    """Every room, also one that was never open; what is written then is sent when the network is back."""
    uid = person.arrives("account")
    person.page.run("async () => { await navigator.serviceWorker.ready; }")
    person.page.reload()
    person.is_known()
    person.page.go_offline()
    person.page.reload()
    person.reads("You are a guest")
    assert person.uid() == uid
    person.reads("No network.")
    for room in ("books", "versions", "generations", "gallery", "dialogues"):
        person.goes_to(room)
    for name, text in (("card", "dragon"), ("cost", "0.5"), ("text", "Written without a network.")):
        person.writes(f".write [name={name}]", text)
    person.page.run("() => document.querySelector('.write').requestSubmit()")
    person.reads("1 dialogue")
    person.page.go_offline(offline=False)
    person.page.run("() => document.querySelector('.line').click()")
    person.reads("$0.50 (as the app reports it)")


def test_every_module_is_kept_for_a_day_without_a_network() -> None:
    """The service worker names each file of the page, and the version of the SDK that the page imports."""
    worker = (WEB / "service-worker.js").read_text("utf-8")
    kept = set(re.findall(r'"(/app/[^"]+)"', worker))
    assert kept == {f"/{path.relative_to(WEB)}" for path in (WEB / "app").rglob("*.js")}
    versions = set(re.findall(r"/__/firebase/(\d[\d.]*)", worker + (WEB / "index.html").read_text("utf-8")))
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    locked = json.loads((WEB / "package-lock.json").read_text("utf-8"))["packages"]["node_modules/firebase"]["version"]
    assert versions == {package["devDependencies"]["firebase"]} == {locked}


def test_the_policy_admits_no_code_but_the_page_s_own(person: Person) -> None:
    """One header for every page: no inline code but the map of imports, whose digest it names; nothing is evaluated."""
    person.arrives("account")
    assert [line for line in person.page.console if "Content Security Policy" in line] == []
    told = person.page.run(
        """async () => {
          const policy = (await fetch("/")).headers.get("content-security-policy");
          const tried = [];
          for (const act of [
            () => document.body.append(Object.assign(document.createElement("script"), { text: "globalThis.ran = 1" })),
            () => document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='ran = true'>"),
          ]) {
            try { act(); } catch (error) { tried.push(error.name); }
          }
          return { policy, tried, ran: globalThis.ran ?? false };
        }"""
    )
    assert told["ran"] is False
    assert told["tried"] == ["TypeError", "TypeError"]
    assert "unsafe" not in told["policy"]
    page = (WEB / "index.html").read_text("utf-8")
    scripts = re.findall(r"<script(?![^>]* src=)[^>]*>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    assert json.loads(scripts[0])["imports"]
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in told["policy"]


def test_with_app_check_every_call_carries_a_token(person: Person) -> None:
    """With a site key set: calls of the API and of Auth carry what a debug token, in place of reCAPTCHA's, came to."""
    person.page.command("Page.addScriptToEvaluateOnNewDocument", source=LISTENING)
    configured = 'export const APP_CHECK_SITE_KEY = "a-site-key";'
    person.page.answer_once("/app/configuration.js", 200, configured, "text/javascript")
    app = f"projects/{person.suite.project_id}/apps/1:1:web:1"
    exchange = f"http://{person.suite.address('auth')}/v1/{app}:exchangeDebugToken"
    token = httpx.post(exchange, json={"debug_token": "a-debug-token"}).raise_for_status().json()["token"]
    # The SDK exchanges anew until it has written the first answer to its disk: how often, the machine decides.
    person.page.answer_each(":exchangeDebugToken", 200, json.dumps({"token": token, "ttl": "3600s"}))
    person.arrives("storage")
    person.reads("There is nothing to tidy.")
    carried = person.page.run("() => sent")
    assert {proof for address, proof in carried if "/api/" in address or "accounts:signUp" in address} == {token}
