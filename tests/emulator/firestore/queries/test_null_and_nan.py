"""Null and NaN in filters: what compares with them finds nothing, unless it asks for them by name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.queries.query_executor import run_query
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.protos import messages
from tests.emulator.firestore.naive_model import encode
from tests.emulator.firestore.queries.test_queries import NAME, Simulated

_firestore: Any = messages("google.firestore.v1")
STORED: dict[str, Any] = {
    "null": None,
    "nan": math.nan,
    "one": 1,
    "text": "x",
    "list": [1],
    "list_of_null": [None],
    "list_of_nan": [math.nan],
}
EVERYTHING = set(STORED)


@pytest.fixture(scope="module")
def database() -> Database:
    simulated = Simulated()
    for document_id, value in STORED.items():
        simulated.write(f"rooms/{document_id}", {"v": value})
    simulated.write("rooms/without", {"w": 1})
    return simulated.database


def found(database: Database, where: dict[str, Any]) -> set[str]:
    source = _firestore.StructuredQuery(where=where)
    source.from_.add(collection_id="rooms")
    return {document.path.removeprefix("rooms/") for document in run_query(database, parse_query(NAME, "", source))}


@pytest.mark.parametrize(
    ("op", "operand", "expected"),
    [
        ("EQUAL", None, set()),
        ("EQUAL", math.nan, set()),
        ("NOT_EQUAL", None, set()),
        ("NOT_EQUAL", math.nan, EVERYTHING - {"null"}),
        ("LESS_THAN", None, set()),
        ("LESS_THAN_OR_EQUAL", None, set()),
        ("GREATER_THAN_OR_EQUAL", math.nan, set()),
        ("GREATER_THAN", -math.inf, {"one"}),
        ("ARRAY_CONTAINS", None, set()),
        ("ARRAY_CONTAINS", math.nan, set()),
        ("ARRAY_CONTAINS_ANY", [None, math.nan, 1], {"list"}),
        ("IN", [None, math.nan], set()),
        ("IN", [None, 1], {"one"}),
        ("NOT_IN", [None], set()),
        ("NOT_IN", [None, 1], set()),
        ("NOT_IN", [math.nan], EVERYTHING - {"null"}),
        ("NOT_IN", [math.nan, 1], EVERYTHING - {"null", "one"}),
    ],
)
def test_a_comparison_with_null_or_nan(database: Database, op: str, operand: Any, expected: set[str]) -> None:
    """Neither equals anything, itself included; a document with null differs from nothing, one with NaN from all."""
    assert found(database, {"field_filter": {"field": {"field_path": "v"}, "op": op, "value": encode(operand)}}) == (
        expected
    )


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("IS_NULL", {"null"}),
        ("IS_NAN", {"nan"}),
        ("IS_NOT_NULL", EVERYTHING - {"null"}),
        ("IS_NOT_NAN", EVERYTHING - {"null", "nan"}),
    ],
)
def test_asking_for_null_or_nan_by_name(database: Database, op: str, expected: set[str]) -> None:
    """What SDKs make of `== null` and of `!= NaN` finds exactly that; a field that is missing is neither."""
    assert found(database, {"unary_filter": {"field": {"field_path": "v"}, "op": op}}) == expected
