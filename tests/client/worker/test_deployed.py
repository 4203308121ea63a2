"""With the project's functions running: the books, the pictures' records, the expiry, and a client that listens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.cloud import pubsub_v1
from google.cloud.firestore import FieldFilter

from afterimage_client.worker.generation import Generation
from afterimage_client.worker.offline.drawing import draw, drawn, picture
from tests.client.worker.conftest import Stage

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"
PATIENCE_SECONDS = 60.0
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_TESTS / "node_modules").is_dir(),
    reason="needs node, and the SDKs that `make node` installs",
)


def eventually(stage: Stage, condition: Callable[[], Any]) -> None:
    """Lets the suite come to rest and looks, again and again; bounded."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        stage.suite.settled(PATIENCE_SECONDS)
        if condition():
            return
        assert time.monotonic() < deadline, "still not so"


def test_a_generation_is_booked_once_at_what_the_worker_confirms(deployed_stage: Stage) -> None:
    """However often it is asked for; a failure counts as one; each stored file has its record and its bytes."""
    stage, user = deployed_stage, deployed_stage.user()

    def dear(job: Generation) -> None:
        for data in drawn(job.request):
            job.add(data)
        job.made_by("sdxl-turbo")
        job.confirm_cost(Decimal("0.0021"))

    def breaks(_job: Generation) -> None:
        raise RuntimeError

    worker = stage.worker()
    asked = user.asks(num_images=2, seed=1, cost_usd=900, model="imagen-4.0-generate-001")
    with pytest.raises(RuntimeError):
        worker.handle(asked | {"file_uid": "f2"}, breaks)
    with pytest.raises(RuntimeError):
        worker.handle(asked, breaks)
    response = worker.handle(asked, dear)
    assert worker.handle(asked, breaks) == response

    def books() -> dict[str, Any]:
        return user.firestore.document(f"usage/{user.uid}").get().to_dict() or {}

    weight = sum(map(len, user.files().values()))
    eventually(
        stage,
        lambda: (
            books().get("totals", {}).get("failures") == 1
            and books().get("storage", {}).get("bytes", {}).get("images") == weight
        ),
    )
    totals = books()["totals"]
    assert (totals["generations"], totals["failures"], totals["cost_nano_usd"]) == (1, 1, 2_100_000)
    assert "reported_nano_usd" not in totals
    assert set(books()["models"]) >= {"sdxl-turbo"}
    record = user.firestore.document(f"usage/{user.uid}/records/files~f1").get().to_dict()
    assert (record["status"], record["cost_source"], record["cost_nano_usd"]) == ("booked", "confirmed", 2_100_000)
    user.check_whole(response)
    objects = [each.to_dict() for each in user.firestore.collection(f"users/{user.uid}/objects").get()]
    assert {(each["status"], each["output"]["document"]) for each in objects} == {
        ("ready", f"generations/{user.uid}/files/f1")
    }


def test_the_film_of_the_offline_generator_is_a_film(deployed_stage: Stage) -> None:
    """The functions inspect it as any other: its kind, its length and its size are read from its bytes."""
    user = deployed_stage.user()
    asked = user.asks(task_type="text2video", video_width=64, video_height=48, num_frames=10, fps=5)
    deployed_stage.worker().handle(asked, draw)
    objects = user.firestore.collection(f"users/{user.uid}/objects")
    eventually(deployed_stage, lambda: [each.to_dict()["kind"] for each in objects.get()] == ["video"])
    source = objects.get()[0].to_dict()["source"]
    assert (source["content_type"], source["type_mismatch"]) == ("video/mp4", False)


def test_the_expiry_runs_by_its_schedule_and_by_its_topic(deployed_stage: Stage) -> None:
    """The schedule only publishes; asked for files, the job deletes one that no generation names."""
    stage, user = deployed_stage, deployed_stage.user()
    jobs = user.firestore.collection("_jobs")

    def done(*, files: bool) -> list[dict[str, Any]]:
        found = [each.to_dict() for each in jobs.where(filter=FieldFilter("kind", "==", "generations.expire")).get()]
        return [job for job in found if job["state"] == "done" and bool(job["request"].get("files")) is files]

    stage.suite.call(lambda: stage.suite.suite.run_schedule("generations_look"))
    eventually(stage, lambda: done(files=False))
    blob = user.bucket.blob(f"generating/{user.uid}/image/lost.png")
    blob.metadata = {"generation_run": "r", "file_uid": "lost"}
    blob.upload_from_string(picture("a city", 1, 16, 16), content_type="image/png")
    publisher = pubsub_v1.PublisherClient()
    topic = publisher.topic_path(stage.suite.project_id, "generations.expire")
    message = json.dumps({"job": f"by-hand-{uuid.uuid4().hex}", "files": True})
    publisher.publish(topic, message.encode()).result(timeout=30)
    eventually(stage, lambda: done(files=True) and not user.files())


@needs_node
def test_a_listening_client_sees_each_change(stage: Stage) -> None:
    """The seed's own code with the official JavaScript SDK: absent, processing, completed, then the links."""
    client = subprocess.Popen(
        ["node", "listening_client.mjs", stage.suite.project_id, "f1"],
        cwd=NODE_TESTS,
        env={**os.environ, **stage.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None

    def heard() -> dict[str, Any]:
        assert client.stdout is not None
        line: dict[str, Any] = json.loads(client.stdout.readline())
        return line

    who = heard()
    user = stage.user()
    user.uid, user.id_token = who["uid"], who["idToken"]
    assert heard() == {"status": None}

    def make(job: Generation) -> None:
        # The client has been told before anything is made.
        assert heard() == {"status": "processing"}
        draw(job)

    worker = stage.worker()
    response = worker.handle(user.asks(num_images=2), make)
    assert heard() == {"status": "completed"}
    assert heard() == {"urls": response["images"], "history": ["f1"], "seconds": True}
    assert client.wait() == 0
    client.stdout.close()
