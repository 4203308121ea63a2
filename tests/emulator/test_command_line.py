"""The command line, as its users meet it: in processes of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_emulator.hub.locator import locator_path

ROOT = Path(__file__).resolve().parents[2]


def project(folder: Path, **sections: object) -> Path:
    file = folder / "firebase.json"
    file.write_text(json.dumps({"emulators": {"hub": {"port": 0}, "firestore": {"port": 0}}} | sections))
    return file


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "afterimage_emulator", *arguments],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_help_teaches() -> None:
    """The first screen shows what to type."""
    shown = run("--help").stdout
    for command in ("start", "exec 'pytest tests'", "events --failed", "rules test"):
        assert f"afterimage-emulator {command}" in shown


def test_a_start_imports_nothing_that_only_later_work_needs() -> None:
    """Each of these takes a hundredth of a start or more: the first who needs one imports it."""
    started = ("commands.command_line", "commands.serve", "suite", "firestore.service")
    later = ("urllib.request", "http.client", "email.utils", "uuid", "difflib", "re2", "cryptography", "yaml")
    program = "; ".join(f"import afterimage_emulator.{name}" for name in started)
    shown = subprocess.run(
        [sys.executable, "-c", f"{program}; import sys; print(*[name for name in {later} if name in sys.modules])"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert shown.stdout.split() == []


def test_exec_sets_the_sdks_variables_and_passes_the_exit_code_on(tmp_path: Path, project_id: str) -> None:
    """The command sees what the official `emulators:exec` would show it, and its failure is the run's failure."""
    file = project(tmp_path)
    ended = run(
        "exec", "--only", "firestore", "--project", project_id, "--config", str(file),
        "echo $GCLOUD_PROJECT $FIRESTORE_EMULATOR_HOST $FIREBASE_CONFIG $FIREBASE_EMULATOR_HUB; exit 7",
    )  # fmt: skip
    assert ended.returncode == 7, ended.stderr
    shown_project, firestore, config, hub = ended.stdout.split()
    assert shown_project == project_id
    assert json.loads(config)["storageBucket"] == f"{project_id}.firebasestorage.app"
    assert firestore.startswith("127.0.0.1:")
    assert hub.startswith("127.0.0.1:")
    assert not locator_path(project_id).exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"indexes": [', "Expecting value: line 1 column 14"),
        ("[]", "`fieldOverrides` or `indexes` is not of the form that deploys take"),
        ('{"indexes": [{"collectionGroup": "a", "fields": [{"fieldPath": "a..b"}]}]}', 'Invalid property path "a..b"'),
    ],
)
def test_broken_indexes_are_named_at_start(tmp_path: Path, content: str, says: str) -> None:
    """A file that could not be deployed stops the start, by its name and what is wrong with it."""
    indexes = tmp_path / "firestore.indexes.json"
    indexes.write_text(content)
    file = project(tmp_path, firestore={"indexes": indexes.name})
    ended = run("exec", "--only", "firestore", "--project", "demo-indexes", "--config", str(file), "true")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"cannot start: `{indexes}` cannot be used: ")
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_signal_stops_everything_and_leaves_no_process(tmp_path: Path, project_id: str) -> None:
    """Ctrl-C ends the suite and the command it runs, cleanly."""
    file = project(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "afterimage_emulator", "start", "--only", "firestore", "--project", project_id,
         "--config", str(file), "--run", "echo child $$; exec sleep 600"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        child = int(process.stdout.readline().split()[1])
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=20)
    assert process.returncode == 0, shown
    assert "stopping" in shown
    assert "Traceback" not in shown
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_port_in_use_is_named_with_the_process_that_holds_it(tmp_path: Path, project_id: str) -> None:
    """The message names port, holder and the way out, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        file = project(tmp_path, emulators={"firestore": {"port": port}, "hub": {"port": 0}})
        ended = run("exec", "--only", "firestore", "--project", project_id, "--config", str(file), "true")
    assert ended.returncode == 1
    assert f"port {port} for firestore is taken by process {os.getpid()}" in ended.stderr
    assert "`emulators.firestore.port`" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "no firebase.json in"), ("{", "not JSON"), ('{"functions": {"source": "gone"}}', "names `gone`")],
)
def test_a_missing_or_broken_configuration_is_named(tmp_path: Path, content: str | None, named: str) -> None:
    """No traceback: the file, the place, and what to do."""
    if content is not None:
        (tmp_path / "firebase.json").write_text(content)
    ended = run("start", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot start: ")
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    """`--only` lists what it takes."""
    ended = run("start", "--only", "firestore,databse", "--config", str(project(tmp_path)))
    assert ended.returncode == 1
    assert "`databse` is no service; --only takes firestore, storage, auth, pubsub, functions, tasks" in ended.stderr


def test_events_says_where_no_suite_is_running(project_id: str) -> None:
    """Asking for the events of nothing is explained."""
    ended = run("events", "--project", project_id)
    assert ended.returncode == 1
    assert f"no suite of project `{project_id}` is running" in ended.stderr


ASK = """
import os, sys, urllib.request
method, url, *body = (os.path.expandvars(argument) for argument in sys.argv[1:])
headers = {"authorization": "Bearer owner", "content-type": "application/json"}
request = urllib.request.Request(url, body[0].encode() if body else None, headers, method=method)
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""
DOCUMENTS = "http://$FIRESTORE_EMULATOR_HOST/v1/projects/$GCLOUD_PROJECT/databases/(default)/documents"


def ask(folder: Path, *arguments: str) -> str:
    """A command that asks a service and fails where it does not answer well; variables are expanded inside it."""
    program = folder / "ask.py"
    program.write_text(ASK)
    return shlex.join([sys.executable, str(program), *arguments])


def test_what_one_run_exports_the_next_imports(tmp_path: Path, project_id: str) -> None:
    """`--export-on-exit` and `--import` carry documents and files from one run to the next."""
    file = project(tmp_path, emulators={name: {"port": 0} for name in ("hub", "firestore", "storage")})
    common = ("--only", "firestore,storage", "--project", project_id, "--config", str(file))
    export = str(tmp_path / "export")
    bucket = "$STORAGE_EMULATOR_HOST/%sstorage/v1/b/bucket/o"
    write = ask(tmp_path, "POST", f"{DOCUMENTS}/cards?documentId=one", '{"fields": {"name": {"stringValue": "kept"}}}')
    upload = ask(tmp_path, "POST", bucket % "upload/" + "?uploadType=media&name=a/b.txt", "hello")
    first = run("exec", *common, "--export-on-exit", export, f"{write} && {upload}")
    assert first.returncode == 0, first.stderr
    read = ask(tmp_path, "GET", f"{DOCUMENTS}/cards/one")
    download = ask(tmp_path, "GET", bucket % "" + "/a%2Fb.txt?alt=media")
    second = run("exec", *common, "--import", export, f"{read} && {download}")
    assert second.returncode == 0, second.stderr
    assert '"kept"' in second.stdout
    assert second.stdout.endswith("hello\n")


def test_one_folder_is_imported_from_and_exported_to_from_the_first_run_on(tmp_path: Path, project_id: str) -> None:
    """`--import DIR --export-on-exit` as one writes it once and for all: no folder yet, none named twice."""
    file = project(tmp_path, emulators={name: {"port": 0} for name in ("hub", "firestore", "auth")})
    export = tmp_path / "data"
    common = ("--project", project_id, "--config", str(file), "--import", str(export), "--export-on-exit")
    write = ask(tmp_path, "POST", f"{DOCUMENTS}/cards?documentId=one", '{"fields": {"name": {"stringValue": "kept"}}}')
    first = run("exec", write, "--only", "firestore,auth", *common)
    assert first.returncode == 0, first.stderr
    (export / "auth_export/accounts.json").write_text('{"users": [{"localId": "kept-user"}]}')
    read = ask(tmp_path, "GET", f"{DOCUMENTS}/cards/one")
    second = run("exec", read, "--only", "firestore", *common)
    assert second.returncode == 0, second.stderr
    assert '"kept"' in second.stdout
    assert "kept-user" in (export / "auth_export/accounts.json").read_text()
    assert "keeps its part of auth, which does not run" in second.stderr


def test_where_nothing_can_be_exported_nothing_starts(tmp_path: Path, project_id: str) -> None:
    """Said before the work is done, not after it; a script's success is none when its data is not kept."""
    common = ("--only", "firestore", "--project", project_id, "--config", str(project(tmp_path)))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/x").write_text("mine")
    refused = run("exec", "echo started", *common, "--export-on-exit", str(tmp_path / "precious"))
    assert (refused.returncode, "started" in refused.stdout) == (1, False)
    assert "not empty and no export" in refused.stderr
    nowhere = run("exec", "echo started", *common, "--export-on-exit")
    assert (nowhere.returncode, "names no folder" in nowhere.stderr) == (1, True)
    late = run("exec", f"touch {tmp_path}/file", *common, "--export-on-exit", str(tmp_path / "file"))
    assert (late.returncode, "`" + str(tmp_path / "file") + "` is no folder" in late.stderr) == (1, True)
    assert "Traceback" not in late.stderr


def test_an_import_that_is_none_is_named_and_nothing_starts(tmp_path: Path, project_id: str) -> None:
    """A mistyped folder must not silently start an empty suite."""
    ended = run(
        "exec", "--only", "firestore", "--project", project_id, "--config", str(project(tmp_path)),
        "--import", str(tmp_path / "nowhere"), "echo started",
    )  # fmt: skip
    assert ended.returncode == 1
    assert "started" not in ended.stdout
    assert "nowhere` is not there, so that it is no export" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_allowed_origins_and_hosts_come_from_flags_and_variables(tmp_path: Path, project_id: str) -> None:
    """Flags repeat or hold commas, and add to what the environment says; a mistyped one stops the start."""
    common = ("--only", "", "--project", project_id, "--config", str(project(tmp_path)))
    asked = "curl -s -o /dev/null -w '%{{http_code}} ' -H '{}' http://$FIREBASE_EMULATOR_HUB/;"
    headers = [f"Origin: https://{name}.example" for name in "abcd"] + ["Host: h.example", "Host: i.example"]
    ended = run(
        "exec", *common, "--allow-origin", "https://a.example,https://b.example", "--allow-origin", "https://c.example",
        "--allow-host", "h.example", "".join(asked.format(header) for header in headers),
    )  # fmt: skip
    assert ended.stdout.split() == ["200", "200", "200", "403", "200", "403"], ended.stderr
    assert ended.stderr.count("--allow-origin https://d.example") == 1
    assert ended.stderr.count("--allow-host i.example") == 1
    wrong = run("exec", *common, "--allow-origin", "a.example", "true")
    assert (wrong.returncode, wrong.stderr.split("`")[0]) == (1, "cannot start: --allow-origin: ")


def test_debug_shows_one_line_a_request_and_json_logs_are_json(tmp_path: Path, project_id: str) -> None:
    """Calm by default; with `--debug` each request is a line; with `--log-json` a machine can read it."""
    asked = ask(tmp_path, "GET", DOCUMENTS)
    common = ("--only", "firestore", "--project", project_id, "--config", str(project(tmp_path)))
    assert "GET /v1" not in run("exec", *common, asked).stderr
    shown = run("exec", *common, "--debug", asked).stderr
    assert len([line for line in shown.splitlines() if f"GET /v1/projects/{project_id}" in line]) == 1
    lines = run("exec", *common, "--debug", "--log-json", asked).stderr.splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(f"GET /v1/projects/{project_id}" in entry["message"] for entry in entries)


def test_post_shutdown_stops_the_command(tmp_path: Path, project_id: str) -> None:
    """POST /shutdown of Firestore is answered, and then the suite ends as if told by a signal."""
    file = project(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "afterimage_emulator", "start", "--only", "firestore", "--project", project_id,
         "--config", str(file), "--run", "curl -sS -X POST http://$FIRESTORE_EMULATOR_HOST/shutdown"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as suite:  # fmt: skip
        try:
            _, stderr = suite.communicate(timeout=30)
        finally:
            suite.kill()
    assert suite.returncode == 0, stderr
    assert "stopping" in stderr
    assert not locator_path(project_id).exists()


def test_what_is_not_served_is_named(tmp_path: Path, project_id: str) -> None:
    """Whoever relies on another part of the official suite learns at the start that it is not there."""
    file = project(tmp_path, dataconnect={"source": "dataconnect"}, database={"rules": "database.rules.json"})
    ended = run("exec", "--only", "firestore", "--project", project_id, "--config", str(file), "true")
    assert "not emulated, though firebase.json names it: database, dataconnect" in ended.stderr
    assert re.search(r"ready in \d+\.\d\d s", ended.stderr)


def test_a_container_listens_where_others_reach_it(tmp_path: Path, project_id: str) -> None:
    """`--host` takes the place of every address in firebase.json."""
    file = project(tmp_path)
    asked = ("--only", "firestore", "--project", project_id, "--config", str(file), "--host", "127.0.0.2")
    assert run("exec", *asked, "echo $FIRESTORE_EMULATOR_HOST").stdout.startswith("127.0.0.2:")


def test_the_version_is_told() -> None:
    """The version of the package, and of the Python that runs it."""
    assert re.fullmatch(r"afterimage-emulator \d+\.\d+\.\d+ \(Python 3\.\d+\.\S+\)\n", run("--version").stdout)


def test_the_old_name_still_works(tmp_path: Path) -> None:
    """`python -m emulator` forwards for one release, from the folder that it always worked in."""
    ended = subprocess.run([sys.executable, "-m", "emulator", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout == run("--version").stdout


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["st"], {"start"}),
        (["start", "--env"], {"--env-file"}),
        (["exec", "--only", "firestore", "--pro"], {"--project"}),
        (["rules", ""], {"check", "test", "coverage", "explain", "mutate", "diff", "--help"}),
        (["rules", "coverage", "--min"], {"--minimum", "--minimum-branches"}),
        (["send", "storage", "fin"], {"finalized"}),
        (["send", "firestore", "created", "--auth-type", "un"], {"unknown", "unauthenticated"}),
    ],
)
def test_bash_completes_commands_options_and_values(typed: list[str], completed: set[str]) -> None:
    """What bash itself makes of the script, for the last word typed."""
    words = shlex.join(["afterimage-emulator", *typed])
    asked = f"COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _afterimage_emulator; echo ${{COMPREPLY[*]}}"
    ended = subprocess.run(
        ["bash", "-c", f"source /dev/stdin; {asked}"],
        input=run("completion", "bash").stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(ended.stdout.split()) == completed


def test_zsh_takes_its_script() -> None:
    """It parses where zsh is there, and names every command in any case."""
    script = run("completion", "zsh").stdout
    assert all(f"{command}:" in script for command in ("start", "exec", "events", "send", "rules", "coverage"))
    if zsh := shutil.which("zsh"):
        subprocess.run([zsh, "-n"], input=script, text=True, check=True)


def test_the_variables_are_written_where_they_are_wanted(tmp_path: Path, project_id: str) -> None:
    """A shell that reads the file finds the suite; a file that somebody else wrote is kept."""
    file = project(tmp_path)
    written = tmp_path / ".env.local"
    shown = f"set -a; . {written}; echo $FIRESTORE_EMULATOR_HOST $FIREBASE_CONFIG; kill -INT $PPID"
    arguments = ("start", "--only", "firestore", "--project", project_id, "--config", str(file))
    ended = run(*arguments, "--env-file", str(written), "--run", shown)
    assert ended.returncode == 0, ended.stderr
    host, configuration = ended.stdout.split()
    assert f"export FIRESTORE_EMULATOR_HOST={host}\n" in ended.stderr
    assert json.loads(configuration)["projectId"] == project_id
    written.write_text("MINE=1\n")
    refused = run(*arguments, "--env-file", str(written))
    assert (refused.returncode, written.read_text()) == (1, "MINE=1\n")
    assert "not written by --env-file" in refused.stderr
