"""The page over the whole suite: its people, each in a browser of their own, and what they see."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from afterimage_emulator.background import BackgroundSuite
from tests.browser.chromium import NODE_MODULES, BrowserError, Chromium
from tests.browser.page import Browser, Page, PageServer

WEB: Final = Path(__file__).resolve().parents[2] / "web"
UNTIL: Final = """async (condition, patience) => {
  const holds = new Function(`return ${condition}`);
  const end = performance.now() + patience * 1000;
  for (;;) {
    let found = null;
    try { found = holds(); } catch (error) { found = null; }
    if (found) return found;
    if (performance.now() > end) throw new Error(`never came true: ${condition}; shown: ${document.body.innerText}`);
    await new Promise((resume) => setTimeout(resume, 40));
  }
}"""
PATIENCE_SECONDS: Final = 40.0
AXE: Final = NODE_MODULES / "axe-core/axe.min.js"
FINDS: Final = """async (rules) => {
  const runOnly = rules && { type: "rule", values: rules };
  const found = await axe.run(document, { resultTypes: ["violations"], ...(runOnly && { runOnly }) });
  return found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
}"""


TOO_WIDE: Final = """() => {
  // A wide table may be moved sideways in the room; in a card and beside a picture everything is in sight.
  const PLACES = ".card, .line, .figures > div, dialog[open], .cards .scrolls, dialog[open] .scrolls, .users .scrolls";
  const places = [document.documentElement, ...document.querySelectorAll(PLACES)];
  return places.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.outerHTML.slice(0, 200));
}"""


class Person:
    """Somebody with a browser; `page` is the tab that is open."""

    def __init__(self, browser: Browser, suite: BackgroundSuite) -> None:
        self.suite = suite
        self.site = f"http://{suite.address('hosting')}"
        self._browser = browser
        self._tabs: list[Person] = []
        self.page: Page = browser.open(url="about:blank")

    def close(self) -> None:
        for tab in (*self._tabs, self):
            tab.page.close()

    def opens_tab(self) -> Person:
        """The same person with another tab of the same browser."""
        self._tabs.append(Person(self._browser, self.suite))
        return self._tabs[-1]

    def forgets_all(self) -> None:
        """Whatever the site has stored in this browser goes; what of it never changes need not be fetched again."""
        self.page.command("Storage.clearDataForOrigin", origin=self.site, storageTypes="all")

    def arrives(self, room: str = "gallery") -> str:
        """Opens the page and waits until it knows who is here; the user's id."""
        self.page.go(f"{self.site}/#{room}")
        return self.is_known()

    def is_known(self) -> str:
        self.sees("document.querySelector('main > section')")
        return self.uid()

    def uid(self) -> str:
        """As the account's room shows it; the room that was open is open again."""
        found = self.page.run(
            """async () => {
              const { getApp } = await import("firebase/app");
              const { getAuth } = await import("firebase/auth");
              return getAuth(getApp()).currentUser.uid;
            }"""
        )
        assert isinstance(found, str)
        return found

    def goes_to(self, room: str) -> None:
        self.page.run("(room) => { location.hash = `#${room}`; }", room)
        self.sees(f"document.querySelector('main > section.{room.split('/')[0]}')")

    def sees(self, condition: str) -> Any:
        """Waits until a condition of the page holds; what it came to."""
        while True:
            try:
                return self.page.run(UNTIL, condition, PATIENCE_SECONDS, timeout_seconds=PATIENCE_SECONDS + 20)
            except BrowserError as error:
                # The page went elsewhere meanwhile: what is waited for comes on the next one.
                if not any(words in str(error) for words in ("navigated or closed", "context")):
                    raise

    def reads(self, text: str) -> None:
        self.sees(f"document.body.innerText.includes({json.dumps(text)})")

    def text(self, selector: str = "body") -> str:
        return str(self.page.run("(selector) => document.querySelector(selector).innerText", selector))

    def presses(self, text: str, within: str = "body") -> None:
        """A button by its words, as soon as it can be pressed."""
        self.sees(_button(text, within))
        self.page.run(f"() => {{ {_button(text, within)}.click(); }}")

    def writes(self, selector: str, text: str) -> None:
        self.sees(f"document.querySelector({json.dumps(selector)})")
        self.page.run(
            """(selector, text) => {
              const field = document.querySelector(selector);
              field.value = text;
              field.dispatchEvent(new Event("input", { bubbles: true }));
              field.dispatchEvent(new Event("change", { bubbles: true }));
            }""",
            selector,
            text,
        )

    def looks(self, *, width: int, scheme: str = "light") -> None:
        """Has a screen of that width, light or dark; the page has drawn itself on it."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.page.command("Emulation.setDeviceMetricsOverride", **size)
        self.page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.page.run(
            """async () => {
              await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
              document.getAnimations().forEach((one) => one.finish());
            }"""
        )

    def goes_by_tab(self, selector: str, *, backwards: bool = False) -> None:
        """With the Tab key alone, to the first element that the selector names and keys can reach."""
        for _ in range(120):
            self.key("Tab", 9, modifiers=8 if backwards else 0)
            if self.page.run("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"`{selector}` is not reached by Tab; the focus is on {self.focus()}")

    def focus(self) -> str:
        return str(self.page.run("() => document.activeElement.outerHTML.slice(0, 300)"))

    def types(self, text: str) -> None:
        self.page.command("Input.insertText", text=text)

    def key(self, name: str, code: int = 0, text: str = "", *, modifiers: int = 0) -> None:
        pressed: dict[str, Any] = {"key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        send = self.page.command
        send("Input.dispatchKeyEvent", **{"type": "keyDown", **pressed, **({"text": text} if text else {})})
        self.page.command("Input.dispatchKeyEvent", **{"type": "keyUp", **pressed})

    def drops(self, *files: tuple[str, str, bytes]) -> None:
        """Drops files (name, type, bytes) on the page, as from a folder of the desktop."""
        given = [[name, kind, base64.b64encode(data).decode()] for name, kind, data in files]
        self.sees("document.querySelector('.drop')")
        self.page.run(
            """(given) => {
              const dropped = new DataTransfer();
              for (const [name, type, text] of given) {
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                dropped.items.add(new File([bytes], name, { type }));
              }
              const event = new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true });
              document.querySelector(".drop").dispatchEvent(event);
            }""",
            given,
        )


def bars(person: Person) -> list[str]:
    """What bars somebody from what is shown, in either light, on a wide screen and on a narrow one.

    Light changes colours alone, so axe looks at everything once for each width. Nothing may be wider than its place.
    """
    found = []
    for width in (1000, 360):
        person.looks(width=width)
        found += [f"{width}: wider than its place: {one}" for one in person.page.run(TOO_WIDE)]
        if AXE.exists():
            if not person.page.run("() => 'axe' in globalThis"):
                person.page.command("Runtime.evaluate", expression=AXE.read_text("utf-8"))
            found += [f"{width}: {one}" for one in person.page.run(FINDS, None)]
            person.looks(width=width, scheme="dark")
            found += [f"{width}, dark: {one}" for one in person.page.run(FINDS, ["color-contrast"])]
    person.looks(width=1000)
    return found


def link_sdk() -> None:
    """A local Hosting finds the SDK beside the page: the tests' own copy, as `make page` links it."""
    link = WEB / "node_modules"
    if not link.exists() and (NODE_MODULES / "firebase").exists():
        try:
            link.symlink_to(NODE_MODULES)
        except FileExistsError:
            pass  # another process made it


def _button(text: str, within: str) -> str:
    wanted = json.dumps(text)
    return (
        f"[...document.querySelector({json.dumps(within)}).querySelectorAll('button')]"
        f".find((one) => !one.disabled && one.checkVisibility() && "
        f"(one.innerText.trim() === {wanted} || one.getAttribute('aria-label') === {wanted}))"
    )


@pytest.fixture(scope="session")
def web_suite(firebase_shared_functions: BackgroundSuite) -> BackgroundSuite:
    """Every service with the functions loaded, and the page on Hosting; the SDK comes from the tests' own packages."""
    link_sdk()
    return firebase_shared_functions


@pytest.fixture(scope="session")
def browsers(chromium: tuple[Chromium, PageServer]) -> Iterator[list[Browser]]:
    """Those that nobody uses at this moment: a new one would fetch and compile the SDK anew for each test."""
    free: list[Browser] = []
    yield free
    for browser in free:
        browser.close()


@contextmanager
def crowd(
    browsers: list[Browser], chromium: tuple[Chromium, PageServer], suite: BackgroundSuite
) -> Iterator[Callable[[], Person]]:
    """Each call is somebody else, with a browser that holds nothing; when they go, so do their tabs and all faults."""
    here: list[tuple[Person, Browser]] = []

    def comes() -> Person:
        browser = browsers.pop() if browsers else Browser(*chromium)
        person = Person(browser, suite)
        here.append((person, browser))
        person.forgets_all()
        return person

    yield comes
    suite.clear_faults()
    for person, browser in here:
        person.close()
        browsers.append(browser)


@pytest.fixture
def people(
    browsers: list[Browser], chromium: tuple[Chromium, PageServer], web_suite: BackgroundSuite
) -> Iterator[Callable[[], Person]]:
    """`people()` is somebody with a browser that holds nothing."""
    with crowd(browsers, chromium, web_suite) as comes:
        yield comes


@pytest.fixture
def person(people: Callable[[], Person]) -> Person:
    return people()
