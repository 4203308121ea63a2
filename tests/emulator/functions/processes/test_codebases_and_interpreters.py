"""Several codebases beside each other, each with the interpreter, parameters and secrets that are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, load_configuration
from afterimage_emulator.suite import Suite
from tests.emulator.functions.running import PROJECT, environment_for, new_service, serving

CODEBASE = """
import os, sys
from firebase_functions import https_fn, params, pubsub_fn

COLOUR = params.StringParam("COLOUR", default="none")
TOKEN = params.SecretParam("TOKEN")

@https_fn.on_request(secrets=[TOKEN])
def {name}(request):
    return f"{{COLOUR.value}} {{TOKEN.value}} {{os.environ.get('PLAIN')}} {{sys.prefix}}"

@https_fn.on_request(secrets=["OTHER"])
def {name}_without_token(request):
    return f"{{os.environ.get('TOKEN')}} {{os.environ.get('OTHER')}}"

@pubsub_fn.on_message_published(topic="shared")
def shared_{name}(event):
    print("{name}")
"""


def virtual_environment(folder: Path) -> Path:
    """A real one, made in a moment: it borrows the packages of the one that runs the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.mark.parametrize(
    ("made", "beside"),
    [("codebase/venv", None), ("codebase/.venv", None), (".venv", "codebase/pyproject.toml"), (".venv", "uv.lock"),
     ("codebase/elsewhere", None), (None, None)],
    ids=["venv", ".venv", "a project of uv", "a workspace of uv", "UV_PROJECT_ENVIRONMENT", "the suite's own"],
)  # fmt: skip
async def test_a_codebase_runs_in_the_environment_it_has(
    write_codebase: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: str | None,
    beside: str | None,
) -> None:
    """Import, discovery and handlers all happen in the interpreter of that environment."""
    source = write_codebase(CODEBASE.format(name="tell"))
    expected = sys.prefix if made is None else str(virtual_environment(tmp_path / made))
    if beside is not None:
        (tmp_path / beside).touch()
    if made is not None and made.endswith("elsewhere"):
        monkeypatch.setenv("UV_PROJECT_ENVIRONMENT", "elsewhere")
    async with serving(source, tmp_path / "notes") as running:
        _, body = await running.request(f"/{PROJECT}/us-central1/tell")
    assert body.decode().split()[-1] == expected


async def test_an_interpreter_that_does_not_start_is_named(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """A virtual environment whose Python was uninstalled keeps nothing else from running."""
    source = write_codebase(CODEBASE.format(name="tell"))
    (source / "venv" / "bin").mkdir(parents=True)
    (source / "venv" / "bin" / "python").write_text("#!/nowhere/python\n")
    (source / "venv" / "bin" / "python").chmod(0o755)
    async with serving(source, tmp_path / "notes") as running:
        (line,) = running.service.summary()
        assert "venv/bin/python` does not start" in line


async def test_another_version_than_firebase_json_names_is_told_of(
    write_codebase: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What would be deployed with another Python runs, with a warning that says which is which."""
    source = write_codebase(CODEBASE.format(name="tell"))
    here = f"python{sys.version_info.major}{sys.version_info.minor}"
    for runtime, told in ((here, False), ("python399", True)):
        caplog.clear()
        running = new_service(source, tmp_path / "notes", codebase=Codebase(name="c", source=source, runtime=runtime))
        try:
            await running.service.start(environment_for(tmp_path / "notes"))
            assert "tell" in running.service.functions()
        finally:
            await running.service.close()
        assert (f"firebase.json says `python399`, and what runs it here is {here}" in caplog.text) is told


def test_codebases_of_firebase_json_run_beside_each_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own parameters and secrets; a broken one stops no other; a name that is used twice is told of."""
    monkeypatch.delenv("COLOUR", raising=False)
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.py").write_text(CODEBASE.format(name=name))
    (tmp_path / "one" / ".env").write_text("COLOUR=red\nPLAIN=general\n")
    (tmp_path / "one" / ".env.demo-codebases").write_text("COLOUR=blue\n")
    (tmp_path / "one" / ".env.demo-other").write_text("COLOUR=black\n")
    (tmp_path / "one" / ".env.local").write_text("PLAIN=local\n")
    (tmp_path / "one" / ".secret.local").write_text("TOKEN=first\nOTHER=else\n")
    (tmp_path / "two" / ".secret.local").write_text("TOKEN=second\n")
    (tmp_path / "two" / "main.py").write_text(
        CODEBASE.format(name="two") + "\n@https_fn.on_request()\ndef one(request):\n    return 'the second one'\n"
    )
    (tmp_path / "three" / "main.py").write_text("raise KeyError('not today')")
    (tmp_path / "firebase.json").write_text(
        json.dumps({"functions": [{"source": name, "codebase": name} for name in ("one", "two", "three")]})
    )
    configuration = load_configuration(tmp_path / "firebase.json", project_id="demo-codebases")
    with BackgroundSuite(Suite(configuration, only=("functions",), free_ports=True)) as running:
        service = running.suite.services["functions"]
        assert sorted(service.functions()) == [
            "one", "one_without_token", "shared_one", "shared_two", "two", "two_without_token",
        ]  # fmt: skip
        assert fetch(running, "one_without_token") == "None else"
        assert fetch(running, "two_without_token") == "None None"
        assert "`OTHER` has no value; write `OTHER=…` into " in caplog.text
        assert "two/.secret.local" in caplog.text
        assert "one/.secret.local" not in caplog.text
        assert fetch(running, "one").startswith("blue first local ")
        assert fetch(running, "two").startswith("none second None ")
        assert any("codebase three does not load: KeyError: 'not today'" in line for line in service.summary())
        assert "function `one` is in two codebases; the first one is used" in caplog.text
        assert os.environ.get("COLOUR") is None


def fetch(running: BackgroundSuite, name: str) -> str:
    with urllib.request.urlopen(
        f"http://{running.address('functions')}/demo-codebases/us-central1/{name}", timeout=30
    ) as answer:
        return str(answer.read().decode())
