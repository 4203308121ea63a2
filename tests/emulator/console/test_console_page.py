"""The console in a real browser: what it shows of a running suite, from the keyboard alone, and nothing as markup."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser, Page
from tests.emulator.console.test_console_api import load_rules, read_note

STORED_MARKUP = '<img src="x" onerror="window.ran = true">'
CONTROLS = """[...document.querySelectorAll(
  "a[href], button, input, select, textarea, summary, [tabindex='0'], virtual-list")]
  .filter((one) => one.checkVisibility() && !one.disabled)"""
# What a page shows is asked for first: it is all there when nothing has come or gone for a while.
SETTLED = f"""async () => {{
  for (let same = 0, last = -1; same < 20; ) {{
    const count = {CONTROLS}.length;
    same = count === last ? same + 1 : 0;
    last = count;
    await new Promise((resume) => requestAnimationFrame(resume));
  }}
}}"""
PAGES = (
    "overview", "requests", "events", "time", "logs", "firestore", "auth", "storage", "functions", "pubsub",
    "coverage", "indexes", "capabilities",
)  # fmt: skip
UNTIL = """async (condition) => {
  const holds = new Function(`return ${condition}`);
  while (!holds()) await new Promise((resume) => requestAnimationFrame(resume));
}"""
CONTRAST = """() => {
  const channel = (part) => (part /= 255) <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = new Set();
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    const [one, other] = [light(parts(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) faint.add(walker.currentNode.data.trim());
  }
  return [...faint];
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    configuration = Configuration(
        root=tmp_path_factory.mktemp("console-page"), project_id=f"demo-console-page-{os.getpid()}"
    )
    suite = Suite(configuration, only=("firestore",), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        load_rules(started)
        yield started


def opened(browser: Browser, running: BackgroundSuite, page: str = "overview") -> Page:
    shown = browser.open(url=f"http://{running.address('ui')}/#{page}")
    until(shown, "document.querySelector('console-app').state !== null")
    return shown


def until(page: Page, condition: str) -> None:
    page.run(UNTIL, condition)


def press(page: Page, key: str) -> None:
    typed = key if len(key) == 1 else ""
    page.command("Input.dispatchKeyEvent", type="keyDown", key=key, text=typed)
    page.command("Input.dispatchKeyEvent", type="keyUp", key=key)


def test_a_denied_request_is_explained_in_the_rules_from_the_keyboard_alone(
    browser: Browser, running: BackgroundSuite
) -> None:
    """It appears as it happens; a digit opens the page, an arrow chooses; the value of each part stands in the text."""
    page = opened(browser, running)
    until(page, "document.querySelector('console-app').listening")
    read_note(running, "alice", "bob")
    press(page, "2")
    until(page, "document.querySelectorAll('virtual-list .item').length > 0")
    page.run("() => document.querySelector('virtual-list').focus()")
    press(page, "Home")
    until(page, "document.querySelector('.source .tried') !== null")
    shown = page.run("() => document.querySelector('requests-page section').innerText")
    assert "denied" in shown
    assert "false for 'get' @ L6" in shown
    values = page.run(
        "() => Object.fromEntries([...document.querySelectorAll('.source dt')].map("
        "(part) => [part.textContent, part.nextSibling.textContent]))"
    )
    assert values["owns(owner)"] == "false"
    assert values["request.auth.uid"] == "'bob'"
    assert page.console == []


def test_what_a_user_is_called_is_text(browser: Browser, running: BackgroundSuite) -> None:
    """A name full of markup is shown as it is written, and runs nothing."""
    page = opened(browser, running, "requests")
    until(page, "document.querySelector('console-app').listening")
    read_note(running, "alice", STORED_MARKUP)
    until(page, "document.querySelector('virtual-list .item')?.textContent.includes('onerror')")
    page.run("() => document.querySelector('virtual-list .item').click()")
    until(page, "document.querySelector('.yaml')?.textContent.includes('onerror')")
    assert page.run("() => document.querySelectorAll('img').length") == 0
    assert page.run("() => window.ran === undefined")
    assert page.console == []


def test_a_copied_case_is_the_request(browser: Browser, running: BackgroundSuite) -> None:
    """As `rules test` reads it."""
    page = opened(browser, running, "requests")
    until(page, "document.querySelector('console-app').listening")
    read_note(running, "alice", "carol")
    until(page, "document.querySelector('virtual-list .item')?.textContent.includes('carol')")
    page.run("() => document.querySelector('virtual-list .item').click()")
    until(page, "document.querySelector('.yaml') !== null")
    case = page.run("() => document.querySelector('.yaml').textContent")
    assert "as: carol" in case
    assert "get: notes/alice" in case
    assert "expect: denied" in case


@pytest.mark.parametrize("width", [600, 1400])
def test_a_list_of_any_length_draws_the_rows_in_sight(width: int, browser: Browser, running: BackgroundSuite) -> None:
    """A million items are as many elements as a hundred, and End reaches the last, in a narrow window and in a wide."""
    page = opened(browser, running, "requests")
    page.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    drawn = page.run(
        """async () => {
          document.querySelector("requests-page").stop();  // its own requests would replace the items
          const list = document.querySelector("virtual-list");
          const items = Array.from({ length: 1_000_000 }, (_, id) => ({ id }));
          list.show(items, { key: (item) => item.id, fill: (item) => [String(item.id)] });
          list.focus();
          list.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
          await new Promise((resume) => requestAnimationFrame(() => requestAnimationFrame(resume)));
          return { rows: list.querySelectorAll(".item").length, chosen: list.selected.id };
        }"""
    )
    assert drawn["chosen"] == 999_999
    assert 0 < drawn["rows"] < 100


def test_a_key_counts_also_while_rows_are_brought(browser: Browser, running: BackgroundSuite) -> None:
    """What is drawn anew meanwhile, and what the page marks as chosen, takes no key back."""
    page = opened(browser, running, "requests")
    chosen = page.run(
        """async () => {
          document.querySelector("requests-page").stop();
          const { Pages } = await import("./virtual-list.js");
          const list = document.querySelector("virtual-list");
          const rows = (first, count) => Array.from({ length: count }, (_, at) => ({ id: first + at }));
          const items = new Pages(50, async (first, count) => rows(first, count));
          await items.whole(0);
          list.show(items, { key: (item) => item.id, fill: (item) => [String(item.id)] });
          list.select(items.at(9), 9);
          let bring;
          items.renew(50, (first, count) => new Promise((resume) => { bring = () => resume(rows(first, count)); }));
          list.mark(9);
          list.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" }));
          list.mark(9);
          bring();
          await new Promise((resume) => requestAnimationFrame(() => requestAnimationFrame(resume)));
          return list.selected?.id;
        }"""
    )
    assert chosen == 8


def test_the_clock_is_stopped_and_said_to_be_on_every_page(browser: Browser, running: BackgroundSuite) -> None:
    """What is not as usual stands in the head, wherever one looks."""
    page = opened(browser, running, "time")
    page.run("() => [...document.querySelectorAll('button')].find((one) => one.textContent === 'Stop').click()")
    until(page, "document.querySelector('header [role=status]').textContent === 'clock stopped'")
    assert running.suite.clock.is_frozen
    press(page, "5")
    until(page, "document.querySelector('logs-page') !== null")
    assert page.run("() => document.querySelector('header [role=status]').textContent") == "clock stopped"
    press(page, "4")
    until(page, "document.querySelector('time-page button') !== null")
    page.run("() => [...document.querySelectorAll('button')].find((one) => one.textContent === 'Let it run').click()")
    until(page, "document.querySelector('header [role=status]').textContent !== 'clock stopped'")
    assert not running.suite.clock.is_frozen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_word_can_be_read_and_every_control_has_a_name(
    name: str, scheme: str, browser: Browser, running: BackgroundSuite
) -> None:
    """Contrast of 4.5 to 1 in light and dark, a name for whatever takes the keyboard, and a silent browser console."""
    page = opened(browser, running, name)
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    until(page, "document.querySelector('main').firstElementChild.childElementCount > 0")
    assert page.run(CONTRAST) == []
    tree = page.command("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "link", "searchbox", "textbox", "combobox", "spinbutton", "listbox"}
    nameless = [
        node["role"]["value"]
        for node in tree
        if node.get("role", {}).get("value") in roles and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    assert page.console == []


@pytest.mark.parametrize("name", PAGES)
def test_every_control_is_reached_with_tab_and_nothing_holds_it(
    name: str, browser: Browser, running: BackgroundSuite
) -> None:
    """All that can be clicked takes the keyboard, in the order of the page, with a mark around it, and lets it go."""
    page = opened(browser, running, name)
    until(page, "document.querySelector('main').firstElementChild.childElementCount > 0")
    page.run(SETTLED)
    wanted = page.run(f"() => {{ window.all = {CONTROLS}; all[0].focus(); return all.length; }}")
    reached = [0]
    for _ in range(wanted - 1):
        page.command("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        at, name_of, outline = page.run(
            """() => [all.indexOf(document.activeElement), document.activeElement.outerHTML.slice(0, 200),
                      getComputedStyle(document.activeElement).outlineStyle]"""
        )
        reached.append(at)
        assert outline == "solid", name_of
    assert reached == list(range(wanted))
    landmarks = [
        node["role"]["value"]
        for node in page.command("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") in ("main", "navigation", "banner")
    ]
    assert sorted(landmarks) == ["banner", "main", "navigation"]


def test_a_key_leaves_no_question_unanswered(browser: Browser, running: BackgroundSuite) -> None:
    """While something is asked, the keys of pages open none: what was typed would be lost with the page."""
    page = opened(browser, running, "firestore")
    until(page, "[...document.querySelectorAll('button')].some((one) => one.textContent === 'Add collection')")
    page.run(
        "() => [...document.querySelectorAll('button')].find((one) => one.textContent === 'Add collection').click()"
    )
    until(page, "document.querySelector('dialog[open]') !== null")
    page.run("() => [...document.querySelectorAll('dialog button')].at(-1).focus()")
    press(page, "1")
    assert page.run("() => document.querySelector('dialog[open]')?.getAttribute('aria-label')")
    assert page.run("() => location.hash").startswith("#firestore")
    page.run("() => document.activeElement.click()")
    until(page, "document.querySelector('dialog[open]') === null")
    press(page, "1")
    until(page, "document.title.startsWith('Overview')")


def test_log_lines_are_found_by_level_and_text(
    browser: Browser, running: BackgroundSuite, caplog: pytest.LogCaptureFixture
) -> None:
    """Each level with the graver ones, up to critical; text and service narrow them further."""
    caplog.set_level(logging.INFO, logger="afterimage_emulator")
    page = opened(browser, running, "logs")
    until(page, "document.querySelector('console-app').listening")
    log = logging.getLogger("afterimage_emulator.sieve")
    for level in ("INFO", "WARNING", "ERROR", "CRITICAL"):
        log.log(logging.getLevelName(level), "a line of %s", level.lower())
    until(page, "document.querySelector('.log')?.textContent.includes('of critical')")
    shown = """(text, level) => {
      const [filter, choice] = document.querySelectorAll("logs-page input, logs-page select");
      Object.assign(filter, { value: text }).dispatchEvent(new Event("input"));
      Object.assign(choice, { value: level }).dispatchEvent(new Event("change"));
      return [...document.querySelectorAll(".log li pre")].map((one) => one.textContent.split(" ").at(-1));
    }"""
    assert page.run(shown, "SIEVE", "") == ["critical", "error", "warning", "info"]
    assert page.run(shown, "sieve", "WARNING") == ["critical", "error", "warning"]
    assert page.run(shown, "sieve", "ERROR") == ["critical", "error"]
    assert page.run(shown, "of error", "ERROR") == ["error"]
    assert page.run(shown, "of info", "ERROR") == []
    page.run(shown, "sieve", "")
    assert page.run("() => document.querySelectorAll('.log li.bad').length") == 3


def test_a_page_of_this_machine_cannot_take_the_token(browser: Browser, running: BackgroundSuite) -> None:
    """It may send requests to the console, reads no answer, and cannot show it in a frame."""
    page = browser.open()
    address = running.address("ui")
    told = page.run(
        """async (address) => {
          const told = {};
          for (const path of ["/", "/console/state"]) {
            told[path] = await fetch(`http://${address}${path}`).then(() => "read", (error) => error.name);
          }
          const frame = document.createElement("iframe");
          frame.src = `http://${address}/`;
          await new Promise((loaded) => { frame.onload = loaded; document.body.append(frame); });
          try { told.frame = frame.contentDocument?.querySelector("meta")?.content ?? "nothing"; }
          catch (error) { told.frame = error.name; }
          return told;
        }""",
        address,
    )
    assert (told["/"], told["/console/state"]) == ("TypeError", "TypeError")
    assert told["frame"] in ("nothing", "SecurityError")
    refused = [line for line in page.console if "frame-ancestors" in line or "X-Frame-Options" in line]
    assert refused, page.console
