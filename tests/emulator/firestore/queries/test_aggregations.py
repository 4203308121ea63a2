"""Aggregations through the official client: counts, sums and averages over every kind of number."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.aggregation import AggregationQuery


def only(query: Any) -> Any:
    ((found,),) = query.get()
    return found.value


def fill(client: firestore.Client, *values: Any) -> Any:
    batch = client.batch()
    for number, value in enumerate(values):
        batch.set(client.document(f"s/{number}"), {"v": value, "n": number})
    batch.commit()
    return client.collection("s")


@pytest.mark.parametrize(
    ("values", "total", "average"),
    [
        ([], 0, 0),
        (["x", None, [1]], 0, 0),
        ([1, 2, "x"], 3, 1.5),
        ([1, 2.5], 3.5, 1.75),
        ([2**62, 2**62], float(2**63), float(2**62)),
        ([2**53, 1], 2**53 + 1, (2**53 + 1) / 2),
        ([1e308, 1e308], math.inf, math.inf),
        ([1, math.nan], math.nan, math.nan),
    ],
)
def test_sums_and_averages(client: firestore.Client, values: list[Any], total: Any, average: Any) -> None:
    """Only numbers count; integers stay integers until they overflow; nothing has the sum 0 and no average."""
    things = fill(client, *values)
    for found, expected in ((only(things.sum("v")), total), (only(things.avg("v")), average)):
        assert found == expected or (math.isnan(expected) and math.isnan(found))
        assert found == 0 or type(found) is type(expected)  # the client shows 0 and null as 0.0


def test_a_sum_takes_the_least_first_and_needs_the_field(client: firestore.Client) -> None:
    """As the index that answers: a limit takes the smallest values, and a count beside it ignores documents without."""
    things = fill(client, 5, 1, 9, 3)
    client.document("s/none").set({"n": 7})
    assert only(things.limit(2).sum("v")) == 4
    assert only(things.count()) == 5
    (found,) = things.sum("v", alias="total").count(alias="counted").get()
    assert {result.alias: result.value for result in found} == {"total": 18, "counted": 4}
    assert only(things.order_by("n").start_at({"n": 2}).sum("v")) == 12


def test_counts_stop_where_they_are_told(client: firestore.Client) -> None:
    """A limit, an offset and filters apply before counting."""
    things = fill(client, *range(20))
    assert only(things.limit(7).count()) == 7
    assert only(things.offset(15).count()) == 5
    assert only(things.where(filter=firestore.FieldFilter("v", ">=", 12)).count()) == 8


def test_senseless_aggregations_are_refused(client: firestore.Client) -> None:
    """Two of one name, and none at all, in the official words."""
    things = client.collection("s")
    with pytest.raises(exceptions.InvalidArgument, match="Aggregation aliases contain duplicate alias"):
        things.count(alias="a").sum("v", alias="a").get()
    with pytest.raises(exceptions.InvalidArgument, match="Aggregations can not be empty"):
        AggregationQuery(things._query()).get()
