"""The suite installs and serves in every supported Python, and with the oldest packages that it says it takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conformance.test_functions_interpreters import interpreter

pytestmark = pytest.mark.conformance
ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "emulator/pyproject.toml").read_text())["project"]
PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
EVERY_SERVICE_ANSWERS = """
import json, os, urllib.request
def ask(url, body, method="POST", **headers):
    headers = {"content-type": "application/json", **headers}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    return json.loads(urllib.request.urlopen(request).read())
admin = {"authorization": "Bearer owner"}
project = os.environ["GCLOUD_PROJECT"]
root = f"http://{os.environ['FIRESTORE_EMULATOR_HOST']}/v1/projects/{project}/databases/(default)/documents"
card = b'{"fields": {"n": {"integerValue": "1"}}}'
assert ask(f"{root}/cards?documentId=one", card, **admin)["name"].endswith("cards/one")
bucket = f"{os.environ['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{project}.firebasestorage.app/o"
assert ask(f"{bucket}?uploadType=media&name=a", b"hello", **admin)["size"] == "5"
accounts = f"http://{os.environ['FIREBASE_AUTH_EMULATOR_HOST']}/identitytoolkit.googleapis.com/v1/accounts:signUp?key=k"
assert ask(accounts, b"{}")["idToken"]
topics = f"http://{os.environ['PUBSUB_EMULATOR_HOST']}/v1/projects/{project}/topics"
assert ask(f"{topics}/news", b"{}", method="PUT")["name"].endswith("/news")
print("every service answers")
"""


def installed(python: str, folder: Path, *pins: str) -> Path:
    """The suite in an environment of its own."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    subprocess.run(
        [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", str(ROOT / "emulator"), *pins],
        check=True, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    return folder / "bin"


def serves(programs: Path, folder: Path) -> None:
    ports = {name: {"port": 0} for name in ("hub", "firestore", "storage", "auth", "pubsub", "tasks", "eventarc")}
    (folder / "firebase.json").write_text(json.dumps({"emulators": ports}))
    (folder / "ask.py").write_text(EVERY_SERVICE_ANSWERS)
    ended = subprocess.run(
        [str(programs / "afterimage-emulator"), "exec", "--project", "demo-installed", f"{programs / 'python'} ask.py"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.stdout == "every service answers\n", ended.stderr


@pytest.mark.parametrize("minor", PYTHONS)
def test_the_suite_serves_in_this_python(minor: str, tmp_path: Path) -> None:
    """Every version that the package claims, as far as this machine has it."""
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"Python {minor} is not on this machine")
    serves(installed(python, tmp_path / "venv"), tmp_path)


def test_the_oldest_packages_that_it_takes_will_do(tmp_path: Path) -> None:
    """Each lower bound is a version that works, on the oldest Python."""
    python = interpreter(PYTHONS[0]) or sys.executable
    oldest = [needed.replace(">=", "==") for needed in PROJECT["dependencies"]]
    serves(installed(python, tmp_path / "venv", *oldest), tmp_path)
