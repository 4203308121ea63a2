"""Measures a generation worker: how much smaller answers with links are than those with data, and what its care costs.

    python -m bench.worker [--rounds 20]

Sizes are those of the JSON that goes to the client; the pictures are the offline generator's, which compress like
drawings, better than photographs do. The floor of the times is the bare work by the official clients in the same run:
two commits and an upload, without a fence, a sign of life or a look at what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid
from collections.abc import Callable
from statistics import median
from typing import Any

import httpx2

from afterimage_client.worker.offline.drawing import draw, drawn
from afterimage_client.worker.requests import GenerationRequest
from afterimage_client.worker.worker import Worker
from bench.client import running_suite
from bench.measuring import Figure, show

CASES: dict[str, dict[str, Any]] = {
    "an icon, 16×16": {"width": 16, "height": 16},
    "a picture, 256×256": {"width": 256, "height": 256},
    "a picture, 512×512": {"width": 512, "height": 512},
    "a picture, 1024×1024": {},
    "four pictures, 1024×1024": {"num_images": 4},
    "a film, 49 frames of 832×480": {"task_type": "text2video"},
}


def request(**parameters: Any) -> dict[str, Any]:
    return {"prompt": "a city at sunset", "seed": 7, "file_uid": str(uuid.uuid4()), **parameters}


def sizes(worker: Worker, proof: dict[str, Any]) -> list[Figure]:
    """One row for each case: the answer with links beside the answer with the data."""
    found = []
    for name, parameters in CASES.items():
        asked = request(**parameters)
        inline = len(json.dumps(worker.handle(asked, draw)))
        links = len(json.dumps(worker.handle(asked | proof, draw)))
        found.append(Figure(name, links, "B", floor=inline, note=f"{100 * (1 - links / inline):.2f} % smaller"))
    return found


def seconds(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def times(worker: Worker, proof: dict[str, Any], rounds: int) -> list[Figure]:
    """A whole generation of one small picture, and the same writes without any care."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import firestore, storage

    nobody = AnonymousCredentials()
    documents = firestore.Client(project="demo-bench", credentials=nobody)
    bucket = storage.Client(project="demo-bench", credentials=nobody).bucket(os.environ["BUCKET"])
    small = {"width": 64, "height": 64}
    [picture] = drawn(GenerationRequest.from_input(request(**small)))

    def bare() -> None:
        file_uid = str(uuid.uuid4())
        reference = documents.document(f"generations/bare/files/{file_uid}")
        reference.set({"status": "processing", "created_at": firestore.SERVER_TIMESTAMP})
        bucket.blob(f"generating/bare/image/{file_uid}.png").upload_from_string(picture, content_type="image/png")
        reference.update({"status": "completed", "completed_at": firestore.SERVER_TIMESTAMP})

    def careful() -> None:
        worker.handle(request(**small) | proof, draw)

    for warming in (bare, careful):
        warming()
    floor = seconds(bare, rounds)
    return [Figure("one small picture, asked to answered", 1000 * seconds(careful, rounds), "ms", floor=1000 * floor)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with running_suite() as environment:
        os.environ.update(environment, GOOGLE_CLOUD_PROJECT="demo-bench", FIREBASE_STORAGE_BUCKET=environment["BUCKET"])
        host = environment["FIREBASE_AUTH_EMULATOR_HOST"]
        url = f"http://{host}/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any"
        account = httpx2.post(url, json={"returnSecureToken": True}).raise_for_status().json()
        proof = {"use_cloud_storage": True, "id_token": account["idToken"]}
        worker = Worker.from_environment()
        show("answers with links, beside answers with the data", sizes(worker, proof))
        show("a generation, beside the same writes without care", times(worker, proof, given.rounds))
        worker.close()


if __name__ == "__main__":
    main()
