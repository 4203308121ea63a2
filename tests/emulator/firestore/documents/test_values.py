"""Values: one total order over all types, exact across number types; sizes and limits as documented."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.firestore.documents.field_paths import format_field_path, parse_field_path
from afterimage_emulator.firestore.documents.resource_paths import path_key
from afterimage_emulator.firestore.documents.values import check_fields, check_size, document_size, sort_key
from afterimage_emulator.status import StatusError
from tests.emulator.firestore.naive_model import Geo, Reference, Vector, compare, compare_paths, encode
from tests.thoroughness import examples

names = st.sampled_from(["projects/p/databases/d/documents/a/" + i for i in ("b", "__id7__", "__id-10__", "é", "b!")])
numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([2**53, 2**53 + 1, float(2**53), -0.0, 0, 0.0, 2**63 - 1, float(2**63), 1e300, math.inf, math.nan]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.text(max_size=4),
    st.binary(max_size=4),
    st.datetimes(timezones=st.just(UTC)),
    names.map(Reference),
    st.builds(Geo, st.sampled_from([-90.0, 0.0, 1.5]), st.sampled_from([-1.0, 0.0, 180.0])),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=3).map(lambda e: Vector(tuple(e))),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner.filter(lambda v: not isinstance(v, list)), max_size=3),
        st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(values, values)
@settings(max_examples=examples(300), deadline=None)
def test_keys_order_values_as_documented(left: Any, right: Any) -> None:
    """Two keys compare as the documented order says of their values, equal ones included."""
    a, b = sort_key(encode(left)), sort_key(encode(right))
    assert (a > b) - (a < b) == compare(left, right)
    assert (a == b) == (compare(left, right) == 0)
    if a == b:
        assert hash(a) == hash(b)


def test_types_follow_each_other() -> None:
    """Null, booleans, NaN, numbers, timestamps, strings, bytes, references, places, arrays, vectors, maps."""
    reference = Reference("projects/p/databases/d/documents/a/b")
    ordered: list[Any] = [
        None, False, True, math.nan, -math.inf, -(2**63), -1.5, -0.0, 2**53, 2**53 + 1, float(2**53 + 2), math.inf,
        datetime(1, 1, 1, tzinfo=UTC), "", "a", "ａ", "😀", b"", b"\xff", reference, Geo(-90, 0), Geo(0, 1), [], [None],
        [1], [1, 2], Vector((9.0,)), Vector((1.0, 1.0)), {}, {"a": 1}, {"a": 1, "b": 0}, {"b": 0},
    ]  # fmt: skip
    keys = [sort_key(encode(value)) for value in ordered]
    assert keys == sorted(keys)
    assert all(a < b for a, b in itertools.pairwise(keys))


@given(st.lists(st.sampled_from(["a", "a!", "b", "__id1__", "__id-3__", "__id10__", "z/y/x"]), min_size=2, max_size=2))
def test_paths_are_ordered_segment_by_segment(ids: list[str]) -> None:
    """`a/z` comes before `a!/b` though `!` sorts before `/`; numeric ids come first, by number."""
    left, right = (f"c/{i}" for i in ids)
    a, b = path_key(left), path_key(right)
    assert (a > b) - (a < b) == compare_paths(left, right)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_any_field_name_survives_quoting(path: list[str]) -> None:
    """Whatever a field is called, its path is written so that it reads back the same."""
    assert parse_field_path(format_field_path(tuple(path))) == tuple(path)


def fields(**given: Any) -> Any:
    return encode(given).map_value.fields


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (fields(a=[[1]]), "Cannot convert an array value in an array value."),
        (fields(__a__=1), "field name __a__ is reserved"),
        (fields(**{"": 1}), "empty string"),
        (fields(**{"x" * 1501: 1}), "longer than 1500 bytes"),
        (fields(a="é" * 600_000), "longer than 1048487 bytes"),
        (fields(a=Geo(91, 0)), "latitude"),
        (fields(a={"__type__": "__vector__", "value": [1]}), "only contain values of type 'double'"),
        (fields(a={"__type__": "__vector__", "value": [math.nan]}), "cannot contain NaN"),
        (fields(a={"__type__": "__vector__", "value": []}), "Cannot have a zero length vector."),
        (fields(a=Vector((1.0,) * 2049)), "at most 2048 dimensions"),
        (fields(a={"__type__": "__vector__"}), "missing key 'value'"),
        (fields(a={"__type__": "__vector__", "value": 1.0}), "must be an array"),
        (fields(a={"__type__": "__vector__", "value": [1.0], "x": 1}), "extraneous"),
        (fields(m={"a": {"__type__": "__x__"}}), "Property m contains an invalid nested entity."),
        (fields(m={"x" * 800: {"y" * 800: 1}}), "Property m contains an invalid nested entity."),
        (fields(a={"b": Reference("nonsense")}), "no resource name"),
    ],
)
def test_what_firestore_refuses_is_refused(bad: Any, said: str) -> None:
    """Each documented limit names itself and the property."""
    with pytest.raises(StatusError, match=said):
        check_fields(bad)


def test_nesting_ends_at_twenty() -> None:
    """Twenty maps and arrays around a value pass, one more does not; a vector is a value."""

    def nested(depth: int, *, innermost: Any) -> Any:
        value: Any = innermost
        for _ in range(depth - 1):
            value = {"m": value}
        return fields(top=value)

    vector = Vector((1.0, 2.0))
    for innermost in ({"m": 1}, [1], [vector], {"m": vector}):
        check_fields(nested(20, innermost=innermost))
        with pytest.raises(StatusError, match=r"^Property top contains an invalid nested entity\.$"):
            check_fields(nested(21, innermost=innermost))


def test_sizes_follow_the_formula() -> None:
    """The example of the documentation, and the limit of a document at its very byte."""
    task = fields(type="Personal", done=False, priority=1, description="Learn Cloud Firestore")
    assert document_size("users/jeff/tasks/my_task_id", task) == 27 + 1 + 16 + 71 + 32

    def of_size(size: int) -> Any:
        return fields(a="x" * 600_000, b="x" * (size - 600_000 - document_size("c/d", fields(a="", b=""))))

    check_size("c/d", "c/d", of_size(1_048_576))
    with pytest.raises(StatusError, match=r"its size \(1,048,577 bytes\) exceeds"):
        check_size("c/d", "c/d", of_size(1_048_577))


def test_timestamps_are_cut_to_microseconds() -> None:
    """Nanoseconds are dropped, not rounded."""
    given_fields = fields(a=datetime(2020, 1, 1, tzinfo=UTC))
    given_fields["a"].timestamp_value.nanos = 1999
    check_fields(given_fields)
    assert given_fields["a"].timestamp_value.nanos == 1000
