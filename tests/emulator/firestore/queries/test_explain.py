"""Explain: plan and statistics in the shape that the official client reads, over gRPC and REST."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter, Or
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.query_profile import ExplainOptions
from google.cloud.firestore_v1.vector import Vector

from tests.emulator.firestore.conftest import RunningFirestore

ANALYZE, PLAN = ExplainOptions(analyze=True), ExplainOptions(analyze=False)


@pytest.fixture
def rooms(client: firestore.Client) -> Any:
    batch = client.batch()
    for number in range(12):
        batch.set(
            client.document(f"rooms/{number:02}"),
            {"n": number, "k": number % 3, "tags": ["x"], "v": Vector([float(number), 1.0])},
        )
    batch.commit()
    return client.collection("rooms")


def explained(query: Any, options: ExplainOptions = ANALYZE) -> Any:
    results = query.get(explain_options=options)
    return list(results), results.get_explain_metrics()


def indexes(metrics: Any) -> list[tuple[str, str]]:
    return [(used["properties"], used["query_scope"]) for used in metrics.plan_summary.indexes_used]


def equal(field: str, value: Any) -> FieldFilter:
    return FieldFilter(field, "==", value)


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        (lambda rooms: rooms, ["(__name__ ASC)"]),
        (lambda rooms: rooms.where(filter=equal("k", 1)), ["(k ASC, __name__ ASC)"]),
        (lambda rooms: rooms.order_by("n", direction="DESCENDING"), ["(n DESC, __name__ DESC)"]),
        (
            lambda rooms: rooms.where(filter=FieldFilter("tags", "array_contains", "x")),
            ["(tags ARRAY_CONTAINS, __name__ ASC)"],
        ),
        (
            lambda rooms: rooms.where(filter=equal("k", 1)).where(filter=equal("n", 1)),
            ["(k ASC, __name__ ASC)", "(n ASC, __name__ ASC)"],
        ),
        (lambda rooms: rooms.where(filter=FieldFilter("k", "in", [0, 1])), ["(k ASC, __name__ ASC)"] * 2),
        (lambda rooms: rooms.where(filter=FieldFilter("k", "!=", 1)), ["(k ASC, __name__ ASC)"] * 2),
        (lambda rooms: rooms.where(filter=FieldFilter("k", "not-in", [0, 1])), ["(k ASC, __name__ ASC)"] * 3),
        (
            lambda rooms: rooms.where(filter=Or([equal("k", 1), equal("n", 5)])),
            ["(k ASC, __name__ ASC)", "(n ASC, __name__ ASC)"],
        ),
        (lambda rooms: rooms.where(filter=equal("k", 1)).order_by("n"), ["(k ASC, n ASC, __name__ ASC)"]),
        (
            lambda rooms: rooms.where(filter=equal("k", 1)).find_nearest(
                "v", Vector([1.0, 1.0]), 2, DistanceMeasure.EUCLIDEAN
            ),
            ["(k ASC, __name__ ASC, v VECTOR<2>)"],
        ),
    ],
)
def test_the_plan_names_the_indexes_that_production_reads(rooms: Any, asked: Any, used: list[str]) -> None:
    """One for each range, nothing is carried out, and no statistics are told."""
    found, metrics = explained(asked(rooms), PLAN)
    assert found == []
    assert indexes(metrics) == [(properties, "Collection") for properties in used]
    with pytest.raises(Exception, match="execution_stats"):
        _ = metrics.execution_stats


def test_the_plan_of_a_collection_group_says_so(client: firestore.Client, rooms: Any) -> None:
    """The scope is part of an index."""
    _, metrics = explained(client.collection_group("rooms"), PLAN)
    assert indexes(metrics) == [("(__name__ ASC)", "Collection group")]


@pytest.mark.parametrize(
    ("asked", "results", "reads", "entries", "billing"),
    [
        (lambda rooms: rooms.where(filter=equal("k", 1)), 4, 4, "4", {"documents_billable": "4"}),
        (lambda rooms: rooms.order_by("n").limit(5), 5, 5, "6", {"documents_billable": "5"}),
        (lambda rooms: rooms.order_by("n").limit(12), 12, 12, "12", {"documents_billable": "12"}),
        (lambda rooms: rooms.order_by("n").offset(2).limit(3), 3, 5, "6", {"documents_billable": "5"}),
        (
            lambda rooms: rooms.where(filter=equal("k", 9)),
            0,
            1,
            "0",
            {"documents_billable": "0", "min_query_cost": "1"},
        ),
        (
            lambda rooms: rooms.find_nearest("v", Vector([1.0, 1.0]), 2, DistanceMeasure.EUCLIDEAN),
            2,
            3,
            "12",
            {"documents_billable": "2", "knn_vector_index_entries_billable": "12"},
        ),
    ],
)
def test_statistics_count_what_was_read(
    rooms: Any, asked: Any, results: int, reads: int, entries: str, billing: dict[str, str]
) -> None:
    """Documents are read once each, skipped ones too; a query that finds nothing costs one read."""
    found, metrics = explained(asked(rooms))
    stats = metrics.execution_stats
    assert (len(found), stats.results_returned, stats.read_operations) == (results, results, reads)
    assert stats.debug_stats["index_entries_scanned"] == entries
    assert stats.debug_stats["documents_scanned"] == billing["documents_billable"]
    assert stats.debug_stats["billing_details"].items() >= billing.items()
    assert stats.execution_duration.total_seconds() >= 0


def test_an_aggregation_reads_entries_and_no_document(rooms: Any) -> None:
    """A thousand entries are one read."""
    results = rooms.count(alias="all").get(explain_options=ANALYZE)
    assert results[0][0].value == 12
    metrics = results.get_explain_metrics()
    stats = metrics.execution_stats
    assert (stats.results_returned, stats.read_operations) == (1, 1)
    assert stats.debug_stats["billing_details"]["index_entries_billable"] == "12"
    assert stats.debug_stats["documents_scanned"] == "0"
    summed = rooms.where(filter=equal("k", 1)).sum("n").get(explain_options=PLAN)
    assert list(summed) == []
    assert indexes(summed.get_explain_metrics()) == [("(k ASC, n ASC, __name__ ASC)", "Collection")]


def test_over_rest_metrics_ride_on_the_last_document(running: RunningFirestore, rooms: Any) -> None:
    """As many messages as documents; names inside of free-form parts stay as they are, numbers are texts."""
    parent = f"projects/{rooms._client.project}/databases/(default)/documents"
    query = {"structuredQuery": {"from": [{"collectionId": "rooms"}], "limit": 2}}

    def ask(analyze: bool) -> Any:
        body: Any = {**query, "explainOptions": {"analyze": analyze}}
        url = f"http://{running.address}/v1/{parent}:runQuery"
        return requests.post(url, json=body, headers={"authorization": "Bearer owner"}, timeout=10).json()

    first, last = ask(True)
    assert "explainMetrics" not in first
    stats = last["explainMetrics"]["executionStats"]
    assert (stats["resultsReturned"], stats["readOperations"]) == ("2", "2")
    assert last["explainMetrics"]["planSummary"]["indexesUsed"] == [
        {"properties": "(__name__ ASC)", "query_scope": "Collection"}
    ]
    (plan,) = ask(False)
    assert set(plan) == {"explainMetrics"}
    assert set(plan["explainMetrics"]) == {"planSummary"}
