"""The pytest plugin, as another project would use it: in a pytest run of its own, switched on by being installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT_TESTS = '''
import os
import pytest
from google.cloud import firestore

SEEN = set()

@pytest.mark.parametrize("number", range(3))
def test_each_test_has_a_database_of_its_own(firebase_environment, firebase_project, number):
    """The same document, thrice, and never seen twice."""
    assert os.environ["GCLOUD_PROJECT"] == firebase_project
    assert firebase_project not in SEEN
    SEEN.add(firebase_project)
    reference = firestore.Client().document("cards/one")
    assert not reference.get().exists
    reference.set({"number": number})
    assert reference.get().to_dict() == {"number": number}

def test_time_and_faults_are_reached_in_process(firebase_suite):
    """The suite's own objects are there."""
    before = firebase_suite.suite.clock.now()
    firebase_suite.advance_clock(3600)
    assert (firebase_suite.suite.clock.now() - before).total_seconds() >= 3600
    firebase_suite.settled()
'''

FUNCTIONS = """
from firebase_functions import firestore_fn
from google.cloud import firestore

@firestore_fn.on_document_created(document="cards/{card}")
def stamp(event):
    event.data.reference.update({"seen": True})
"""

FUNCTION_TESTS = '''
import pytest
from google.cloud import firestore

@pytest.mark.parametrize("number", range(2))
def test_functions_see_what_the_sdk_writes(
    firebase_functions, firebase_suite, firebase_environment, firebase_project, number
):
    """Suite, project and variables are those of the suite with functions, and each test finds it empty."""
    assert firebase_functions is firebase_suite
    assert firebase_functions.project_id == firebase_project == firebase_environment["GCLOUD_PROJECT"]
    assert firebase_environment["FIRESTORE_EMULATOR_HOST"] == firebase_functions.address("firestore")
    card = firestore.Client().document("cards/one")
    assert not card.get().exists
    card.set({"number": number})
    firebase_functions.settled()
    assert card.get().to_dict() == {"number": number, "seen": True}

def test_without_functions_another_suite_serves(firebase_suite, firebase_environment):
    """What does not ask for functions does not wait for them."""
    assert "functions" not in firebase_suite.suite.only
    assert firebase_environment["FIRESTORE_EMULATOR_HOST"] == firebase_suite.address("firestore")
'''

WITHOUT = [part for name in ("cacheprovider", "schemathesis", "hypothesispytest") for part in ("-p", f"no:{name}")]
"""Plugins that this environment happens to have, and that take longer to import than the tests to run."""


def run_pytest(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if "EMULATOR" not in name}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *WITHOUT, *arguments, str(folder)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return ended.stdout + ended.stderr


def test_a_project_of_somebody_elses_tests_against_the_suite(tmp_path: Path) -> None:
    """It needs no line of configuration; projects are apart from each other."""
    (tmp_path / "firebase.json").write_text(json.dumps({"firestore": {}}))
    (tmp_path / "test_cards.py").write_text(PROJECT_TESTS)
    printed = run_pytest(tmp_path)
    assert "4 passed" in printed, printed


def test_asking_for_functions_is_one_fixture(tmp_path: Path) -> None:
    """With `firebase_functions` among its arguments, everything a test gets is of the suite that runs them."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions/main.py").write_text(FUNCTIONS)
    (tmp_path / "firebase.json").write_text(json.dumps({"functions": {"source": "functions"}, "firestore": {}}))
    (tmp_path / "test_cards.py").write_text(FUNCTION_TESTS)
    printed = run_pytest(tmp_path)
    assert "3 passed" in printed, printed


def test_a_folder_without_firebase_json_is_served_too(tmp_path: Path) -> None:
    """A first test needs no project file: every service, and no rules. Naming the plugin does no harm."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["afterimage_emulator.pytest_plugin"]\n')
    (tmp_path / "test_cards.py").write_text(PROJECT_TESTS)
    printed = run_pytest(tmp_path, f"--rootdir={tmp_path}")
    assert "4 passed" in printed, printed


def test_functions_that_are_not_there_are_asked_for_in_vain(tmp_path: Path) -> None:
    """The message says what to write where."""
    (tmp_path / "test_none.py").write_text("def test_it(firebase_functions): pass\n")
    assert "name their folder in firebase.json" in run_pytest(tmp_path)


def test_the_plugin_imports_nothing_before_it_is_asked(tmp_path: Path) -> None:
    """It is loaded in every pytest run beside it, and must cost those nothing."""
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\ndef test_nothing_came_along():\n"
        "    ours = {name for name in sys.modules if name.startswith('afterimage_emulator')}\n"
        "    plugins = {'afterimage_emulator.pytest_plugin', 'afterimage_emulator.pytest_rules_plugin'}\n"
        "    assert ours == plugins | {'afterimage_emulator'}\n"
    )
    printed = run_pytest(tmp_path)
    assert "1 passed" in printed, printed
