"""Pages in the browser: opened at any origin, holding the Firebase SDK, running what a test gives them.

A test asks for the fixture `browser` and opens as many pages ("tabs") as it needs:

    def test_a_page_reads_what_it_wrote(browser: Browser, suite: BackgroundSuite) -> None:
        page = browser.open()                        # http://localhost:PORT/12/, with the SDK 12 to import from
        found = page.run(
            '''async (port) => {
              const { initializeApp } = await import("firebase/app");
              const { getFirestore, connectFirestoreEmulator, doc, getDoc } = await import("firebase/firestore");
              …
              return (await getDoc(doc(db, "rooms/a"))).data();
            }''',
            port,
        )

`run` gives the function its arguments as JSON, waits for its promise, and returns the result as Python has it from
JSON; what the function throws is raised as `BrowserError`, with what the page wrote on its console. `keep` in such a
function (`window.kept`) survives until the page goes elsewhere. All pages of one `browser` share storage, as the tabs
of a user do; the next test gets a browser that has never been used.

`open(origin="https://app.test")` shows the same page as another site would, without a server or certificate for it.
`open(url=…)` goes wherever a test's own server is: the console, Hosting, a product's page.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from tests.browser.chromium import NODE_MODULES, PATIENCE_SECONDS, BrowserError, Chromium

SDKS: Final = {"12": NODE_MODULES / "firebase", "13": NODE_MODULES / "firebase13"}
"""The SDKs by their major version, each a package whose bundles a page can load as they are."""
_PARTS: Final = ("app", "auth", "firestore", "firestore-lite", "functions", "storage")


def document(version: str) -> str:
    """A page that can `import("firebase/firestore")`; with the compat SDK too, for whoever loads its scripts."""
    package = json.loads((SDKS[version] / "package.json").read_text("utf-8"))
    imports = {f"firebase/{part.replace('-', '/')}": f"/{version}/firebase-{part}.js" for part in _PARTS}
    # The bundles name each other by the addresses that they have on the public network.
    published = f"https://www.gstatic.com/firebasejs/{package['version']}"
    imports |= {f"{published}/firebase-{part}.js": f"/{version}/firebase-{part}.js" for part in _PARTS}
    return (
        "<!doctype html><meta charset=utf-8><title>A page of the tests</title>"
        f'<link rel=icon href="data:,"><script type=importmap>{json.dumps({"imports": imports})}</script><p>Hello.'
    )


def served(path: str) -> tuple[str, bytes] | None:
    """The page and the SDK's bundles at `/12/` and `/13/`; the modules of tests/node at `/node/`."""
    first, _, name = path.strip("/").partition("/")
    folder = {**SDKS, "node": NODE_MODULES.parent}.get(first)
    if folder is None or "/" in name:
        return None
    if first in SDKS and not name:
        return "text/html; charset=utf-8", document(first).encode()
    file = folder / name
    if file.suffix not in (".js", ".mjs") or not file.is_file():
        return None
    return mimetypes.types_map[".js"], file.read_bytes()


class PageServer:
    """Serves the page on a free port of loopback."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="pages", daemon=True
        )
        self._thread.start()
        self.origin = f"http://localhost:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = served(urlsplit(self.path).path)
        kind, body = found or ("text/plain", b"nothing is here")
        self.send_response(404 if found is None else 200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence: the tests' output is theirs."""


class Browser:
    """A user's browser that was never used before: storage of its own, any number of pages."""

    def __init__(self, chromium: Chromium, pages: PageServer) -> None:
        self._chromium = chromium
        self._pages = pages
        self._context: str = chromium.command("Target.createBrowserContext")["browserContextId"]

    def open(self, *, sdk: str = "12", origin: str | None = None, url: str | None = None) -> Page:
        """The page with the SDK of that version, shown by `origin`; or `url`."""
        asked = {"url": "about:blank", "browserContextId": self._context}
        target = self._chromium.command("Target.createTarget", asked)["targetId"]
        page = Page(self._chromium, target, [] if origin is None else [origin])
        page.go(url or f"{origin or self._pages.origin}/{sdk}/")
        return page

    def popup(self, part_of_url: str) -> Page:
        """The window that a page of this browser has opened there, once its document is whole."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for target in self._chromium.command("Target.getTargets")["targetInfos"]:
                if target.get("browserContextId") == self._context and part_of_url in target["url"]:
                    page = Page(self._chromium, target["targetId"], [])
                    # A new window shows an empty document first, which is complete too.
                    whole = "(part) => location.href.includes(part) && document.readyState === 'complete'"
                    page.until(whole, part_of_url)
                    return page
            time.sleep(0.02)
        raise BrowserError(f"no page has opened a window at `{part_of_url}`")

    def close(self) -> None:
        self._chromium.command("Target.disposeBrowserContext", {"browserContextId": self._context})


class Page:
    """One tab."""

    def __init__(self, chromium: Chromium, target: str, played: Sequence[str]) -> None:
        self.console: list[str] = []
        """What the page wrote there, and what the browser had to say about it."""
        self._chromium = chromium
        self._target = target
        self._loaded: Future[None] = Future()
        self._played = bool(played)
        self._answering: list[tuple[str, int, str, str]] = []
        self._answering_each: list[tuple[str, int, str, str]] = []
        attached = chromium.command("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str = attached["sessionId"]
        chromium.listen(self._session, self._heard)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")
        if played:
            self.command("Fetch.enable", patterns=[{"urlPattern": f"{origin}/*"} for origin in played])

    def command(self, method: str, *, timeout_seconds: float = PATIENCE_SECONDS, **parameters: Any) -> dict[str, Any]:
        """Any command of the browser's protocol, for what this class has no word for."""
        return self._chromium.command(method, parameters, self._session, timeout_seconds)

    def go(self, url: str) -> None:
        self._loaded = Future()
        failed = self.command("Page.navigate", url=url).get("errorText")
        if failed:
            raise BrowserError(f"`{url}` could not be opened: {failed}")
        self._loaded.result(PATIENCE_SECONDS)

    def reload(self) -> None:
        self._loaded = Future()
        self.command("Page.reload")
        self._loaded.result(PATIENCE_SECONDS)

    def run(self, function: str, *arguments: Any, timeout_seconds: float = PATIENCE_SECONDS) -> Any:
        given = ", ".join(json.dumps(argument) for argument in arguments)
        call = f"({function})({given})"
        wanted = {"expression": call, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        try:
            answer = self.command("Runtime.evaluate", timeout_seconds=timeout_seconds, **wanted)
        except TimeoutError:
            raise BrowserError("\n".join(["the page's function did not end", *self.console])) from None
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"]
            text = thrown.get("exception", {}).get("description") or json.dumps(thrown.get("exception"))
            raise BrowserError("\n".join([text, *self.console]))
        return answer["result"].get("value")

    def until(self, function: str, *arguments: Any) -> Any:
        """What `function` returns as soon as that is something, while the page goes where others lead it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        told = ""
        while time.monotonic() < deadline:
            try:
                found = self.run(function, *arguments)
            except BrowserError as error:  # the document that was asked is gone, and the next one is not there yet
                found, told = None, str(error)
            if found:
                return found
            time.sleep(0.02)
        raise BrowserError("\n".join([f"`{function}` came to nothing", told, *self.console]))

    def go_offline(self, *, offline: bool = True) -> None:
        self.command(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def answer_once(self, url: str, status: int, body: str, kind: str = "application/json") -> None:
        """The next request to an address that contains `url` is answered so, and never reaches a service."""
        self._answering.append((url, status, kind, body))
        self._pause_for_answers()

    def answer_each(self, url: str, status: int, body: str, kind: str = "application/json") -> None:
        """As `answer_once`, for every such request from now on."""
        self._answering_each.append((url, status, kind, body))
        self._pause_for_answers()

    def _pause_for_answers(self) -> None:
        wanted = [*self._answering, *self._answering_each]
        self.command("Fetch.enable", patterns=[{"urlPattern": f"*{one[0]}*"} for one in wanted])

    def close(self) -> None:
        self._chromium.command("Target.closeTarget", {"targetId": self._target})

    # -- in the browser's thread

    def _heard(self, event: str, said: dict[str, Any]) -> None:
        if event == "Page.loadEventFired" and not self._loaded.done():
            self._loaded.set_result(None)
        elif event == "Runtime.consoleAPICalled":
            words = [str(each.get("value", each.get("description", ""))) for each in said["args"]]
            self.console.append(f"{said['type']}: {' '.join(words)}")
        elif event == "Log.entryAdded":
            self.console.append(f"{said['entry']['level']}: {said['entry']['text']} {said['entry'].get('url', '')}")
        elif event == "Fetch.requestPaused":
            self._paused(said["requestId"], said["request"])

    def _paused(self, request: str, asked: dict[str, Any]) -> None:
        answers = [*self._answering, *self._answering_each]
        wanted = next((one for one in answers if one[0] in asked["url"]), None)
        if wanted is not None and asked["method"] == "OPTIONS":
            self._answer(request, 204, "text/plain", b"")
        elif wanted is not None:
            if wanted in self._answering:
                self._answering.remove(wanted)
            self._answer(request, wanted[1], wanted[2], wanted[3].encode())
        elif self._played:
            found = served(urlsplit(asked["url"]).path)
            self._answer(request, 404 if found is None else 200, *(found or ("text/plain", b"nothing is here")))
        else:
            self._chromium.post("Fetch.continueRequest", {"requestId": request}, self._session)

    def _answer(self, request: str, status: int, kind: str, body: bytes) -> None:
        answer = {
            "requestId": request,
            "responseCode": status,
            "responseHeaders": [
                {"name": "content-type", "value": kind},
                {"name": "access-control-allow-origin", "value": "*"},
                {"name": "access-control-allow-headers", "value": "*"},
            ],
            "body": base64.b64encode(body).decode(),
        }
        self._chromium.post("Fetch.fulfillRequest", answer, self._session)
