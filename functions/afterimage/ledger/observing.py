"""From what happened to what the books are told: document changes and stored objects as observations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from afterimage import paths
from afterimage.ledger.contribution import facts_of, hits_of, object_facts
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.records import OBJECT_KIND, Observation
from afterimage.paths import Family
from afterimage.store.documents import Document

BYTES_KINDS: Final = {
    Family.AI_IMAGE: "images",
    Family.GENERATED_IMAGE: "images",
    Family.AI_VIDEO: "videos",
    Family.GENERATED_VIDEO: "videos",
    Family.AI_AUDIO: "audio",
    Family.ARTIFACT: "artifacts",
}


def observe_document(
    path: str,
    fields: Mapping[str, Any],
    *,
    created: int,
    version: int,
    is_deleted: bool,
    prices: Prices,
    before: tuple[int, Mapping[str, Any]] | None = None,
) -> Observation | None:
    """What one version of a document says; `fields` are the last ones of a deleted one. None if not for the books.

    `before` is the version that this one replaced, where an event tells.
    """
    booked = paths.parse_booked(path)
    if booked is None:
        return None
    user, kind, identifier = booked
    created_at = datetime.fromtimestamp(created // 1_000_000_000, UTC)
    return Observation(
        user=user,
        kind=kind,
        id=identifier,
        created=created,
        version=version,
        happened=version,
        is_deleted=is_deleted,
        table=prices.version,
        before=None if before is None else (before[0], hits_of(before[1])),
        facts=facts_of(kind, fields, created_at, prices),
    )


def observe_live(found: Document, prices: Prices) -> Observation | None:
    """What a document says that was read, and not told of by an event. None if not for the books."""
    return observe_document(
        found.path, found.fields, created=found.created, version=found.updated, is_deleted=False, prices=prices
    )


def observe_object(
    bucket: str, name: str, *, generation: int, size: int, happened: datetime, is_deleted: bool
) -> Observation | None:
    """What one generation of an object says; None for objects that belong to no user."""
    place = paths.place_of(name)
    if place is None or place.owner is None:
        return None
    return Observation(
        user=place.owner,
        kind=OBJECT_KIND,
        id=paths.object_id(bucket, name),
        created=generation,
        version=generation,
        happened=int(happened.timestamp()) * 1_000_000_000,
        is_deleted=is_deleted,
        table=0,
        facts=object_facts(BYTES_KINDS.get(place.family, "others"), max(size, 0)),
    )
