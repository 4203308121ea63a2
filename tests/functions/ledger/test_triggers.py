"""What the platform is told of the ledger's triggers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from firebase_functions import firestore_fn

from afterimage.delivery.document_triggers import declare_on_written

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"


def endpoint(declare: Any) -> dict[str, Any]:
    def handler(_event: object) -> None: ...

    declared = declare(document="ai_outputs/{uid}/{kind}/{outputId}", region="europe-west1", memory=512)(handler)
    return {
        name: value
        for name, value in dataclasses.asdict(declared.__firebase_endpoint__).items()
        if "Sentinel" not in repr(value)
    }


def test_a_trigger_is_described_as_the_sdk_describes_it() -> None:
    """Word for word the same manifest entry, without loading the Firestore client."""
    assert endpoint(declare_on_written) == endpoint(firestore_fn.on_document_written)


def test_what_functions_write_starts_no_function() -> None:
    """Records, books and campaigns' owners lie outside every pattern: no write of a function can lead to another."""
    script = (
        "import json, main;"
        "bound = [f for f in vars(main).values() if hasattr(f, '__firebase_endpoint__')];"
        "found = [f.__firebase_endpoint__.eventTrigger for f in bound];"
        "print(json.dumps([t['eventFilterPathPatterns']['document'] for t in found"
        " if t and t.get('eventFilterPathPatterns')]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=FUNCTIONS,
        env={"PATH": os.environ["PATH"], "GCLOUD_PROJECT": "demo-x"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    patterns = json.loads(ended.stdout)
    assert patterns
    assert {pattern.split("/")[0] for pattern in patterns} == {"ai_outputs", "generations", "campaigns"}
