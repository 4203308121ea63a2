"""Each official SDK's system tests against the suite: what passes, and for what reason the rest does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from tests.conformance.harness import check, left_out_of, run_system_tests, unpack

pytestmark = pytest.mark.conformance


def test_google_cloud_firestore(suite: BackgroundSuite, tmp_path: Path) -> None:
    """The Firestore client's own tests, synchronous and asynchronous, cannot tell the suite from the emulator."""
    root = unpack("google-cloud-firestore", tmp_path)
    environment = suite.environment() | {"SYSTEM_TESTS_DATABASE": "(default)", "GCLOUD_PROJECT": suite.project_id}
    outcomes = run_system_tests(root, ["tests/system/test_system.py", "tests/system/test_system_async.py"], environment)
    print(check("google-cloud-firestore", outcomes))


def test_google_cloud_storage(suite: BackgroundSuite, tmp_path: Path) -> None:
    """All of the Storage client's own tests but those of zonal buckets: signatures, keys and notifications too."""
    root = unpack("google-cloud-storage", tmp_path)
    left_out = {module for module, _ in left_out_of("google-cloud-storage")}
    modules = sorted(file.stem for file in (root / "tests/system").glob("test_*.py") if file.stem not in left_out)
    environment = suite.environment() | {
        # Not the root: the distribution has a package named `tests` of its own.
        "PYTHONPATH": str(Path(__file__).parent),
        "GOOGLE_CLOUD_TESTS_USER_PROJECT": suite.project_id,
    }
    # Failing tests retry themselves with growing pauses, so two run at a time.
    extra = ["-n", "2", "-p", "service_account_plugin"]
    outcomes = run_system_tests(root, [f"tests/system/{module}.py" for module in modules], environment, extra)
    print(check("google-cloud-storage", outcomes))


def test_google_cloud_pubsub(suite: BackgroundSuite, tmp_path: Path) -> None:
    """The Pub/Sub client's own tests for topics, subscriptions and streaming pull."""
    root = unpack("google-cloud-pubsub", tmp_path)
    outcomes = run_system_tests(root, ["tests/system.py"], suite.environment())
    print(check("google-cloud-pubsub", outcomes))
