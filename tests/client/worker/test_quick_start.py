"""What docs/worker.md and the example tell to write runs as it stands."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.client.worker.conftest import Stage, User

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/worker.md"


def run(program: str, folder: Path, environment: dict[str, str]) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_quick_start_runs_from_the_wheel(stage: Stage, user: User, client_wheel: Path, tmp_path: Path) -> None:
    """Inline without Firebase, then stored; and importing the worker loads no server SDK and no picture library."""
    with zipfile.ZipFile(client_wheel) as archive:
        archive.extractall(tmp_path / "site")
    inline, stored = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")}
    heavy = "{'google.cloud.storage', 'google.cloud.firestore', 'firebase_admin', 'PIL', 'grpc', 'httpx2', 'requests'}"
    told = run(f"{inline}\nimport sys; print(sorted({heavy} & set(sys.modules)))", tmp_path, clean)
    assert told.splitlines() == ["data:image/png;base64,", "[]"]
    told = run(stored, tmp_path, clean | dict(stage.environment) | {"ID_TOKEN": user.id_token})
    response: dict[str, Any] = {"images": re.findall(r"'(http[^']*)'", told)}
    assert len(response["images"]) == 2
    user.check_whole(response, "unique-generation-id")


def test_the_example_is_a_handler(stage: Stage, user: User) -> None:
    """RunPod's SDK calls `handler` with a job; the example's is called the same way."""
    place = ROOT / "docs/examples/runpod_worker.py"
    spec = importlib.util.spec_from_file_location("runpod_worker", place)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    user.check_whole(example.handler({"id": "j1", "input": user.asks()}))


def test_every_test_that_the_page_names_is_there() -> None:
    """A promise with a test that is gone is no promise."""
    sources = "".join(path.read_text() for path in (ROOT / "tests/client/worker").glob("test_*.py"))
    named = re.findall(r"`(test_[a-z_]+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) >= 12
    assert [name for name in named if f"def {name}(" not in sources] == []


@pytest.mark.parametrize("name", ["FIREBASE_STORAGE_BUCKET", "AFTERIMAGE_WORKER_WINDOW_SECONDS"])
def test_settings_that_cannot_be_used_are_refused_at_the_start(name: str) -> None:
    """By their names, before a job comes."""
    from afterimage_client.errors import WorkerError
    from afterimage_client.worker import Worker

    with pytest.raises(WorkerError, match=name):
        Worker.from_environment({name: "a/b"})
