"""Functions in every supported Python that this machine has: installed from the registry, loaded, run, reloaded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.emulator.functions.running import CODEBASES, PROJECT, serving

pytestmark = pytest.mark.conformance
SUPPORTED = ("3.10", "3.11", "3.12", "3.13", "3.14")
VERSION_FUNCTION = """

@https_fn.on_request()
def tell_version(request):
    import sys
    return "%d.%d" % sys.version_info[:2]
"""


def interpreter(minor: str) -> str | None:
    """By its name on the path, or where pyenv keeps it."""
    candidates = [shutil.which(f"python{minor}")]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        candidates += map(str, sorted(Path(root, "versions").glob(f"{minor}.*/bin/python")))
    for candidate in filter(None, candidates):
        asked = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.startswith(f"Python {minor}."):
            return candidate
    return None


@pytest.mark.parametrize(
    ("minor", "sdk"), [*((minor, version("firebase-functions")) for minor in SUPPORTED), ("3.10", "0.1.1")]
)
async def test_functions_run_in_this_python(minor: str, sdk: str, tmp_path: Path) -> None:
    """Events, crashes, timeouts and a reload behave the same in every Python and with the oldest SDK."""
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"Python {minor} is not on this machine")
    source = tmp_path / "functions"
    shutil.copytree(CODEBASES / "plain", source)
    main = source / "main.py"
    main.write_text(main.read_text() + VERSION_FUNCTION)
    subprocess.run([python, "-m", "venv", str(source / "venv")], check=True)
    subprocess.run(
        [str(source / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         f"firebase-functions=={sdk}", "setuptools<81"],  # the oldest SDKs import pkg_resources
        check=True, stderr=subprocess.PIPE, timeout=300,
    )  # fmt: skip
    async with serving(source, tmp_path / "notes") as running:
        _, body = await running.request(f"/{PROJECT}/us-central1/tell_version")
        assert body.decode() == minor
        outcomes = {}
        for topic in ("news", "dropped", "crash", "hang", "loud"):
            event_id = running.publish(topic, "aGk=")
            await running.settled()
            (attempt,) = running.attempts(event_id)
            outcomes[topic] = attempt["outcome"]
        assert outcomes == {"news": "ok", "dropped": "failed", "crash": "crashed", "hang": "timeout", "loud": "ok"}
        main.write_text(main.read_text().replace('topic="news"', 'topic="olds"'))
        await running.until(lambda: " olds" in "".join(running.service.summary()))
        event_id = running.publish("olds", "aGk=")
        await running.settled()
        assert running.attempts(event_id)[0]["outcome"] == "ok"


def test_the_version_that_runs_this_is_among_them() -> None:
    """At least one of the supported versions is always tried."""
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in SUPPORTED
