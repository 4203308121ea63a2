"""The contract: every field that functions write for clients is on the page that clients read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afterimage.media.pipeline import Pipeline
from tests.functions.artifacts.desk import Desk
from tests.functions.media.test_once import NAMES, PICTURES, SETTINGS
from tests.functions.media_world import World

CONTRACT = (Path(__file__).resolve().parents[3] / "docs" / "contract.md").read_text()
FREE_PARTS = {"card_id", "image_type", "asset_id", "file_uid", "index", "attempts", "claimed_at"}


def field_names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from field_names(inner)
    if isinstance(value, list):
        for inner in value:
            yield from field_names(inner)


def test_every_field_of_a_record_and_of_the_stamp_is_documented() -> None:
    """A client that reads the page knows all there is to read."""
    world = World()
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS, workers=1)
    for name in NAMES:
        pipeline.finalized("uploads", name, world.upload(name, PICTURES[1]).generation)
    written = {name for fields, *_ in world.documents.values() for name in field_names(fields)}
    written |= {name for original, _ in world.originals.values() for name in original.metadata}
    assert len(written) > 30
    prose = re.sub(r"```.*?```", "", CONTRACT, flags=re.DOTALL)
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert written - FREE_PARTS <= documented


def test_every_field_of_saved_files_and_of_their_room_is_documented() -> None:
    """What an owner reads under `artifacts/` and `quota/` stands on the page; what only functions need is said so."""
    desk = Desk(room=100)
    file = desk.save(b"x" * 90, tags=("t",)).head.file
    desk.library.pin("ana", file, 1, is_pinned=True)
    desk.announce(5)
    desk.library.archive("ana", file)
    readable = [
        fields
        for path, (fields, *_) in desk.store.documents.items()
        if "/blobs/" not in path and path.startswith(("artifacts/", "quota/"))
    ]
    assert len(readable) == 6
    written = {name for fields in readable for name in fields}
    prose = re.sub(r"```.*?```", "", CONTRACT, flags=re.DOTALL)
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert sorted(written - documented) == []
