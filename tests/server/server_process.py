"""A real server of one machine in a process of its own, as an operator starts, kills and stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from afterimage_client.database import StoreKey
from afterimage_server.listening import Listener
from afterimage_server.local_tokens import LocalTokens
from afterimage_server.machine import Machine
from afterimage_server.store.machine_folder import open_folder
from tests.waiting import waited_for

SECONDS = 60.0


def environment(**variables: str) -> dict[str, str]:
    """What a process needs to find the packages, and nothing of this one's own settings."""
    paths = os.pathsep.join(path for path in sys.path if path)
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {**kept, "PYTHONPATH": paths, "API_APP_CHECK": "off", **variables}


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "afterimage_server", *arguments],
        env=environment(**variables), capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@contextmanager
def listening_to(machine: Machine) -> Iterator[str]:
    """A machine's own server in this process; its address."""
    listener = Listener(machine.application(), "127.0.0.1", 0, threads=4, most_body_bytes=1_000_000)
    machine.address.base = listener.base
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    yield listener.base
    listener.stop()
    thread.join()


@dataclass
class ServerProcess:
    """One server over one folder; started again after it was killed."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    key: StoreKey | None = None
    process: subprocess.Popen[str] | None = None
    address: str = ""
    said: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=SECONDS, trust_env=False))

    def start(self) -> ServerProcess:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterimage_server", "--folder", str(self.folder), "serve", "--port", "0"],
            env=environment(CACHE_PATH=str(self.folder / "cache"), **self.variables),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("Afterimage serves "):
                self.address = line.split()[2]
                return self
        raise AssertionError("".join(self.said))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self) -> int:
        """As systemd stops it; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate(timeout=SECONDS)
        self.said += rest.splitlines(keepends=True)
        return self.process.returncode

    def token(self, user: str, *, is_admin: bool = False) -> str:
        """As the command makes it, beside the server that serves the folder."""
        if user not in self.tokens:
            folder = open_folder(self.folder, self.key)
            self.tokens[user] = LocalTokens(folder.documents).make(user, life=timedelta(days=1), is_admin=is_admin)
            folder.close()
        return self.tokens[user]

    def call(self, method: str, path: str, *, user: str = "ana", expect: int = 200, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token(user)}", **options.pop("headers", {})}
        answer = self.http.request(method, f"{self.address}{path}", headers=headers, **options)
        assert answer.status_code == expect, answer.text
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.json() if is_json else answer.text

    def until(self, look: Callable[[], Any]) -> Any:
        """Looks until there is something to see; the server works by itself meanwhile."""
        return waited_for(look, seconds=SECONDS)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.said if line.startswith("{")]
