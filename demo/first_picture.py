"""Sends one picture through Afterimage and shows what comes of it.

A client like any other: it knows the contract (docs/contract.md) and the official SDKs, and finds Firebase by the usual
environment variables. Run it with `make run`, or against any project that has the functions deployed.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import threading
import time
from contextlib import closing
from typing import Any

from google.cloud import firestore, storage
from PIL import Image, ImageDraw

UID = "demo-user"
NAME = f"users/{UID}/ai_generated/images/dragon_portrait.jpg"
PATIENCE_SECONDS = 30.0
FINAL = {"ready", "quarantined", "unsupported", "failed"}


def main() -> int:
    project = os.environ["GCLOUD_PROJECT"]
    bucket = storage.Client(project=project).bucket(json.loads(os.environ["FIREBASE_CONFIG"])["storageBucket"])
    record = firestore.Client(project=project).document(f"users/{UID}/objects/{object_id(bucket.name, NAME)}")
    watched = Watched()
    with closing(record.on_snapshot(watched.see)):
        picture = draw_picture()
        say(f"uploading {NAME} ({len(picture):,} bytes)")
        original = bucket.blob(NAME)
        original.metadata = {"card_id": "dragon", "image_type": "portrait"}
        watched.begin()
        original.upload_from_string(picture, "image/jpeg")
        fields = watched.wait_for_end(int(original.generation))
    if fields is None:
        say(f"nothing has happened after {PATIENCE_SECONDS:g} s; is the function loaded? See the suite's lines above")
        return 1
    show(fields)
    check_downloads(fields)
    return 0 if fields["status"] == "ready" else 1


def object_id(bucket: str, name: str) -> str:
    """Any client can compute where the record will be before it uploads, and listen."""
    return base64.urlsafe_b64encode(f"{bucket}/{name}".encode()).rstrip(b"=").decode()


class Watched:
    """The record as the listener sees it change."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._fields: dict[str, Any] | None = None
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def see(self, snapshots: list[Any], changes: Any, read_time: Any) -> None:
        fields = snapshots[0].to_dict() if snapshots and snapshots[0].exists else None
        with self._changed:
            self._fields = fields
            self._changed.notify_all()
        if fields is not None and self._began:
            variants = len(fields.get("variants") or [])
            say(f"  {(time.perf_counter() - self._began) * 1000:5.0f} ms  {fields['status']:<12} {variants} variants")

    def wait_for_end(self, generation: int) -> dict[str, Any] | None:
        def is_over() -> bool:
            fields = self._fields
            return fields is not None and fields["generation"] >= generation and fields["status"] in FINAL

        with self._changed:
            return self._fields if self._changed.wait_for(is_over, PATIENCE_SECONDS) else None


def show(fields: dict[str, Any]) -> None:
    source = fields["source"]
    say(f"the record: {fields['kind']}, {source['width']} × {source['height']}, owned by {fields['owner']}")
    folder = fields["variants"][0]["path"].rpartition("/")[0] if fields["variants"] else ""
    say(f"derived files in {folder}/")
    for variant in fields["variants"]:
        say(f"  {variant['width']:>5} × {variant['height']:<5} {variant['bytes']:>8,} bytes  {variant['name']}")


def check_downloads(fields: dict[str, Any]) -> None:
    """Reads the smallest variant back, as a client would to show it."""
    smallest = fields["variants"][0]
    content = storage.Client(project=os.environ["GCLOUD_PROJECT"]).bucket(smallest["bucket"]).blob(smallest["path"])
    with Image.open(io.BytesIO(content.download_as_bytes())) as image:
        say(f"downloaded the smallest: {image.format}, {image.width} × {image.height}")


def draw_picture() -> bytes:
    """A picture with something to see at every size."""
    image = Image.new("RGB", (1600, 1200))
    draw = ImageDraw.Draw(image)
    for row in range(1200):
        draw.line([(0, row), (1600, row)], fill=(20 + row // 12, 40, 160 - row // 10))
    for step in range(60):
        draw.ellipse(
            [800 - step * 11, 600 - step * 8, 800 + step * 11, 600 + step * 8], outline=(255, 200 - step * 3, step * 4)
        )
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=90)
    return stored.getvalue()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
