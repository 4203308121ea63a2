"""What the Makefile installs, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NPM = """#!/bin/sh
# As npm ci does it: whatever is in the folder goes first, also where the folder is a link.
rm -rf node_modules/* && mkdir -p node_modules/firebase && touch node_modules/firebase/installed
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The Makefile alone, and an npm that installs one package."""
    for folder in ("project/tests/node", "project/web", "bin", "elsewhere/firebase"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path / "project")
    (tmp_path / "project/tests/node/package-lock.json").write_text("{}")
    (tmp_path / "elsewhere/firebase/kept").touch()
    npm = tmp_path / "bin/npm"
    npm.write_text(NPM)
    npm.chmod(0o755)
    return tmp_path / "project"


def make(project: Path, target: str) -> str:
    path = f"{project.parent / 'bin'}:{os.environ['PATH']}"
    run = subprocess.run(
        ["make", target], cwd=project, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    return run.stdout


def test_packages_that_are_linked_are_used_and_never_replaced(project: Path) -> None:
    """A link leads to what somebody else uses too: npm would empty it before it fills it."""
    (project / "tests/node/node_modules").symlink_to(project.parent / "elsewhere")
    assert "is a link" in make(project, "node")
    make(project, "page")
    assert (project.parent / "elsewhere/firebase/kept").exists()
    assert (project / "web/node_modules/firebase/kept").exists()


def test_a_link_that_leads_nowhere_is_replaced_by_packages(project: Path) -> None:
    """The page's link to the tests' packages stays when those are deleted; the page is served again all the same."""
    (project / "web/node_modules").symlink_to("../tests/node/node_modules")
    make(project, "page")
    assert (project / "web/node_modules/firebase/installed").exists()
    assert not (project / "web/node_modules").is_symlink()
    make(project, "node")
    assert (project / "tests/node/node_modules/firebase/installed").exists()
