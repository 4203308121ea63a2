"""How Firestore's own values are kept in a store: as lists of numbers under a tag."""

from __future__ import annotations

from typing import Final

from afterimage_client.database.encoding import ValueKind
from afterimage_client.firestore.values import GeoPoint, Vector

PLACES_AND_VECTORS: Final[tuple[ValueKind, ...]] = (
    ValueKind(
        tag="place",
        kind=GeoPoint,
        encode=lambda place: [place.latitude, place.longitude],
        decode=lambda place: GeoPoint(*place),
    ),
    ValueKind(
        tag="vector",
        kind=Vector,
        encode=lambda vector: list(vector.numbers),
        decode=lambda numbers: Vector(tuple(numbers)),
    ),
)
"""References are not among them: what a reference leads to depends on who reads it."""
