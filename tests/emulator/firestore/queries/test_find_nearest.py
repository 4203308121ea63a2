"""Vector search through the official client and over REST: exact by every measure, filtered first, refused in words."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.vector import Vector

from afterimage_emulator.protos import firestore_v1
from tests.emulator.firestore.conftest import RunningFirestore

Rows = dict[str, list[float]]
OWNER = {"authorization": "Bearer owner"}


def euclidean(a: list[float], b: list[float]) -> float:
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: list[float], b: list[float]) -> float:
    return 1 - dot(a, b) / (euclidean(a, [0.0] * len(a)) * euclidean(b, [0.0] * len(b)))


MEASURES: dict[DistanceMeasure, tuple[Callable[[list[float], list[float]], float], bool]] = {
    DistanceMeasure.EUCLIDEAN: (euclidean, False),
    DistanceMeasure.COSINE: (cosine, False),
    DistanceMeasure.DOT_PRODUCT: (dot, True),
}


def fill(client: firestore.Client, rows: Rows) -> Any:
    batch = client.batch()
    for number, (name, vector) in enumerate(rows.items()):
        batch.set(client.document(f"s/{name}"), {"v": Vector(vector), "color": ("red", "blue")[number % 2]})
    batch.commit()
    return client.collection("s")


def random_rows(count: int, dimension: int) -> Rows:
    chance = random.Random(count * dimension)
    return {f"d{n:03}": [chance.uniform(-1, 1) for _ in range(dimension)] for n in range(count)}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("threshold", [None, 0.6])
def test_the_closest_come_first_with_their_exact_distance(
    client: firestore.Client, measure: DistanceMeasure, threshold: float | None
) -> None:
    """As a naive scan ranks them, up to the limit, and none beyond the threshold."""
    rows, asked = random_rows(60, 5), [0.3, -0.2, 0.9, 0.0, 0.4]
    by, is_descending = MEASURES[measure]
    ranked = sorted(rows, key=lambda name: (-by(asked, rows[name]) if is_descending else by(asked, rows[name]), name))
    if threshold is not None:
        ranked = [n for n in ranked if (by(asked, rows[n]) >= threshold) == is_descending or by(asked, rows[n]) == 0.6]
    found = (
        fill(client, rows)
        .find_nearest("v", Vector(asked), 7, measure, distance_result_field="d", distance_threshold=threshold)
        .get()
    )
    assert [document.id for document in found] == ranked[:7]
    for document in found:
        assert document.get("d") == pytest.approx(by(asked, rows[document.id]), rel=1e-12, abs=1e-12)
        assert document.get("v") == Vector(rows[document.id]), "what is stored is shown too"


def test_only_vectors_of_as_many_dimensions_take_part(client: firestore.Client) -> None:
    """Other vectors, plain arrays, other types and missing fields are passed over without an error."""
    collection = fill(client, {"a": [1.0, 1.0], "b": [9.0, 9.0], "long": [1.0, 1.0, 1.0]})
    client.document("s/array").set({"v": [1.0, 1.0]})
    client.document("s/text").set({"v": "1,1"})
    client.document("s/none").set({"w": 1})
    found = collection.find_nearest("v", Vector([1.0, 1.0]), 10, DistanceMeasure.EUCLIDEAN).get()
    assert [document.id for document in found] == ["a", "b"]


def test_ties_come_by_name_and_zero_thresholds_count(client: firestore.Client) -> None:
    """Equally close documents are ordered; a threshold of 0 is one."""
    collection = fill(client, {"c": [1.0], "a": [1.0], "b": [1.0], "far": [2.0]})
    found = collection.find_nearest("v", Vector([1.0]), 10, DistanceMeasure.EUCLIDEAN, distance_threshold=0.0).get()
    assert [document.id for document in found] == ["a", "b", "c"]


def test_filters_select_before_vectors_are_compared(client: firestore.Client) -> None:
    """A closer vector that the filter leaves out takes nobody's place; groups are searched as well."""
    rows = random_rows(30, 3)
    collection = fill(client, rows)
    reds = [name for number, name in enumerate(rows) if number % 2 == 0]
    asked = [0.1, 0.2, 0.3]
    expected = sorted(reds, key=lambda name: euclidean(asked, rows[name]))[:4]
    for source in (collection, client.collection_group("s")):
        query = source.where(filter=FieldFilter("color", "==", "red"))
        found = query.find_nearest("v", Vector(asked), 4, DistanceMeasure.EUCLIDEAN).get()
        assert [document.id for document in found] == expected


def test_the_distance_is_told_under_a_name_beside_what_is_selected(client: firestore.Client) -> None:
    """A name with a dot is a name; a field of that name makes room in the answer, not in the store; paths reach in."""
    client.document("s/a").set({"m": {"v": Vector([3.0, 4.0])}, "n": 1, "a.b": "kept"})
    query = client.collection("s").select(["n"])
    (found,) = query.find_nearest(
        "m.v", Vector([0.0, 0.0]), 1, DistanceMeasure.EUCLIDEAN, distance_result_field="a.b"
    ).get()
    assert found.to_dict() == {"n": 1, "a.b": 5.0}
    assert client.document("s/a").get().to_dict() == {"m": {"v": Vector([3.0, 4.0])}, "n": 1, "a.b": "kept"}


def test_the_nearest_are_counted_and_found_in_transactions(client: firestore.Client) -> None:
    """A count is of what the search answers; a transaction locks what it found."""
    vectors = fill(client, random_rows(20, 2)).find_nearest("v", Vector([0.0, 0.0]), 6, DistanceMeasure.EUCLIDEAN)

    def in_transaction(transaction: Any) -> list[str]:
        found = [document.id for document in vectors.get(transaction=transaction)]
        transaction.set(client.document("log/a"), {"found": found})
        return found

    found_in: Callable[[Any], list[str]] = firestore.transactional(in_transaction)
    assert found_in(client.transaction()) == [document.id for document in vectors.get()]


def test_a_zero_vector_has_no_cosine(client: firestore.Client) -> None:
    """The whole search is refused, as in production."""
    collection = fill(client, {"a": [1.0, 0.0], "zero": [0.0, 0.0]})
    with pytest.raises(exceptions.FailedPrecondition, match="a vector with a magnitude of zero"):
        collection.find_nearest("v", Vector([1.0, 1.0]), 5, DistanceMeasure.COSINE).get()


VECTOR: dict[str, Any] = {
    "mapValue": {
        "fields": {
            "__type__": {"stringValue": "__vector__"},
            "value": {"arrayValue": {"values": [{"doubleValue": 1.0}, {"doubleValue": 0.0}]}},
        }
    }
}
SEARCH: dict[str, Any] = {
    "vectorField": {"fieldPath": "v"},
    "queryVector": VECTOR,
    "distanceMeasure": "EUCLIDEAN",
    "limit": 3,
}
TOO_MANY: dict[str, Any] = {
    "mapValue": {
        "fields": {
            "__type__": {"stringValue": "__vector__"},
            "value": {"arrayValue": {"values": [{"doubleValue": 1.0}] * 2049}},
        }
    }
}


@pytest.mark.parametrize(
    ("search", "query", "says"),
    [
        ({"limit": 0}, {}, "FindNearest.limit must be a positive integer of no more than 1000"),
        ({"limit": 1001}, {}, "FindNearest.limit must be a positive integer of no more than 1000"),
        ({"limit": None}, {}, "FindNearest.limit must be a positive integer of no more than 1000"),
        ({"distanceMeasure": None}, {}, "Unknown Distance Measure."),
        ({"queryVector": {"arrayValue": {}}}, {}, "Query Value must be of type vector."),
        ({"queryVector": {}}, {}, "Cannot convert firestore.v1.Value with type unset."),
        ({"queryVector": TOO_MANY}, {}, "Vectors must be at most 2048 dimensions."),
        ({"distanceResultField": "__x__"}, {}, 'The distanceResultField.property.name "__x__" is reserved.'),
        ({}, {"limit": 3}, "A query limit cannot be used with FindNearest"),
        ({}, {"offset": 3}, "A query offset cannot be used with FindNearest"),
        (
            {},
            {"orderBy": [{"field": {"fieldPath": "n"}}], "startAt": {"values": [{"integerValue": "1"}]}},
            "A cursor cannot be used with FindNearest",
        ),
    ],
)
def test_what_production_refuses_beside_a_search(
    running: RunningFirestore, project: str, search: Any, query: Any, says: str
) -> None:
    """The official words, each for its own mistake."""
    find = {name: value for name, value in {**SEARCH, **search}.items() if value is not None}
    answer = ask(running, project, {**query, "findNearest": find})
    assert answer.status_code == 400
    assert answer.json()[0]["error"]["message"] == says


def ask(running: RunningFirestore, project: str, query: Any) -> requests.Response:
    parent = f"projects/{project}/databases/(default)/documents"
    body = {"structuredQuery": {"from": [{"collectionId": "s"}], **query}}
    return requests.post(f"http://{running.address}/v1/{parent}:runQuery", json=body, headers=OWNER, timeout=10)


def test_the_same_over_rest(running: RunningFirestore, client: firestore.Client) -> None:
    """What gRPC finds, REST finds, distances included."""
    fill(client, {"a": [1.0, 0.0], "b": [4.0, 4.0], "c": [1.0, 1.0]})
    answer = ask(running, client.project, {"findNearest": {**SEARCH, "distanceResultField": "d"}}).json()
    found = [
        (row["document"]["name"].rpartition("/")[2], row["document"]["fields"]["d"]["doubleValue"]) for row in answer
    ]
    assert found == [("a", 0.0), ("c", 1.0), ("b", 5.0)]


def test_a_search_cannot_be_listened_to(running: RunningFirestore, client: firestore.Client) -> None:
    """The target is refused by name, and the stream goes on."""

    database = f"projects/{client.project}/databases/(default)"
    request = firestore_v1.ListenRequest(database=database)
    request.add_target.target_id = 2
    request.add_target.query.parent = f"{database}/documents"
    source = request.add_target.query.structured_query
    source.from_.add(collection_id="s")
    source.find_nearest.vector_field.field_path = "v"
    source.find_nearest.distance_measure, source.find_nearest.limit.value = 1, 3
    vector = source.find_nearest.query_vector.map_value.fields
    vector["__type__"].string_value = "__vector__"
    vector["value"].array_value.values.add().double_value = 1.0
    with grpc.insecure_channel(running.address) as channel:
        listen = channel.stream_stream("/google.firestore.v1.Firestore/Listen")
        replies = listen(iter([request.SerializeToString()]), metadata=list(OWNER.items()), timeout=10)
        change = firestore_v1.ListenResponse.FromString(next(iter(replies))).target_change
    assert (change.target_change_type, change.cause.code) == (2, 3)
    assert "cannot be listened to" in change.cause.message
