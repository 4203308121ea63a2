"""The Firebase CLI itself: it finds firebase.json valid, loads the functions, and serves them."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore, storage
from PIL import Image

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.functions.codebases.manifest import EventTrigger, FunctionSpec, ScheduleTrigger

pytestmark = pytest.mark.conformance

ROOT = Path(__file__).resolve().parents[2]
RUN_TIMEOUT_SECONDS = 240
CALLED = ("media_finalized", "ledger_object_finalized")
NAME = "users/cli-user/ai_generated/images/dragon_portrait.png"
# Everything the CLI would open here; those with fixed ports of their own would meet what runs on this machine.
EMULATORS = ("functions", "auth", "hub", "logging", "eventarc", "tasks")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What the CLI said on the terminal, what it loaded, and what the functions answered."""

    output: str
    triggers: dict[str, dict[str, Any]]
    answers: dict[str, tuple[int, str]]


@pytest.fixture(scope="module")
def visit(suite: BackgroundSuite, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """One run of `firebase emulators:exec` on a copy of the project; Firestore and Storage are the local suite's."""
    project = tmp_path_factory.mktemp("project")
    ports = _free_ports()
    _copy_project(project, suite, ports)
    _upload_and_describe(suite, project / "event.json")
    visitor = [sys.executable, str(ROOT / "tests/conformance/firebase_cli_visitor.py"),
               f"127.0.0.1:{ports['functions']}", str(project), *CALLED]  # fmt: skip
    done = subprocess.run(
        ["node", str(node_modules / "firebase-tools/lib/bin/firebase.js"), "emulators:exec",
         "--project", suite.project_id, "--only", "functions,auth", shlex.join(visitor)],
        cwd=project, env=_environment(suite, project), timeout=RUN_TIMEOUT_SECONDS, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    loaded = json.loads((project / "backends.json").read_text())["backends"]
    return Visit(
        output=done.stdout,
        triggers={trigger["name"]: trigger for backend in loaded for trigger in backend["functionTriggers"]},
        answers=json.loads((project / "answers.json").read_text()),
    )


def _free_ports() -> dict[str, int]:
    with ExitStack() as open_sockets:
        taken = {name: open_sockets.enter_context(socket.socket()) for name in EMULATORS}
        for opened in taken.values():
            opened.bind(("127.0.0.1", 0))
        return {name: opened.getsockname()[1] for name, opened in taken.items()}


def _copy_project(project: Path, suite: BackgroundSuite, ports: dict[str, int]) -> None:
    shutil.copytree(ROOT / "functions", project / "functions", ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    # Where the CLI expects the interpreter; a real checkout makes it with `python3.11 -m venv functions/venv`.
    (project / "functions/venv").symlink_to(sys.prefix)
    (project / f"functions/.env.{suite.project_id}").write_text(
        f"ORIGINALS_BUCKET={suite.default_bucket}\nDERIVED_BUCKET={suite.project_id}-derived\n"
    )
    for name in ("firestore.rules", "storage.rules", "firestore.indexes.json"):
        shutil.copy(ROOT / name, project)
    configuration = json.loads((ROOT / "firebase.json").read_text())
    configuration["emulators"] = {name: {"host": "127.0.0.1", "port": port} for name, port in ports.items()}
    configuration["emulators"]["ui"] = {"enabled": False}
    (project / "firebase.json").write_text(json.dumps(configuration))


def _environment(suite: BackgroundSuite, project: Path) -> dict[str, str]:
    # The functions that the CLI starts inherit these, and so find the suite's Firestore and Storage. The CLI's own hub
    # and Auth come first where it sets them; a folder for temporary files of its own keeps their locators apart.
    (project / "tmp").mkdir()
    kept = {name: value for name, value in suite.environment().items() if "AUTH" not in name and "HUB" not in name}
    own = {"TMPDIR": str(project / "tmp"), "XDG_CONFIG_HOME": str(project / "tmp"), "CI": "1"}
    return os.environ | kept | own


def _clients(suite: BackgroundSuite, patch: pytest.MonkeyPatch) -> tuple[firestore.Client, storage.Client]:
    for name, value in suite.environment().items():
        patch.setenv(name, value)
    return firestore.Client(project=suite.project_id), storage.Client(project=suite.project_id)


def _upload_and_describe(suite: BackgroundSuite, file: Path) -> None:
    """Stores a picture, and writes the event that the CLI's Storage emulator would send about it."""
    picture = file.with_name("dragon.png")
    Image.new("RGB", (640, 400), (200, 80, 20)).save(picture)
    with pytest.MonkeyPatch.context() as patch:
        _, client = _clients(suite, patch)
        client.create_bucket(f"{suite.project_id}-derived")
        blob = client.bucket(suite.default_bucket).blob(NAME)
        blob.upload_from_filename(str(picture), content_type="image/png")
        blob.reload()
    event = {
        "specversion": "1.0",
        "id": "from-the-cli-1",
        "type": "google.cloud.storage.object.v1.finalized",
        "source": f"//storage.googleapis.com/projects/_/buckets/{blob.bucket.name}/objects/{NAME}",
        "time": blob.updated.isoformat(),
        "data": blob._properties,
    }
    file.write_text(json.dumps(event))


def _declared() -> set[str]:
    """The names that functions/main.py binds: each of them is a function."""
    tree = ast.parse((ROOT / "functions/main.py").read_text())
    return {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}


def test_firebase_json_fits_the_schema_of_the_cli(node_modules: Path, tmp_path: Path) -> None:
    """A misspelt key in firebase.json would be ignored by the CLI in silence; here it is found."""

    def misfits(file: Path) -> list[str]:
        script = ROOT / "tests/conformance/firebase_schema.mjs"
        return subprocess.run(
            ["node", str(script), str(node_modules), str(file)], check=True, capture_output=True, text=True, timeout=60
        ).stdout.splitlines()

    assert misfits(ROOT / "firebase.json") == []
    misspelt = json.loads((ROOT / "firebase.json").read_text())
    misspelt["firestore"]["rulez"] = misspelt["firestore"].pop("rules")
    (tmp_path / "firebase.json").write_text(json.dumps(misspelt))
    assert misfits(tmp_path / "firebase.json")


def test_a_deploy_of_the_indexes_sets_the_exemptions_and_the_lifetimes(node_modules: Path) -> None:
    """The CLI's own code finds the file valid and would patch each field: no index, and where it says so an expiry."""
    done = subprocess.run(
        ["node", str(ROOT / "tests/conformance/firebase_indexes.mjs"), str(node_modules),
         str(ROOT / "firestore.indexes.json")],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    patched = {
        "/".join(patch["url"].split("/collectionGroups/")[1].split("/fields/")): patch["body"]
        for patch in json.loads(done.stdout.splitlines()[-1])
    }
    overrides = json.loads((ROOT / "firestore.indexes.json").read_text())["fieldOverrides"]
    assert set(patched) == {f"{entry['collectionGroup']}/{entry['fieldPath']}" for entry in overrides}
    assert all(body["indexConfig"] == {"indexes": []} for body in patched.values())
    lifetimes = {place for place, body in patched.items() if "ttlConfig" in body}
    assert {"_events/expires_at", "_jobs/expires_at"} <= lifetimes
    assert all(place.endswith("/expires_at") for place in lifetimes)


def test_the_cli_loads_every_function(visit: Visit) -> None:
    """Its discovery finds the functions of main.py, all of them, and complains of none."""
    assert _declared()
    assert set(visit.triggers) == _declared()
    assert "Failed to load" not in visit.output, visit.output
    assert "Traceback" not in visit.output, visit.output


def _as_the_cli_reads(trigger: dict[str, Any]) -> dict[str, Any]:
    event = trigger["eventTrigger"]
    schedule = trigger.get("schedule")
    started_by: dict[str, Any] = (
        {"schedule": schedule["schedule"]}
        if schedule
        else _event(event["eventType"], event["eventFilters"] | event.get("eventFilterPathPatterns", {}))
    )
    return started_by | {
        "region": trigger["region"], "memory": trigger["availableMemoryMb"], "timeout": trigger["timeoutSeconds"]
    }  # fmt: skip


def _as_the_suite_reads(spec: FunctionSpec) -> dict[str, Any]:
    if isinstance(spec.trigger, ScheduleTrigger):
        started_by: dict[str, Any] = {"schedule": spec.trigger.schedule}
    else:
        assert isinstance(spec.trigger, EventTrigger)
        started_by = _event(spec.trigger.event_type, {**spec.trigger.filters, **spec.trigger.patterns})
    [region] = spec.regions
    return started_by | {"region": region, "memory": spec.memory_mib, "timeout": spec.timeout_seconds}


def _event(event_type: str, filters: Mapping[str, str]) -> dict[str, Any]:
    # One says a topic's name, the other its whole path.
    return {"event": event_type, "filters": {name: value.rpartition("/topics/")[2] for name, value in filters.items()}}


def test_the_cli_reads_of_each_function_what_the_suite_reads(visit: Visit, functions_suite: BackgroundSuite) -> None:
    """What starts a function, where, with how much memory and for how long: both read the same of all of them."""
    specs = functions_suite.suite.services["functions"].functions()
    by_the_suite = {name: _as_the_suite_reads(spec) for name, spec in specs.items()}
    assert {name: _as_the_cli_reads(trigger) for name, trigger in visit.triggers.items()} == by_the_suite


def test_functions_served_by_the_cli_do_their_work(visit: Visit, suite: BackgroundSuite) -> None:
    """An event on the CLI's own route makes thumbnails, a record and an entry in the books, in the suite's stores."""
    assert set(visit.answers) == set(CALLED)
    for name, (status, body) in visit.answers.items():
        assert status == 200, f"{name}: {status} {body}\n{visit.output}"
    with pytest.MonkeyPatch.context() as patch:
        documents, files = _clients(suite, patch)
        [record] = documents.collection("users/cli-user/objects").get()
        assert record.get("status") == "ready", record.to_dict()
        derived = {blob.name for blob in files.list_blobs(f"{suite.project_id}-derived")}
        assert {variant["path"] for variant in record.get("variants")} == derived
        books = documents.document("usage/cli-user").get()
        assert books.get("storage.objects"), books.to_dict()


def test_what_is_uploaded_is_the_code_alone_and_loads_by_itself(node_modules: Path, tmp_path: Path) -> None:
    """No interpreter, cache or local secret goes along, and the archive needs nothing of what stays behind."""
    project, archive = tmp_path / "project", tmp_path / "functions.zip"
    shutil.copytree(ROOT / "functions", project / "functions", ignore=shutil.ignore_patterns("venv", ".venv"))
    shutil.copy(ROOT / "firebase.json", project)
    for litter in (
        "venv/bin/python",
        ".mypy_cache/x.json",
        "afterimage/__pycache__/x.pyc",
        ".secret.local",
        ".env.local",
    ):
        (project / "functions" / litter).parent.mkdir(parents=True, exist_ok=True)
        (project / "functions" / litter).touch()
    subprocess.run(
        ["node", str(ROOT / "tests/conformance/firebase_package.mjs"), str(node_modules), str(project), str(archive)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "there")
        names = set(packed.namelist())
    assert {name for name in names if not name.startswith("afterimage/")} == {
        ".env", "constraints.txt", "main.py", "requirements.txt"
    }  # fmt: skip
    assert all(name.endswith((".py", "/")) for name in names if name.startswith("afterimage/")), names
    loaded = subprocess.run(
        [sys.executable, "-B", "-I", "-c", "import sys; sys.path.insert(0, '.'); import main; print(len(vars(main)))"],
        cwd=tmp_path / "there", env={"GCLOUD_PROJECT": "demo-there"}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr


def _sent(node_modules: Path, folder: Path, **variables: str) -> dict[str, dict[str, Any]]:
    """The request that a deploy would make for each function, with these variables in `.env.PROJECT`."""
    script = (
        "import json, yaml; from firebase_functions.private import serving; "
        "print(json.dumps(yaml.safe_load(serving.functions_as_yaml(serving.get_functions()))))"
    )
    manifest = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=ROOT / "functions", check=True, capture_output=True, text=True,
        env=os.environ | {"GCLOUD_PROJECT": "demo-resolve"} | variables, timeout=60,
    ).stdout  # fmt: skip
    lines = [line for line in (ROOT / "functions/.env").read_text().splitlines() if "=" in line and line[0] != "#"]
    parameters = dict(line.split("=", 1) for line in lines) | {"ORIGINALS_BUCKET": "b", "DERIVED_BUCKET": "d"}
    files = [folder / "manifest.json", folder / "parameters.json"]
    files[0].write_text(manifest)
    files[1].write_text(json.dumps(parameters | variables))
    resolved = subprocess.run(
        ["node", str(ROOT / "tests/conformance/firebase_resolve.mjs"), str(node_modules), *map(str, files)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    sent: dict[str, dict[str, Any]] = json.loads(resolved.stdout)
    assert set(sent) == _declared()
    return sent


def test_what_is_sent_to_the_platform_asks_for_retries_and_ceilings(node_modules: Path, tmp_path: Path) -> None:
    """The request that a deploy would make says of every event that it is retried, and caps every function."""
    sent = _sent(node_modules, tmp_path)
    for name, function in sent.items():
        assert function["serviceConfig"]["maxInstanceCount"], f"{name} has no ceiling"
        assert function["serviceConfig"].get("serviceAccountEmail") is None, f"{name} is not the default account's"
        if "eventTrigger" in function:
            assert function["eventTrigger"]["retryPolicy"] == "RETRY_POLICY_RETRY", name
    schedules = {"nightly_sweep", "generations_look", "ledger_roll_up", "ledger_nightly", "artifacts_nightly"}
    schedules |= {"nightly_publications", "cdn_minutely", "cdn_usage", "drive_minutely"}
    assert {name for name in sent if "eventTrigger" not in sent[name]} == schedules | {"api", "assets", "generate"}


def test_what_is_sent_names_the_account_that_the_environment_names(node_modules: Path, tmp_path: Path) -> None:
    """For the function and for its trigger, which calls it as the same account."""
    sent = _sent(node_modules, tmp_path, ERASE_ACCOUNT="eraser", SCHEDULES_ACCOUNT="planner")
    named = {
        name: function["serviceConfig"]["serviceAccountEmail"]
        for name, function in sent.items()
        if function["serviceConfig"].get("serviceAccountEmail")
    }
    planner = "planner@demo-resolve.iam.gserviceaccount.com"
    eraser = "eraser@demo-resolve.iam.gserviceaccount.com"
    erasing = ("user_erase", "generations_expire")
    planning = ("nightly_sweep", "generations_look", "ledger_nightly", "artifacts_nightly", "nightly_publications")
    assert named == {**dict.fromkeys(erasing, eraser), **dict.fromkeys(planning, planner)}
    assert sent["user_erase"]["eventTrigger"]["serviceAccountEmail"] == eraser


def test_the_cli_reads_the_environment_before_it_loads_the_functions(node_modules: Path) -> None:
    """The accounts are decided while the code is loaded: the CLI must have put `.env` into the environment by then."""
    source = (node_modules / "firebase-tools/lib/deploy/functions/prepare.js").read_text()
    [loaded] = re.findall(r"discoverBuild\(\w+, \{([^}]*)\}", source)
    assert "...userEnvs" in loaded
