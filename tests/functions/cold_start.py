"""Owns one cold start: a process in which twenty threads hand their events to functions that have made nothing yet.

Run as a program with the events' uid and their number; the environment says where Firestore is. Prints how each event
ended, as JSON: nothing, or the error that asks for another delivery.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

THREADS = 20
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "functions"))


def written(project: str, path: str) -> bytes:
    """The data of an event about a document that has just been created."""
    from google.events.cloud.firestore import Document, DocumentEventData, Value

    now = datetime.now(UTC)
    fields = {"model": Value(string_value="house-model"), "cost_usd": Value(double_value=0.5)}
    document = Document(
        name=f"projects/{project}/databases/(default)/documents/{path}",
        fields=fields,
        create_time=now,
        update_time=now,
    )
    return bytes(DocumentEventData.serialize(DocumentEventData(value=document)))


def main(project: str, uid: str, count: int) -> list[str | None]:
    from cloudevents.http import CloudEvent

    import main as codebase

    events = []
    for number in range(count):
        path = f"ai_outputs/{uid}/dialogues/d_{number}"
        attributes = {
            "id": f"{uid}-{number}",
            "type": "google.cloud.firestore.document.v1.written",
            "source": f"//firestore.googleapis.com/projects/{project}/databases/(default)",
            "subject": f"documents/{path}",
            "time": datetime.now(UTC).isoformat(),
        }
        events.append(CloudEvent(attributes, written(project, path)))
    together = threading.Barrier(THREADS)

    def receive(number: int) -> str | None:
        if number < THREADS:
            together.wait()
        try:
            codebase.ledger_output_written(events[number])
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    # Threads take turns as often as they can, so that each is interrupted wherever it may be.
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(receive, range(count)))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
