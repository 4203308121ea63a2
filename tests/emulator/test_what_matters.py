"""What a user has to be told: where production is near, who else may ask, what does not load, what SDKs swallow."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.commands.hub_client import chosen_project
from afterimage_emulator.configuration import Address, Configuration, load_configuration
from afterimage_emulator.configuration.reachable import exposure_warnings, in_production
from afterimage_emulator.functions.codebases.interpreters import remedy_for
from afterimage_emulator.suite import Suite
from afterimage_emulator.wire.observers import ToldOnce

ROOT = Path(__file__).parents[2]
DENIED = (
    "rules_version='2';service cloud.firestore{match /databases/{d}/documents{match /a/{b}{allow read: if false;}}}"
)


def execute(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "afterimage_emulator", "exec", "--config", str(folder / "firebase.json"), *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def configured(folder: Path, **sections: object) -> Path:
    ports = {name: {"port": 0} for name in ("hub", "firestore", "functions", "storage", "auth", "pubsub", "tasks")}
    (folder / "firebase.json").write_text(json.dumps({"emulators": ports} | sections))
    return folder


SHOW = f"{sys.executable} -c 'import os; print(os.environ.get(\"GOOGLE_APPLICATION_CREDENTIALS\"))'"


def test_production_is_named_and_no_key_of_the_users_reaches_it(tmp_path: Path) -> None:
    """With an id that may be a project's, what is not emulated is; credentials are handed over only when told to."""
    configured(tmp_path)
    common = ("--only", "firestore", "--project", "the-shop", SHOW)
    withheld = execute(tmp_path, *common, GOOGLE_APPLICATION_CREDENTIALS="/mine.json")
    assert "`the-shop` may be a real project, and not emulated here: Storage, Auth, Pub/Sub, Cloud" in withheld.stderr
    assert "/mine.json" not in withheld.stdout
    assert "local-service-account.json" in withheld.stdout
    allowed = execute(tmp_path, *common, "--allow-production", GOOGLE_APPLICATION_CREDENTIALS="/mine.json")
    assert "`--allow-production` lets it" in allowed.stderr
    assert allowed.stdout == "/mine.json\n"


def test_projects_that_cannot_be_real_are_not_warned_of(tmp_path: Path) -> None:
    """`demo-` is what the official tools take for no project; and what is all emulated reaches nothing."""
    demo = Configuration(root=tmp_path, project_id="demo-x", not_emulated=("database",))
    assert in_production(demo, ()) == ()
    every = ("firestore", "storage", "auth", "pubsub", "tasks", "eventarc")
    assert in_production(Configuration(root=tmp_path, project_id="shop"), every) == []
    named = Configuration(root=tmp_path, project_id="shop", not_emulated=("database",))
    assert in_production(named, every) == ["Realtime Database"]
    assert in_production(named, every[1:]) == ["Firestore", "Realtime Database"]


def test_aliases_of_firebaserc_are_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--project staging`, as the Firebase CLI takes it, here and in commands that ask a running suite."""
    configured(tmp_path)
    projects = {"default": "demo-one", "staging": "demo-two"}
    (tmp_path / ".firebaserc").write_text(json.dumps({"projects": projects}))
    found = [load_configuration(tmp_path / "firebase.json", project_id=name).project_id for name in (None, "staging")]
    assert found == ["demo-one", "demo-two"]
    assert load_configuration(tmp_path / "firebase.json", project_id="demo-3").project_id == "demo-3"
    monkeypatch.chdir(tmp_path)
    assert [chosen_project(name) for name in (None, "staging", "demo-3")] == ["demo-one", "demo-two", "demo-3"]
    (tmp_path / "firebase.json").unlink()
    assert chosen_project("demo-3") == "demo-3"


def test_listening_beyond_this_machine_is_said(tmp_path: Path) -> None:
    """What it opens, and for whom; addresses of this machine are not spoken of."""
    configured(tmp_path)
    ended = execute(tmp_path, "--only", "firestore", "--project", "demo-x", "--host", "0.0.0.0", "true")
    assert "firestore, hub listen on `0.0.0.0`: whoever reaches this machine there reads and changes" in ended.stderr
    local = {name: Address(host=name, port=1) for name in ("127.0.0.1", "::1", "localhost", "127.9.9.9")}
    assert exposure_warnings(local) == []


def test_a_codebase_that_does_not_load_fails_exec(tmp_path: Path) -> None:
    """The command would wait for what no function does: it is not run, and the missing package has its pip line."""
    folder = configured(tmp_path, functions={"source": "fn"})
    (tmp_path / "fn").mkdir()
    (tmp_path / "fn/main.py").write_text("import surely_not_there\n")
    (tmp_path / "fn/requirements.txt").write_text("surely-not-there\n")
    ended = execute(folder, "--only", "functions", "--project", "demo-x", "echo started")
    assert (ended.returncode, "started" in ended.stdout) == (1, False)
    assert "`echo started` is not run, since not every codebase loads" in ended.stderr
    assert f"`surely_not_there` is not installed for `{sys.executable}`" in ended.stderr
    assert f"run: {sys.executable} -m pip install -r {tmp_path}/fn/requirements.txt" in ended.stderr


def test_the_remedy_is_for_missing_packages_only(tmp_path: Path) -> None:
    """Other errors are left as they are; without requirements.txt the package itself is named."""
    assert remedy_for("KeyError: 'x'", Path("/p"), tmp_path) == ""
    told = remedy_for("Traceback\nModuleNotFoundError: No module named 'google.genai'", Path("/p"), tmp_path)
    assert told == "\n`google.genai` is not installed for `/p`, which runs it; run: /p -m pip install google"


def test_denials_are_counted_in_exec_and_shown_when_asked_for(tmp_path: Path) -> None:
    """Tests of rules are denied on purpose, by the thousand."""
    folder = configured(tmp_path, firestore={"rules": "firestore.rules"})
    (tmp_path / "firestore.rules").write_text(DENIED)
    (tmp_path / "ask.py").write_text(
        "import os, urllib.error, urllib.request\n"
        "for _ in range(3):\n"
        "    try:\n"
        "        urllib.request.urlopen('http://' + os.environ['FIRESTORE_EMULATOR_HOST'] +\n"
        "                               '/v1/projects/demo-x/databases/(default)/documents/a/b')\n"
        "    except urllib.error.HTTPError as error:\n"
        "        assert error.code == 403\n"
    )
    common = ("--only", "firestore", "--project", "demo-x", f"{sys.executable} {tmp_path}/ask.py")
    quiet = execute(folder, *common)
    assert quiet.returncode == 0, quiet.stderr
    assert "rules denied 3 requests; `--denials` shows why" in quiet.stderr
    assert "allow read" not in quiet.stderr
    shown = execute(folder, *common, "--denials")
    assert shown.stderr.count("denied: get") == 3, shown.stderr
    assert "shows why" not in shown.stderr


@pytest.fixture
def running(tmp_path: Path, project_id: str) -> Iterator[BackgroundSuite]:
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=("firestore", "pubsub"), free_ports=True)) as suite:
        yield suite


def test_what_sdks_swallow_shows_once_in_the_console(
    running: BackgroundSuite, caplog: pytest.LogCaptureFixture
) -> None:
    """Addresses that nothing answers, what is not served, faults of a service: with the way out, each one time."""

    def ask(service: str, path: str, **headers: str) -> int:
        url = f"http://{running.address(service)}{path}"
        request = urllib.request.Request(url, b"{}", {"authorization": "Bearer owner", **headers}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    root = f"/v1/projects/{running.project_id}"
    with caplog.at_level(logging.WARNING, logger="afterimage_emulator.answers"):
        assert [ask("firestore", "/v2/none/of/these") for _ in range(2)] == [404, 404]
        listen = f"{root}/databases/(default)/documents:listen"
        assert [ask("firestore", listen) for _ in range(2)] == [501, 501]
        assert ask("firestore", f"{root}/databases/(default)/documents:batchGet") == 200
    told = [record.getMessage() for record in caplog.records if record.name.endswith(".answers")]
    assert len(told) == 2, told
    assert told[0].startswith("nothing here answers `POST /v2/none/of/these`; look at the port")
    assert told[1].startswith(f"firestore answered 501 to `POST {listen}`: ")
    assert told[1].endswith("; `afterimage-emulator capabilities` lists what is served")


def test_a_flood_of_wrong_addresses_does_not_flood_the_console(caplog: pytest.LogCaptureFixture) -> None:
    """So many different ones are told, and no more."""
    told = ToldOnce()
    with caplog.at_level(logging.WARNING, logger="afterimage_emulator.answers"):
        for number in range(2_000):
            told.tell(number, f"number {number}")
            told.tell(number, f"number {number}")
    assert len(caplog.records) == 200
