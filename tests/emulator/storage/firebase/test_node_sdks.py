"""Runs the official JavaScript SDKs against the service; their own tests lie in tests/node/storage."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.emulator.storage.conftest import RunningStorage

NODE_TESTS = Path(__file__).resolve().parents[3] / "node"
RULES = """
rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /users/{uid}/{rest=**} {
      allow read, write: if request.auth != null && request.auth.uid == uid;
    }
    match /small-images/{uid}/{name} {
      allow create: if request.auth.uid == uid && request.resource.size < 1000
                    && request.resource.contentType.matches('image/.*');
    }
  }
}
"""


def run_node(script: str, environment: dict[str, str]) -> None:
    node = shutil.which("node")
    if node is None or not (NODE_TESTS / "node_modules" / "firebase").is_dir():
        pytest.skip("Node or its packages are missing: run `npm ci` in tests/node")
    done = subprocess.run(
        [node, "--test", "--test-force-exit", "--test-timeout=20000", str(NODE_TESTS / "storage" / script)],
        env={"PATH": str(Path(node).parent), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout, "no test ran"


def test_the_web_sdk_finds_everything_it_knows(own_service: RunningStorage, bucket_name: str) -> None:
    """Uploads (paused, resumed, cancelled), downloads, links, lists, metadata and rules work from firebase/storage."""
    update = own_service.call(lambda: own_service.service.rules.set_rules({bucket_name: ("storage.rules", RULES)}))
    assert not update.rejected
    run_node(
        "web_sdk.test.mjs",
        {"STORAGE_ADDRESS": f"127.0.0.1:{own_service.server.port}", "STORAGE_BUCKET": bucket_name},
    )


def test_the_cloud_client_of_node_finds_everything_it_knows(running: RunningStorage, bucket_name: str) -> None:
    """Composites, copies, access, keys, holds, restores and settings work from @google-cloud/storage."""
    run_node("cloud_storage.test.mjs", {"STORAGE_EMULATOR_HOST": running.origin, "STORAGE_BUCKET": bucket_name})
