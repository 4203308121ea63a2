"""Documents over the wire: every type there and back, every way to write, and what bad input is told."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_client import BackoffPolicy, FirebaseApp, FirestoreError
from afterimage_client.firestore import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    ArrayRemove,
    ArrayUnion,
    GeoPoint,
    Increment,
    Maximum,
    Minimum,
    Vector,
)
from afterimage_client.firestore.field_paths import parse_field_path, print_field_path
from afterimage_client.firestore.values import decode, encode, message_sort_key
from afterimage_client.firestore.writes import may_repeat, set_write, update_write
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy

Own = Callable[[str], str]
NOON = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.dictionaries(st.text("abc", min_size=1), inner) | st.lists(SCALARS), max_leaves=8
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    """Through the message and back, types and all."""
    back = decode(encode(value), lambda name: name)
    assert back == value
    assert type(back) is type(value)


@given(st.lists(st.text(min_size=1), min_size=1))
def test_every_field_path_reads_back(names: list[str]) -> None:
    """Whatever the names hold: dots, backticks, backslashes."""
    assert parse_field_path(print_field_path(tuple(names))) == tuple(names)


def test_values_are_ordered_across_types_as_firestore_orders_them() -> None:
    """Null, booleans, numbers (NaN first), times, text, bytes, places, arrays, vectors, maps."""
    ordered: list[Any] = [
        None,
        False,
        True,
        math.nan,
        -math.inf,
        -1,
        0.5,
        2**53 + 1,
        NOON,
        "",
        "a",
        "\U0001f600",
        b"",
        GeoPoint(0, 1),
        [],
        [1],
        [1, 0],
        Vector((5.0,)),
        Vector((1.0, 1.0)),
        {},
        {"a": 1},
        {"b": 0},
    ]
    keys = [message_sort_key(encode(value)) for value in ordered]
    assert sorted(keys) == keys


async def test_every_type_there_and_back(app: FirebaseApp, own: Own) -> None:
    """Over the wire, references and vectors included."""
    document = app.firestore.document(own("notes/all"))
    data = {
        "none": None,
        "yes": True,
        "whole": -(2**63),
        "broken": 0.1,
        "text": "ä\U0001f600\0",
        "bytes": b"\0\xff",
        "time": NOON,
        "place": GeoPoint(-90, 180),
        "reference": app.firestore.document(own("notes/other")),
        "vector": Vector((1.0, 2.5)),
        "list": [1, {"in": ["a"]}],
        "map": {"a.b": {"`": 1}, "empty": {}},
    }
    await document.set(data)
    snapshot = await document.get()
    assert snapshot.to_dict() == data
    assert snapshot.get(("map", "a.b", "`")) == 1
    assert snapshot.get("map.`a.b`.`\\``") == 1
    assert snapshot.get("map.missing", "nothing") == "nothing"
    assert (snapshot.exists, snapshot.create_time, snapshot.id) == (True, snapshot.update_time, "all")


async def test_set_update_merge_and_delete_each_touch_what_they_say(app: FirebaseApp, own: Own) -> None:
    """`set` replaces, merge and update leave the rest, DELETE_FIELD takes out."""
    document = app.firestore.document(own("notes/one"))
    await document.set({"a": {"x": 1, "y": 2}, "b": 1})
    await document.set({"a": {"x": 9}, "c": {}}, merge=True)
    assert (await document.get()).to_dict() == {"a": {"x": 9, "y": 2}, "b": 1, "c": {}}
    await document.set({"a": {"x": 5}, "b": 7}, merge=["a.x"])
    assert (await document.get()).to_dict() == {"a": {"x": 5, "y": 2}, "b": 1, "c": {}}
    await document.update({("a", "y"): DELETE_FIELD, ("b",): 2, ("c", "d.e"): 3})
    assert (await document.get()).to_dict() == {"a": {"x": 5}, "b": 2, "c": {"d.e": 3}}
    await document.update({"a.x": 6, "`b`": 3})
    assert (await document.get()).to_dict() == {"a": {"x": 6}, "b": 3, "c": {"d.e": 3}}
    await document.set({"a": DELETE_FIELD}, merge=True)
    await document.set({"only": 1})
    assert (await document.get()).to_dict() == {"only": 1}
    await document.delete()
    assert (await document.get()).to_dict() is None


async def test_the_server_computes_transforms(app: FirebaseApp, own: Own) -> None:
    """Times, sums, bounds and sets, also inside maps, and told in the result."""
    document = app.firestore.document(own("notes/counted"))
    await document.set({"at": SERVER_TIMESTAMP, "in": {"at": SERVER_TIMESTAMP, "n": 1}, "n": 5, "tags": ["a"]})
    result = await document.update(
        {"n": Increment(2), "in.n": Maximum(7), "low": Minimum(3), "tags": ArrayUnion(["b", "a"])}
    )
    assert list(result.transform_results) == [7, 7, 3, None]
    await document.update({"tags": ArrayRemove(["a"])})
    data = (await document.get()).to_dict()
    assert data is not None
    assert (data["n"], data["in"]["n"], data["low"], data["tags"]) == (7, 7, 3, ["b"])
    assert data["at"] == data["in"]["at"]
    assert data["at"].tzinfo is UTC


async def test_conditions_are_kept(app: FirebaseApp, own: Own) -> None:
    """`create`, `last_update_time` and `must_exist` refuse what is not as they demand."""
    document = app.firestore.document(own("notes/guarded"))
    with pytest.raises(FirestoreError, match="not-found"):
        await document.update({"n": 1})
    await document.create({"n": 1})
    with pytest.raises(FirestoreError, match="already-exists"):
        await document.create({"n": 2})
    first = (await document.get()).update_time
    await document.update({"n": 2}, last_update_time=first)
    with pytest.raises(FirestoreError, match="failed-precondition"):
        await document.update({"n": 3}, last_update_time=first)
    with pytest.raises(FirestoreError, match="failed-precondition"):
        await document.delete(last_update_time=first)
    await document.delete(must_exist=True)
    with pytest.raises(FirestoreError, match="not-found"):
        await document.delete(must_exist=True)


async def test_many_documents_are_read_in_the_order_of_their_names(app: FirebaseApp, own: Own) -> None:
    """Missing ones and repeated ones in their places."""
    notes = app.firestore.collection(own("notes"))
    reference = await notes.add({"n": 1})
    assert len(reference.id) == 20
    found = await app.firestore.get_all([notes.document("no"), reference, reference])
    assert [snapshot.exists for snapshot in found] == [False, True, True]


async def test_a_batch_is_applied_whole_or_not_at_all(app: FirebaseApp, own: Own) -> None:
    """One refused write refuses all; the 501st is named before anything is sent."""
    notes = app.firestore.collection(own("notes"))
    batch = app.firestore.batch().set(notes.document("a"), {"n": 1})
    batch.set(app.firestore.document("players/other/notes/x"), {"n": 1})
    with pytest.raises(FirestoreError, match="permission-denied"):
        await batch.commit()
    assert not (await notes.document("a").get()).exists
    with pytest.raises(FirestoreError, match="was committed"):
        await batch.commit()
    full = app.firestore.batch()
    for number in range(500):
        full.set(notes.document(f"{number}"), {"n": number})
    with pytest.raises(FirestoreError, match="at most 500"):
        full.delete(notes.document("0"))
    assert len(await full.commit()) == 500


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"n": 2**63}, "`n`"),
        ({"s": "\ud800"}, "`s`"),
        ({"l": [[1]]}, "`l[0]`"),
        ({"t": NOON.replace(tzinfo=None)}, "`t`"),
        ({"o": object()}, "`o`"),
        ({"p": GeoPoint(91, 0)}, "`p`"),
        ({"": 1}, "`''`"),
        ({"d": DELETE_FIELD}, "DELETE_FIELD"),
    ],
)
async def test_what_cannot_be_stored_is_named_before_anything_is_sent(
    data: dict[str, Any], named: str, app: FirebaseApp, own: Own
) -> None:
    """The field and the reason stand in the error."""
    with pytest.raises(FirestoreError) as caught:
        await app.firestore.document(own("notes/bad")).set(data)
    assert caught.value.code == "invalid-argument"
    assert named in caught.value.message


@pytest.mark.parametrize("path", ["", "a", "a/b/c", "a//b", "a/..", "a/__x__", "a/" + "x" * 1501])
async def test_what_is_no_document_path_is_named(path: str, app: FirebaseApp) -> None:
    """Before it becomes a confusing answer of the server."""
    with pytest.raises(FirestoreError, match="invalid-argument"):
        app.firestore.document(path)


async def test_overlapping_fields_of_an_update_are_refused(app: FirebaseApp, own: Own) -> None:
    """Which of the two would win is nobody's guess."""
    with pytest.raises(FirestoreError, match=r"`a\.b` lies in `a`"):
        await app.firestore.document(own("notes/bad")).update({"a": 1, "a.b": 2})


def test_only_what_is_harmless_twice_may_be_repeated() -> None:
    """Sums and conditions on versions are not; plain writes, times and sets are."""
    assert may_repeat([set_write("n", {"a": 1, "t": SERVER_TIMESTAMP, "s": ArrayUnion([1])})])
    assert may_repeat([update_write("n", {"a": 1})])
    assert not may_repeat([set_write("n", {"a": 1}), update_write("n", {"a": Increment(1)})])


async def test_the_database_is_the_one_that_was_named(apps: Apps) -> None:
    """Documents of two databases never meet."""
    app = await apps.open()
    user = await app.auth.sign_in_anonymously()
    assert app.firestore.document(f"players/{user.uid}/n/1").name.startswith(
        f"projects/{apps.options.project_id}/databases/(default)/documents/players/"
    )


async def test_a_line_that_connects_slowly_is_waited_for(apps: Apps) -> None:
    """Half a second until a connection stands, as over satellites, is no failure: the first attempt succeeds."""
    async with CutProxy(apps.endpoints.firestore) as line:
        line.latency_seconds = 0.5
        slow = await apps.open(
            endpoints=dataclasses.replace(apps.endpoints, firestore=line.address), backoff=BackoffPolicy(attempts=1)
        )
        await slow.auth.sign_in_anonymously()
        assert not (await slow.firestore.document("scenes/nowhere").get()).exists
        assert line.connections == 1
