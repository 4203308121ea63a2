"""The quick start of docs/client.md runs as it stands, from the built wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from afterimage_emulator.background import BackgroundSuite

ROOT = Path(__file__).resolve().parents[2]


def test_the_quick_start_runs_from_the_wheel(suite: BackgroundSuite, client_wheel: Path, tmp_path: Path) -> None:
    """Nothing of the repository is on its path; only the project's own names are put in."""
    unpacked = tmp_path / "site"
    with zipfile.ZipFile(client_wheel) as archive:
        names = archive.namelist()
        archive.extractall(unpacked)
        (commands,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "afterimage-client = afterimage_client.command.main:main" in commands
    assert "afterimage_client/py.typed" in names
    assert any(name.endswith("licenses/NOTICE") for name in names)
    page = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    environment = os.environ | suite.environment() | {"PYTHONPATH": str(unpacked), "XDG_DATA_HOME": str(tmp_path)}
    printed = []
    for program in (first, second):
        ours = program.replace("my-project.firebasestorage.app", suite.default_bucket).replace(
            "my-project", suite.project_id
        )
        ran = subprocess.run(
            [sys.executable, "-c", f"import afterimage_client; print(afterimage_client.__file__)\n{ours}"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        printed.append(ran.stdout.splitlines())
    assert all(lines[0].startswith(str(unpacked)) for lines in printed)
    assert printed[0][1] == "[{'text': 'hello'}]"
    assert printed[0][2].startswith("http://127.0.0.1:")
    assert printed[1][1] == "{'text': 'hello'}"
