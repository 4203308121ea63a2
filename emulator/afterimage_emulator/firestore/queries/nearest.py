"""Vector search (`find_nearest`): which documents come closest to a vector, exactly, by one of three measures."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Final

from afterimage_emulator.firestore.documents.field_paths import FieldPath, get_field, parse_field_path
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument, path_key
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import VECTOR_MARK, is_reserved, is_vector, vector_elements
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError

MAXIMUM_RESULTS: Final = 1000
EUCLIDEAN, COSINE, DOT_PRODUCT = 1, 2, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """What is searched for: the documents whose vector at `path` is closest to `vector`."""

    path: FieldPath
    vector: tuple[float, ...]
    measure: int
    limit: int
    threshold: float | None = None
    result_field: str = ""
    """The name, not a path, under which answers tell the distance."""


def parse_nearest(source: firestore_v1.StructuredQuery) -> Nearest | None:
    """None for a query that searches for no vector."""
    if not source.HasField("find_nearest"):
        return None
    if source.HasField("limit"):
        raise invalid_argument("A query limit cannot be used with FindNearest")
    if source.offset:
        raise invalid_argument("A query offset cannot be used with FindNearest")
    if source.HasField("start_at") or source.HasField("end_at"):
        raise invalid_argument("A cursor cannot be used with FindNearest")
    given = source.find_nearest
    path = parse_field_path(given.vector_field.field_path)
    limit = given.limit.value if given.HasField("limit") else 0
    if not 1 <= limit <= MAXIMUM_RESULTS:
        raise invalid_argument(f"FindNearest.limit must be a positive integer of no more than {MAXIMUM_RESULTS}")
    if given.distance_measure not in (EUCLIDEAN, COSINE, DOT_PRODUCT):
        raise invalid_argument("Unknown Distance Measure.")
    if given.distance_result_field and is_reserved(given.distance_result_field):
        raise invalid_argument(f'The distanceResultField.property.name "{given.distance_result_field}" is reserved.')
    return Nearest(
        path=path,
        vector=tuple(_asked_vector(given.query_vector)),
        measure=given.distance_measure,
        limit=limit,
        threshold=given.distance_threshold.value if given.HasField("distance_threshold") else None,
        result_field=given.distance_result_field,
    )


def _asked_vector(value: firestore_v1.Value) -> list[float]:
    kind = value.WhichOneof("value_type")
    if kind is None:
        raise invalid_argument("Cannot convert firestore.v1.Value with type unset.")
    if kind != "map_value" or VECTOR_MARK not in value.map_value.fields:
        raise invalid_argument("Query Value must be of type vector.")
    return vector_elements(value.map_value.fields)


class Ranking:
    """Takes documents one by one and keeps what is close enough."""

    def __init__(self, nearest: Nearest) -> None:
        self._nearest = nearest
        self._found: list[tuple[StoredDocument, float]] = []

    def consider(self, document: StoredDocument) -> None:
        """Documents without a vector of as many dimensions take no part."""
        nearest = self._nearest
        value = get_field(document.fields(), nearest.path)
        if value is None or value.WhichOneof("value_type") != "map_value" or not is_vector(value.map_value.fields):
            return
        elements = value.map_value.fields["value"].array_value.values
        if len(elements) != len(nearest.vector):
            return
        distance = _distance(nearest, [element.double_value for element in elements])
        if nearest.threshold is None or self._is_within(distance, nearest.threshold):
            self._found.append((document, distance))

    def _is_within(self, distance: float, threshold: float) -> bool:
        return distance >= threshold if self._nearest.measure == DOT_PRODUCT else distance <= threshold

    def results(self) -> Sequence[StoredDocument]:
        """The closest first, those that are equally close by their names; with their distance where that was asked."""
        closest = heapq.nsmallest(self._nearest.limit, self._found, key=self._rank)
        if not self._nearest.result_field:
            return [document for document, _ in closest]
        return [_with_distance(document, self._nearest.result_field, distance) for document, distance in closest]

    def _rank(self, found: tuple[StoredDocument, float]) -> tuple[object, ...]:
        document, distance = found
        if math.isnan(distance):
            return (1, 0.0, path_key(document.path))
        return (0, -distance if self._nearest.measure == DOT_PRODUCT else distance, path_key(document.path))


def nearest_documents(nearest: Nearest, documents: Iterable[StoredDocument]) -> Sequence[StoredDocument]:
    """All at once, for those who may not let anybody else have a turn."""
    ranking = Ranking(nearest)
    for document in documents:
        ranking.consider(document)
    return ranking.results()


def _distance(nearest: Nearest, stored: list[float]) -> float:
    asked = nearest.vector
    if nearest.measure == EUCLIDEAN:
        return math.dist(asked, stored)
    product: float = sum(map(mul, asked, stored))
    if nearest.measure == DOT_PRODUCT:
        return product
    magnitudes = math.hypot(*asked) * math.hypot(*stored)
    if magnitudes == 0:
        raise StatusError(
            Code.FAILED_PRECONDITION, "Cannot compute cosine distance against a vector with a magnitude of zero."
        )
    return 1 - product / magnitudes


def _with_distance(document: StoredDocument, name: str, distance: float) -> StoredDocument:
    """The document as this answer shows it; one of that name among its fields makes room."""
    message = document.message()
    message.fields[name].double_value = distance
    return StoredDocument(document.path, message.SerializeToString(), document.create_time, document.update_time)
