"""The client's sync: documents that wait are pushed, beside a bare writer that sends the same ones in batches.

The suite runs in a process of its own. The bare writer sends the same fields, with the same conditions, by the same
client: batches of 500, one after the other. The two take turns, each on documents of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from afterimage_client import FirebaseApp
from afterimage_client.store import Store
from afterimage_client.sync import SyncEngine, content_configs, value_kinds
from bench.client import app_in, running_suite
from bench.measuring import Figure, show

ROUNDS = 3
TEXT = "A scene in which it snows, and nobody speaks. " * 4


def document(name: str, number: int) -> dict[str, Any]:
    return {"id": f"{name}-{number:06}", "name": f"Scene {number}", "text": TEXT, "order": number}


async def pushed(app: FirebaseApp, folder: Path, count: int) -> float:
    """Documents a second, from a full queue to an empty one."""
    name = secrets.token_hex(4)
    store = Store(folder / f"{name}.db", kinds=value_kinds(app.firestore))
    engine = SyncEngine(store, app.firestore)
    for config in content_configs():
        engine.register_collection(config)
    with store.database.transaction():
        for number in range(count):
            store.upsert_local("scenes", document(name, number))
    begun = time.perf_counter()
    report = await engine.sync_all()
    taken = time.perf_counter() - begun
    assert len(report.done) == count, f"{len(report.done)} of {count} were pushed"
    assert engine.status().is_in_step
    store.close()
    return count / taken


async def bare(app: FirebaseApp, count: int) -> float:
    name = secrets.token_hex(4)
    scenes = app.firestore.collection("scenes")
    begun = time.perf_counter()
    for start in range(0, count, 500):
        batch = app.firestore.batch()
        for number in range(start, min(start + 500, count)):
            fields = document(name, number)
            mark = {"mutations": {"r0123456789ab": "0.0123456789ab"}, "rev": 0}
            batch.create(scenes.document(fields["id"]), {**fields, **mark})
        await batch.commit()
    return count / (time.perf_counter() - begun)


async def run(folder: Path, count: int) -> list[Figure]:
    async with app_in(folder) as app:
        await app.auth.sign_in_anonymously()
        await bare(app, 500)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(await bare(app, count))
            ours.append(await pushed(app, folder, count))
    return [Figure(f"{count:,} documents pushed", median(ours), "/s", median(theirs), "bare batches of 500")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name, running_suite() as environment:
        os.environ.update(environment)
        show("the client's sync, to the suite", asyncio.run(run(Path(name), options.documents)))


if __name__ == "__main__":
    main()
