"""Functions in threads of the test's own process: breakpoints, coverage, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulator.functions.running import serving

ROOT = Path(__file__).resolve().parents[4]
CODEBASE = """
import os
from firebase_admin import initialize_app
from firebase_functions import https_fn, params, pubsub_fn

initialize_app()
COLOUR = params.StringParam("COLOUR", default="green")
SEEN = []

@pubsub_fn.on_message_published(topic="news")
def news(event):
    breakpoint()
    SEEN.append((os.getpid(), event.data.message.data, COLOUR.value))

@https_fn.on_request()
def hello(request):
    return f"{os.environ.get('K_SERVICE')} {os.environ['GCLOUD_PROJECT']}"

@pubsub_fn.on_message_published(topic="broken")
def broken(event):
    raise ValueError("it never works")
"""


async def test_a_handler_runs_in_the_tests_own_process(
    write_codebase: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`breakpoint()` in a handler is the test's own, and what the handler changed is there to look at."""
    stops: list[str] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stops.append(sys._getframe(1).f_code.co_name))
    async with serving(write_codebase(CODEBASE), tmp_path / "out", in_process=True) as running:
        event = running.publish("news", "aGVsbG8=")
        await running.settled()
        assert running.attempts(event)[0]["outcome"] == "ok"
        assert stops == ["news"]
        assert [(os.getpid(), "aGVsbG8=", "green")] == sys.modules["main"].SEEN
        assert (await running.request("/demo-functions/us-central1/hello"))[1] == b"None demo-functions"
        failed = running.publish("broken")
        await running.settled()
        assert running.attempts(failed)[0]["outcome"] == "failed"


async def test_a_process_is_as_it_was_when_the_suite_has_gone(
    write_codebase: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables, modules, the search path and Firebase apps are put back, so that the next suite can load it again."""
    monkeypatch.setattr(sys, "breakpointhook", lambda: None)
    source = write_codebase(CODEBASE)
    before = (dict(os.environ), list(sys.path), sys.modules.get("main"))
    for _ in range(2):
        async with serving(source, tmp_path / "out", in_process=True) as running:
            assert not [line for line in running.service.summary() if "does not load" in line]
            running.publish("news")
            await running.settled()
        assert (dict(os.environ), list(sys.path), sys.modules.get("main")) == before


async def test_a_codebase_that_does_not_import_is_shown_with_its_own_traceback(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """The traceback begins in the codebase; the process is as it was, also then."""
    before = dict(os.environ)
    async with serving(write_codebase("import sys\nsys.exit(3)\n"), tmp_path / "out", in_process=True) as running:
        assert running.service.summary() == ["codebase default does not load: SystemExit: 3"]
        assert dict(os.environ) == before


PROJECT_TESTS = """
import urllib.request

def test_a_function_answers(firebase_functions_in_process):
    address = firebase_functions_in_process.address("functions")
    url = f"http://{address}/{firebase_functions_in_process.project_id}/us-central1/hello"
    with urllib.request.urlopen(url) as answer:
        assert answer.read().decode().endswith(firebase_functions_in_process.project_id)
    firebase_functions_in_process.settled()
"""


def test_coverage_counts_the_lines_of_handlers(write_codebase: Callable[[str], Path], tmp_path: Path) -> None:
    """With the fixture `firebase_functions_in_process`, a plain `coverage run -m pytest` sees which handlers ran."""
    source = write_codebase(CODEBASE)
    (tmp_path / "firebase.json").write_text(json.dumps({"functions": {"source": source.name}}))
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["afterimage_emulator.pytest_plugin"]\n')
    (tmp_path / "test_hello.py").write_text(PROJECT_TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    ended = subprocess.run(
        [sys.executable, "-m", "coverage", "run", f"--source={source}", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
    subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", "found.json"], cwd=tmp_path, check=True)
    found = json.loads((tmp_path / "found.json").read_text())["files"]["codebase/main.py"]
    text = CODEBASE.splitlines()
    executed = {text[number - 1].strip() for number in found["executed_lines"]}
    assert any("K_SERVICE" in line for line in executed)
    assert "breakpoint()" not in executed
