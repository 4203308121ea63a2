"""One event goes all the way: upload, finalize event, function in its own process, derived files, record, delete.

Nothing is faked: the clients are official SDKs, the function is what would be deployed, the rest is sockets and files.
"""

from __future__ import annotations

import base64
import io
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.cloud import firestore, storage
from PIL import Image

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule

PATIENCE_SECONDS = 60.0


class Client:
    """A client of Afterimage that knows the contract and nothing else."""

    def __init__(self, suite: BackgroundSuite) -> None:
        self.suite = suite
        self.uid = f"user-{uuid.uuid4().hex[:8]}"
        self.storage = storage.Client(project=suite.project_id)
        self.firestore = firestore.Client(project=suite.project_id)
        self.bucket = self.storage.bucket(suite.default_bucket)

    def name(self, file: str) -> str:
        return f"users/{self.uid}/ai_generated/images/{file}"

    def upload(self, file: str, content: bytes, content_type: str = "image/jpeg") -> Any:
        blob = self.bucket.blob(self.name(file))
        blob.upload_from_string(content, content_type)
        return blob

    def record(self, file: str) -> dict[str, Any] | None:
        identifier = base64.urlsafe_b64encode(f"{self.bucket.name}/{self.name(file)}".encode()).rstrip(b"=").decode()
        found = self.firestore.document(f"users/{self.uid}/objects/{identifier}").get()
        return found.to_dict() if found.exists else None

    def derived(self, file: str) -> list[str]:
        bucket = f"{self.suite.project_id}-derived"
        prefix = f"{self.bucket.name}/{self.name(file)}/"
        return [blob.name for blob in self.storage.list_blobs(bucket, prefix=prefix)]


def picture(size: tuple[int, int] = (1000, 750), colour: tuple[int, int, int] = (200, 40, 40)) -> bytes:
    stored = io.BytesIO()
    Image.new("RGB", size, colour).save(stored, "JPEG", quality=90)
    return stored.getvalue()


@pytest.fixture
def client(functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    return Client(functions_suite)


def eventually(condition: Callable[[], Any]) -> Any:
    """Waits for a listener's condition by asking; bounded, and says what it waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
    raise AssertionError(f"still not so after {PATIENCE_SECONDS:g} s")


def test_an_uploaded_picture_becomes_thumbnails_and_a_record(client: Client) -> None:
    """What the README promises: a JPEG goes in by one official SDK, thumbnails and their record come out by two."""
    blob = client.upload("dragon_portrait.jpg", picture())
    client.suite.settled(PATIENCE_SECONDS)
    record = client.record("dragon_portrait.jpg")
    assert record is not None
    assert record["status"] == "ready", record["reason"]
    assert record["generation"] == int(blob.generation)
    assert (record["source"]["width"], record["source"]["height"]) == (1000, 750)
    smallest = record["variants"][0]
    content = client.storage.bucket(smallest["bucket"]).blob(smallest["path"]).download_as_bytes()
    with Image.open(io.BytesIO(content)) as image:
        assert (image.width, image.height) == (200, 150)
        red, green, blue = image.convert("RGB").getpixel((100, 75))  # type: ignore[misc]
    assert abs(red - 200) < 12
    assert abs(green - 40) < 12
    assert abs(blue - 40) < 12


def test_a_listener_sees_the_record_appear(client: Client) -> None:
    """A client that listens before it uploads is told by itself, with no asking again."""
    file = "listened_portrait.jpg"
    identifier = base64.urlsafe_b64encode(f"{client.bucket.name}/{client.name(file)}".encode()).rstrip(b"=").decode()
    seen: list[str] = []

    def see(snapshots: list[Any], changes: Any, read_time: Any) -> None:
        seen.extend(snapshot.get("status") for snapshot in snapshots if snapshot.exists)

    watch = client.firestore.document(f"users/{client.uid}/objects/{identifier}").on_snapshot(see)
    client.upload(file, picture())
    eventually(lambda: "ready" in seen)
    watch.close()
    assert seen[-1] == "ready"
    assert set(seen) <= {"processing", "ready"}


def test_a_deleted_picture_takes_all_that_was_made_of_it_along(client: Client) -> None:
    """The delete event removes the derived files and the record of that generation."""
    blob = client.upload("gone_portrait.jpg", picture())
    client.suite.settled(PATIENCE_SECONDS)
    assert client.derived("gone_portrait.jpg")
    blob.delete()
    client.suite.settled(PATIENCE_SECONDS)
    assert client.derived("gone_portrait.jpg") == []
    assert client.record("gone_portrait.jpg") is None


def test_an_overwrite_leaves_the_new_generation_alone(client: Client) -> None:
    """Finalize of the new and delete of the old come in any order; the end is the new one, and only it."""
    client.upload("twice_portrait.jpg", picture(colour=(10, 10, 200)))
    second = client.upload("twice_portrait.jpg", picture((640, 480)))
    client.suite.settled(PATIENCE_SECONDS)
    record = client.record("twice_portrait.jpg")
    assert record is not None
    assert (record["status"], record["generation"]) == ("ready", int(second.generation))
    assert all(f"/{second.generation}/" in path for path in client.derived("twice_portrait.jpg"))


def test_duplicated_and_shuffled_events_change_nothing(client: Client) -> None:
    """Each event comes four times, out of order; the end is what one orderly delivery would have left."""
    fault = client.suite.add_fault(
        FaultRule(
            action="duplicate", copies=3, seconds=0.05, seed=11, match={"subject": f"objects/users/{client.uid}/*"}
        )
    )
    client.suite.add_fault(
        FaultRule(action="reorder", seconds=0.2, seed=12, match={"subject": f"objects/users/{client.uid}/*"})
    )
    try:
        kept = client.upload("kept_portrait.jpg", picture())
        client.upload("dropped_portrait.jpg", picture()).delete()
        client.suite.settled(PATIENCE_SECONDS)
    finally:
        client.suite.clear_faults()
    assert fault
    record = client.record("kept_portrait.jpg")
    assert record is not None
    assert (record["status"], record["generation"]) == ("ready", int(kept.generation))
    assert len(client.derived("kept_portrait.jpg")) == len(record["variants"])
    assert client.record("dropped_portrait.jpg") is None
    assert client.derived("dropped_portrait.jpg") == []


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", "quarantined"), (b"not a picture at all", "quarantined"), (picture()[:2000], "quarantined")],
    ids=["empty", "text", "truncated"],
)
def test_what_is_no_picture_is_said_to_be_none(client: Client, content: bytes, status: str) -> None:
    """Broken files end in a status with a reason that a user can be shown, and nothing is derived from them."""
    client.upload("broken_portrait.jpg", content)
    client.suite.settled(PATIENCE_SECONDS)
    record = client.record("broken_portrait.jpg")
    assert record is not None
    assert record["status"] == status
    assert record["reason"]
    assert client.derived("broken_portrait.jpg") == []


def test_a_file_outside_the_grammar_is_left_alone(client: Client) -> None:
    """Other applications may share the bucket."""
    blob = client.bucket.blob(f"elsewhere/{client.uid}/picture.jpg")
    blob.upload_from_string(picture(), "image/jpeg")
    client.suite.settled(PATIENCE_SECONDS)
    assert (
        list(client.storage.list_blobs(f"{client.suite.project_id}-derived", prefix=f"{client.bucket.name}/elsewhere"))
        == []
    )
    blob.reload()
    assert blob.metageneration == 1
