"""The whole way of a published file: marked by its owner, served by the function, gone when it is taken back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from google.cloud import firestore, storage

from afterimage.paths import object_id, public_id, publication_path, published_mark_path
from afterimage_emulator.background import BackgroundSuite
from tests.functions.media.pictures import corners, encoded

PATIENCE_SECONDS = 60.0


class Owner:
    """Somebody with a picture, who knows the contract and nothing else."""

    def __init__(self, suite: BackgroundSuite) -> None:
        self.uid = f"user-{uuid.uuid4().hex[:8]}"
        self.firestore = firestore.Client(project=suite.project_id)
        self.bucket = storage.Client(project=suite.project_id).bucket(suite.default_bucket)
        self.name = f"users/{self.uid}/ai_generated/images/card_portrait.png"
        self.identifier = object_id(self.bucket.name, self.name)
        self.origin = f"http://{suite.address('functions')}/{suite.project_id}/us-central1/assets"

    def upload(self) -> int:
        blob = self.bucket.blob(self.name)
        blob.upload_from_string(encoded(corners(600, 400), "PNG"), "image/png")
        generation = int(blob.generation)
        record = f"users/{self.uid}/objects/{self.identifier}"
        until(lambda: (self.read(record) or {}).get("status") == "ready")
        return generation

    def read(self, path: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.firestore.document(path).get().to_dict()
        return found

    def mark(self, generation: int) -> None:
        mark = {"generation": generation, "published_at": firestore.SERVER_TIMESTAMP}
        self.firestore.document(published_mark_path(self.uid, self.identifier)).set(mark)

    def public(self, generation: int) -> str:
        return public_id(self.bucket.name, self.name, generation)

    def waits_for(self, generation: int) -> None:
        """Until the file is public."""
        until(lambda: self.published(generation))

    def unmark(self) -> None:
        self.firestore.document(published_mark_path(self.uid, self.identifier)).delete()

    def published(self, generation: int) -> dict[str, Any] | None:
        return self.read(publication_path(public_id(self.bucket.name, self.name, generation)))


def until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


@pytest.fixture
def owner(functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Owner:
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    return Owner(functions_suite)


def test_a_file_is_served_while_its_owner_says_so_and_no_longer(owner: Owner) -> None:
    """Private at first; marked, and there for everybody; deleted, and gone: through the deployed functions alone."""
    generation = owner.upload()
    public = public_id(owner.bucket.name, owner.name, generation)
    with httpx2.Client(trust_env=False, timeout=60) as client:
        record = owner.read(f"users/{owner.uid}/objects/{owner.identifier}") or {}
        variant = next(v for v in record["variants"] if v["name"] == "thumb_200.webp")
        address = f"{owner.origin}/a/{public}/{record['plan']}/thumb_200.webp"
        refused = client.get(address, headers={"X-Request-Id": "request-12345"})
        assert (refused.status_code, refused.headers["cache-control"]) == (404, "private, no-store")
        assert refused.json()["code"] == "NOT_FOUND"
        assert refused.headers["x-request-id"] == "request-12345"

        owner.mark(generation)
        until(lambda: owner.published(generation))
        answer = client.get(address)
        assert (answer.status_code, len(answer.content)) == (200, variant["bytes"])
        assert answer.headers["cache-control"] == "public, max-age=86400, immutable"
        again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        part = client.get(address, headers={"Range": "bytes=4-11"})
        assert (part.status_code, part.content) == (206, answer.content[4:12])
        jpeg = client.get(address.replace(".webp", ".jpg"))
        assert (jpeg.status_code, jpeg.content[:2]) == (200, b"\xff\xd8")

        owner.unmark()
        until(lambda: owner.published(generation) is None)
        assert client.get(address).status_code == 404
        owner.mark(generation)
        until(lambda: owner.published(generation))
        owner.bucket.blob(owner.name).delete()
        until(lambda: owner.published(generation) is None)
        assert client.get(address).status_code == 404
