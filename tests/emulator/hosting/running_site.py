"""A site for tests: a folder with a firebase.json, a suite that serves it, and requests sent as they are written."""

from __future__ import annotations

import http.client
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.suite import Suite


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Sequence[str] = ()

    @property
    def text(self) -> str:
        return self.body.decode()


class NoBody:
    """The body of a request that has none."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece

    async def read(self, limit_bytes: int = 0) -> bytes:
        raise StatusError(Code.CANCELLED, "nobody reads this")


@dataclass(frozen=True, slots=True)
class Site:
    suite: BackgroundSuite
    folder: Path

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
        service: str = "hosting",
    ) -> Answer:
        """The path goes out as it is: nothing is tidied on the way."""
        host, _, port = self.suite.address(service).rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read(), answer.headers.get_all("set-cookie") or ())
        finally:
            connection.close()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        write_files(self.folder, files)

    def configure(self, hosting: Any, **more: Any) -> None:
        (self.folder / "firebase.json").write_text(json.dumps({"hosting": hosting, **more}))


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


@contextmanager
def serving(
    folder: Path,
    hosting: Any,
    project_id: str,
    files: Mapping[str, str | bytes] | None = None,
    *,
    only: Sequence[str] | None = ("hosting",),
    **more: Any,
) -> Iterator[Site]:
    """The suite on free ports; `more` are further keys of firebase.json."""
    write_files(folder, files or {})
    (folder / "firebase.json").write_text(json.dumps({"hosting": hosting, **more}))
    configuration = load_configuration(folder / "firebase.json", project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=only, free_ports=True)) as running:
        yield Site(running, folder)
