"""The client's sync: documents that wait are pushed, beside a bare writer that sends the same ones in batches.

The suite runs in a process of its own. The bare writer sends the same fields, with the same conditions, by the same
client: batches of 500, one after the other. The two take turns, each on documents of its own. Then many documents are
pulled into an empty store, once by asking and once by listening, each in a new process whose peak of memory is read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from afterimage_client import FirebaseApp
from afterimage_client.store import Store
from afterimage_client.sync import CollectionSyncConfig, EventKind, SyncEngine, SyncEvent, content_configs, value_kinds
from bench.client import app_in, peak_mebibytes, running_suite
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


async def pulled(folder: Path, way: str, count: int) -> None:
    """In a process of its own: prints seconds and by how much the peak of memory rose."""
    async with app_in(folder) as app:
        await app.auth.id_token()
        store = Store(folder / f"{way}.db", kinds=value_kinds(app.firestore))
        engine = SyncEngine(store, app.firestore)
        config = CollectionSyncConfig(
            collection_name="chapters", query=lambda firestore: firestore.collection("chapters").order_by("order")
        )
        engine.register_collection(config)
        await app.firestore.collection("chapters").limit(1).get()
        before, begun = peak_mebibytes(), time.perf_counter()
        if way == "listen":
            left, are_here = count, asyncio.Event()

            def heard(event: SyncEvent) -> None:
                nonlocal left
                left -= event.kind is EventKind.PULLED
                if left == 0:
                    are_here.set()

            engine.on_event(heard)
            engine.start()
            await are_here.wait()
        else:
            await engine.pull("chapters")
        taken, peak = time.perf_counter() - begun, peak_mebibytes() - before
        assert len(store.known_ids("chapters")) == count
        await engine.stop()
        store.close()
        sys.stdout.write(json.dumps([taken, peak]))


async def fill(folder: Path, count: int) -> None:
    async with app_in(folder) as app:
        await app.auth.sign_in_anonymously()
        chapters = app.firestore.collection("chapters")
        for start in range(0, count, 500):
            batch = app.firestore.batch()
            for number in range(start, min(start + 500, count)):
                fields = document("c", number)
                batch.create(chapters.document(fields["id"]), {**fields, "rev": 0})
            await batch.commit()


def pulls(folder: Path, count: int) -> list[Figure]:
    asyncio.run(fill(folder, count))
    figures = []
    for way in ("pull", "listen"):
        command = [sys.executable, "-m", "bench.client_sync", "--pulled", str(folder), way, str(count)]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds, mebibytes = json.loads(ran.stdout)
        figures.append(Figure(f"{count:,} documents by `{way}`", count / seconds, "/s"))
        figures.append(Figure(f"memory of {count:,} documents by `{way}`", mebibytes, "MiB", 100, "what it may take"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--pull", type=int, default=50_000, help="how many documents are pulled")
    parser.add_argument("--pulled", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pulled:
        asyncio.run(pulled(Path(options.pulled[0]), options.pulled[1], int(options.pulled[2])))
        return
    with tempfile.TemporaryDirectory(dir=".") as name, running_suite() as environment:
        os.environ.update(environment)
        figures = asyncio.run(run(Path(name), options.documents)) if options.documents else []
        show("the client's sync, with the suite", [*figures, *pulls(Path(name), options.pull)])


if __name__ == "__main__":
    main()
