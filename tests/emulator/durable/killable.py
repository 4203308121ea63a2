"""A suite in a process of its own over one folder of data, to be killed and started again."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


class Killable:
    """A suite over one folder of data, which is asked for one of its services."""

    def __init__(self, folder: Path, service: str = "firestore", *, also: Sequence[str] = ()) -> None:
        ports = {name: {"port": 0} for name in ("hub", service, "ui", *also)}
        (folder / "firebase.json").write_text(json.dumps({"emulators": ports}))
        services = ",".join((service, *also))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterimage_emulator", "start", "--only", services, "--project", "demo-kills",
             "--config", str(folder / "firebase.json")],
            cwd=ROOT, env={**os.environ, "AFTERIMAGE_DATA": str(folder / "data")}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.told = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told += line
            if "serving; press Ctrl-C" in line:
                break
        else:
            raise AssertionError(f"the suite did not start: {self.told}")
        self.address = self.address_of(service)
        self._draining = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._draining.start()

    def address_of(self, service: str) -> str:
        found = re.search(rf"{service} +(127\.0\.0\.1:\d+)", self.told)
        assert found is not None, self.told
        return found[1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            return request(connection, method, path, body)
        finally:
            connection.close()


def request(connection: http.client.HTTPConnection, method: str, path: str, body: object) -> tuple[int, Any]:
    headers = {"authorization": "Bearer owner", "content-type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")
