"""The cases of tests/node/pubsub*.test.mjs, in Node with @google-cloud/pubsub."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.emulator.pubsub.serving import Serving

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


@pytest.mark.skipif(
    not (NODE_TESTS / "node_modules/@google-cloud/pubsub").is_dir(), reason="`make node` installs the SDKs"
)
def test_the_javascript_client_sets_up_publishes_seeks_and_confirms(pubsub: Serving) -> None:
    """What its own system tests list and set up, schemas, snapshots, exactly-once delivery, and every other call."""
    ran = subprocess.run(
        [
            "node",
            "--test",
            "--test-reporter=spec",
            "--test-timeout=60000",
            "pubsub.test.mjs",
            "pubsub_every_call.test.mjs",
        ],
        cwd=NODE_TESTS,
        env={**os.environ, "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{pubsub.port}", "METADATA_SERVER_DETECTION": "none"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
