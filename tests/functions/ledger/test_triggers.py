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


WHY_IT_ENDS = {
    "budgets": "an alert is announced when it is raised: to announce it writes nothing",
    "ai_outputs": "functions write none",
    "campaigns": "functions write none",
    "generations": "the expiry ends a silent one: the ledger books the end, and writes none",
    "published": "an erasure removes marks: each is withdrawn once",
    "quota": "an alert is announced when it is raised: to announce it writes nothing",
    "_driveQueue": "a note is worked on when it wants something new: what its work writes to it wants nothing",
    "_purges": "a note is purged when it is new: what is written to it later starts nothing",
}
"""The documents that functions hear of, and why what functions write there leads to no endless chain."""


def test_no_function_starts_an_endless_chain() -> None:
    """Records, books and owners lie outside every pattern; a new pattern needs a reason why its chain ends."""
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
    assert {pattern.split("/")[0] for pattern in patterns} == set(WHY_IT_ENDS)
