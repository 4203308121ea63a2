"""Hosting as the Firebase CLI serves it: the answers on record are still those that its own server gives."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.hosting.patterns.test_globs import CASES
from tests.emulator.hosting.running_site import write_files
from tests.emulator.hosting.test_routing import RECORDED

pytestmark = pytest.mark.conformance

HERE = Path(__file__).parent
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def test_globs_on_record_are_the_clis(node_modules: Path) -> None:
    """Its library covers the same paths by the same globs."""
    asked = json.dumps([[glob, path] for glob, path, _ in CASES])
    done = subprocess.run(
        ["node", str(HERE / "hosting_globs.mjs"), str(node_modules)],
        input=asked, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = [(glob, path, covered) for (glob, path, _), covered in zip(CASES, json.loads(done.stdout), strict=True)]
    assert found == [tuple(case) for case in CASES]


@pytest.mark.parametrize(
    "site", RECORDED["sites"], ids=lambda site: "-".join(sorted(set(site["hosting"]) - {"public"}))
)
def test_answers_on_record_are_the_clis(site: dict[str, Any], node_modules: Path, tmp_path: Path) -> None:
    """Its server answers the same paths of the same site in the same way."""
    write_files(tmp_path, {f"public/{name}": content for name, content in RECORDED["files"].items()})
    with official(site["hosting"], node_modules, tmp_path) as port:
        wrong = [case for case in site["answers"] if ask(port, case) != case["answer"]]
    assert wrong == []


@contextmanager
def official(hosting: dict[str, Any], node_modules: Path, folder: Path) -> Iterator[int]:
    with subprocess.Popen(
        ["node", str(HERE / "hosting_site.mjs"), str(node_modules), str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(hosting))
        process.stdin.close()
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def ask(port: int, case: dict[str, Any]) -> list[Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", case["path"], headers=case.get("headers", {}))
        answer = connection.getresponse()
        body = answer.read().decode()
        own = {name.lower(): value for name, value in answer.getheaders() if name.lower().startswith("x-")}
        shown = "" if answer.status in REDIRECTS or "Cannot GET" in body else body
        return [answer.status, answer.getheader("location"), shown, own]
    finally:
        connection.close()
