"""The apps that the contract was made from still work, call by call: tests/node has the calls of each.

`apps_of_old.test.mjs` stores outputs and queues them; `content_of_old.test.mjs` writes content offline first.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from afterimage_emulator.background import BackgroundSuite
from tests.functions.clients.worker_of_old import Worker, serving
from tests.functions.media.pictures import encoded

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"
CALLS = ("apps_of_old.test.mjs", "content_of_old.test.mjs")
REACT_NATIVE = ("--import", "./browser_build.mjs", "--test-force-exit")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
@pytest.mark.parametrize(
    ("options", "settings"),
    [((), "{}"), (REACT_NATIVE, '{"experimentalForceLongPolling": true}')],
    ids=["gRPC", "as React Native connects"],
)
def test_every_call_of_the_apps_of_old_does_what_it_did(
    functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], settings: str
) -> None:
    """Dialogues, files, analytics, retries, syncs, content, media and a worker's pictures, with the functions at work.

    The deployed rules hold; what has to change is refused or wrong in the way that docs/contract.md says.
    """
    functions_suite.clear_faults()
    environment = functions_suite.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    bucket = functions_suite.default_bucket
    key = Path(environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text()
    with serving(Worker(key, bucket, f"http://{functions_suite.address('storage')}")) as address:
        finished = subprocess.run(
            ["node", *options, "--test", "--test-reporter=spec", "--test-timeout=100000", *CALLS],
            cwd=NODE_TESTS,
            env={
                **os.environ,
                **environment,
                "GCLOUD_PROJECT": functions_suite.project_id,
                "STORAGE_BUCKET": bucket,
                "FIRESTORE_SETTINGS": settings,
                "WEBP": base64.b64encode(encoded(Image.new("RGB", (300, 200), (9, 90, 160)), "WEBP")).decode(),
                "WORKER": address,
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "pass 9" in finished.stdout, finished.stdout
