"""Owns the stage of tests of publishing: Alice, her files, and the functions that make them public or private."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from afterimage.media.pipeline import Pipeline
from afterimage.paths import object_id, public_id, publication_path, published_mark_path, purge_path
from afterimage.publications.publications import PublicationOutcome, Publications
from tests.functions.media.pictures import corners, encoded
from tests.functions.media.test_once import SETTINGS as ONCE
from tests.functions.media_world import DERIVED, World

NAME = "users/alice/ai_generated/images/card_portrait.png"
PICTURE = encoded(corners(96, 64), "PNG")
SETTINGS = replace(ONCE, originals_bucket="uploads", derived_bucket=DERIVED)
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@dataclass
class Stage:
    """Alice, her files, and the functions that make them public."""

    world: World = field(default_factory=World)
    publications: Publications = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.publications = Publications(documents=self.world.store, has_cdn=True, now=lambda: NOW)
        self.pipeline = Pipeline(
            stores=self.world.stores(), settings=SETTINGS, workers=1, follow=self.publications.follow
        )

    def store(self, name: str = NAME, data: bytes = PICTURE, **metadata: str) -> int:
        generation = self.world.upload(name, data, **metadata).generation
        self.pipeline.finalized("uploads", name, generation)
        return generation

    def mark(self, generation: object, name: str = NAME, **fields: object) -> None:
        path = published_mark_path("alice", object_id("uploads", name))
        self.world.store.put(path, {"generation": generation, **fields})

    def unmark(self, name: str = NAME) -> None:
        self.world.store.drop(published_mark_path("alice", object_id("uploads", name)))

    def record_path(self, name: str = NAME) -> str:
        return f"users/alice/objects/{object_id('uploads', name)}"

    def settle(self, name: str = NAME) -> PublicationOutcome:
        return self.publications.settle("alice", object_id("uploads", name))

    def published(self, generation: int, name: str = NAME) -> dict[str, Any] | None:
        return self.world.record(publication_path(public_id("uploads", name, generation)))

    def note(self, generation: int, name: str = NAME) -> dict[str, Any] | None:
        return self.world.record(purge_path(public_id("uploads", name, generation)))

    def public_paths(self) -> list[str]:
        return sorted(path for path in self.world.documents if path.startswith("publications/"))
