"""The pytest plugin, as another project would use it: in a pytest run of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROJECT_TESTS = '''
import os
import pytest
from google.cloud import firestore

SEEN = set()

@pytest.mark.parametrize("number", range(3))
def test_each_test_has_a_database_of_its_own(sdk_environment, project_id, number):
    """The same document, thrice, and never seen twice."""
    assert os.environ["GCLOUD_PROJECT"] == project_id
    assert project_id not in SEEN
    SEEN.add(project_id)
    reference = firestore.Client().document("cards/one")
    assert not reference.get().exists
    reference.set({"number": number})
    assert reference.get().to_dict() == {"number": number}

def test_time_and_faults_are_reached_in_process(suite):
    """The suite's own objects are there."""
    before = suite.suite.clock.now()
    suite.advance_clock(3600)
    assert (suite.suite.clock.now() - before).total_seconds() >= 3600
    suite.settled()
'''


def test_a_project_of_somebody_elses_tests_against_the_suite(tmp_path: Path) -> None:
    """One line in conftest.py gives a suite, projects apart from each other, and the SDKs' variables."""
    (tmp_path / "firebase.json").write_text(json.dumps({"firestore": {}}))
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["emulator.pytest_plugin"]\n')
    (tmp_path / "test_cards.py").write_text(PROJECT_TESTS)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr
