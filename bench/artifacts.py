"""Measures a save of 100 KB against its own store calls made by hand: two reads, one file, one commit.

    python -m bench.artifacts [--saves 60]

Both go through the official clients to a suite in this process, in turns of the same run, so that the ratio is what
deciding, hashing and checking cost. The first saves fill the history; those that are measured also let a version go, by
hand as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measuring import Figure, show

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functions"))

SIZE = 100 * 1024
MOST_RATIO = 1.5


def text(number: int) -> bytes:
    """Text that no two saves share and that does not pack to nothing."""
    return os.urandom(SIZE // 2 - 16).hex().encode() + b"%032d" % number


def save_by_hand(documents: Any, files: Any, bucket: str) -> Callable[[int], None]:
    """The very calls of a save, with nothing decided: the fields are as long as a save's own."""
    from afterimage.store.documents import Expect, Remove, Replace
    from afterimage.store.files import FileAbout

    kept = [
        {"number": number, "sha256": "0" * 64, "size": SIZE, "pinned": False, "auto_saved": False, "save": "0" * 32}
        for number in range(30)
    ]
    head = {"name": "bench.txt", "kept": kept, "tags": [], "folder": "", "sha256": "0" * 64, "size": SIZE}
    version = {"name": "bench.txt", "sha256": "0" * 64, "size": SIZE, "author": "hand", "description": "", "change": ""}

    def save(number: int) -> None:
        root = "artifacts/hand"
        digest = f"{number:064x}"
        documents.read_many([f"{root}/files/f", f"{root}/blobs/{digest}", "quota/hand"])
        about = FileAbout(content_type="text/plain; charset=utf-8")
        files.write(bucket, f"{root}/blobs/{digest}", text(number), about, expected=Expect.ABSENT)
        documents.read_many([f"{root}/blobs/{number - 30:064x}"])
        documents.commit([
            Remove(path=f"{root}/files/f/versions/{number - 30}", expected=Expect.ANYTHING),
            Replace(
                path=f"{root}/files/f/versions/{number}", fields=version, expected=Expect.ABSENT,
                server_times=("created_at",),
            ),
            Replace(
                path=f"{root}/files/f", fields=head, expected=Expect.ANYTHING, server_times=("updated_at", "active_at")
            ),
            Replace(path="quota/hand", fields={"used_bytes": number}, expected=Expect.ANYTHING),
            Replace(path=f"{root}/blobs/{number - 30:064x}", fields={"references": 0}, expected=Expect.ANYTHING),
            Replace(path=f"{root}/blobs/{digest}", fields={"references": 1}, expected=Expect.ABSENT),
        ])  # fmt: skip

    return save


def save_by_library(documents: Any, files: Any, bucket: str) -> Callable[[int], None]:
    from afterimage.artifacts.descriptions import Description
    from afterimage.artifacts.handlers import library_over
    from afterimage.artifacts.library import Saving
    from afterimage.settings import read_settings

    settings = read_settings({"GCLOUD_PROJECT": "demo-bench", "ORIGINALS_BUCKET": bucket})
    library = library_over(documents, files, settings)
    file = library.save("ours", b"begin", Description(name="bench.txt"), Saving(), save="begin").head.file

    def save(number: int) -> None:
        library.save("ours", text(number), Description(), Saving(file=file), save=f"save-{number}")

    return save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=60, help="how many of each are measured")
    saves = parser.parse_args().saves
    from afterimage_emulator.background import BackgroundSuite
    from afterimage_emulator.configuration import Configuration
    from afterimage_emulator.suite import Suite

    with tempfile.TemporaryDirectory() as folder:
        configuration = Configuration(root=Path(folder), project_id="demo-bench")
        with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as suite:
            os.environ.update(suite.environment())
            from google.cloud import firestore, storage

            from afterimage.store.cloud_files import CloudFiles
            from afterimage.store.firestore_documents import FirestoreDocuments

            documents = FirestoreDocuments(firestore.Client(project="demo-bench"))
            files, bucket = CloudFiles(storage.Client(project="demo-bench")), suite.default_bucket
            kinds = {
                "by hand": save_by_hand(documents, files, bucket),
                "a save": save_by_library(documents, files, bucket),
            }
            taken: dict[str, list[float]] = {name: [] for name in kinds}
            for number in range(30, 62 + saves):
                for name, save in kinds.items():
                    started = time.perf_counter()
                    save(number)
                    if number >= 62:
                        taken[name].append((time.perf_counter() - started) * 1000)
    floor, ours = (statistics.median(taken[name]) for name in ("by hand", "a save"))
    show("a save of 100 KB", [Figure("a save", ours, "ms", floor, f"{saves} of each; at most ×{MOST_RATIO}")])


if __name__ == "__main__":
    main()
