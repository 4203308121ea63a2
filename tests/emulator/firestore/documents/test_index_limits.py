"""How many index entries a document may take, and what sets fields apart."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from afterimage_emulator.firestore.documents.index_limits import MAXIMUM_INDEX_ENTRIES, IndexSettings
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.protos import messages
from afterimage_emulator.status import StatusError

_firestore: Any = messages("google.firestore.v1")
NO_INDEX: list[Any] = []
HALF = MAXIMUM_INDEX_ENTRIES // 2


def document(numbers: int = 0, elements: int = 0) -> Any:
    made = _firestore.Document()
    for number in range(numbers):
        made.fields["map"].map_value.fields[f"f{number}"].integer_value = number
    if elements:
        made.fields["list"].array_value.values.extend(
            _firestore.Value(integer_value=number) for number in (*range(elements), 0, 0)
        )
    return made


def check(settings: IndexSettings, made: Any, path: str = "rooms/a") -> None:
    settings.check(path, lambda: made.fields, made.ByteSize())


def override(field_path: str, indexes: list[Any], group: str = "rooms") -> IndexSettings:
    entry = {"collectionGroup": group, "fieldPath": field_path, "indexes": indexes}
    return IndexSettings.parse({"indexes": [], "fieldOverrides": [entry]})


def test_over_the_wire_the_limit_is_exact_and_refuses_the_whole_commit(client: firestore.Client) -> None:
    """40,000 entries are stored; one field more is refused in the official words, and nothing of it is kept."""
    place = client.document("rooms/a")
    place.set({"m": {f"f{number}": number for number in range(HALF)}})
    batch = client.batch()
    batch.update(place, {"one_more": 1})
    batch.set(client.document("rooms/b"), {})
    with pytest.raises(exceptions.InvalidArgument, match="too many index entries for entity /rooms/a"):
        batch.commit()
    assert not client.document("rooms/b").get().exists
    assert "one_more" not in (place.get().to_dict() or {})


@pytest.mark.parametrize(
    ("made", "fits"),
    [
        (document(numbers=HALF), True),
        (document(numbers=HALF + 1), False),
        (document(elements=MAXIMUM_INDEX_ENTRIES), True),
        (document(elements=MAXIMUM_INDEX_ENTRIES + 1), False),
        (document(numbers=HALF - 1, elements=3), False),
    ],
)
def test_values_count_twice_and_distinct_elements_once(made: Any, fits: bool) -> None:
    """Without settings: a value has an entry per direction, an element one; equal elements share theirs."""
    if fits:
        check(IndexSettings(), made)
    else:
        with pytest.raises(StatusError, match="too many index entries"):
            check(IndexSettings(), made)


@pytest.mark.parametrize("field_path", ["map", "*"])
def test_an_exempt_field_takes_no_entries_nor_does_what_is_in_it(field_path: str) -> None:
    """An override with empty `indexes` holds for everything below the field, in its own collections alone."""
    large = document(numbers=HALF + 1)
    check(override(field_path, NO_INDEX), large)
    with pytest.raises(StatusError, match="too many"):
        check(override(field_path, NO_INDEX), large, "halls/a")
    with pytest.raises(StatusError, match="too many"):
        check(override("list", NO_INDEX), large)
    check(override("map", [{"order": "ASCENDING", "queryScope": "COLLECTION"}]), large)


def test_composite_indexes_count_their_entries_too() -> None:
    """A composite index over an array has an entry for each distinct element, and none where a field is missing."""
    fields = [{"fieldPath": "list", "arrayConfig": "CONTAINS"}, {"fieldPath": "map", "order": "ASCENDING"}]
    settings = IndexSettings.parse({"indexes": [{"collectionGroup": "rooms", "fields": fields}]})
    check(settings, document(elements=HALF + 1))
    with pytest.raises(StatusError, match="too many"):
        check(settings, document(elements=HALF + 1, numbers=1))


def text_of(*sizes: int) -> Any:
    made = _firestore.Document()
    for number, size in enumerate(sizes):
        made.fields[f"t{number}"].string_value = "x" * size
    return made


LONG_PATH = "/".join(f"{'c' * 750}/{'d' * 560}" for _ in range(3))


def test_long_values_are_indexed_by_their_beginning() -> None:
    """A text of any length makes an entry of 1,500 bytes, which fits."""
    check(IndexSettings(), text_of(900_000))


def test_an_entry_has_room_for_a_path_or_for_a_value_but_not_for_any_path() -> None:
    """The names of document and parent stand in every entry: the longest paths leave no room, unless exempt."""
    check(IndexSettings(), text_of(1_000), LONG_PATH.rpartition("/")[0].rpartition("/")[0])
    with pytest.raises(StatusError, match=r"an index entry of `ccc.*` for `t0` takes 8,\d\d\d bytes.*exempt the field"):
        check(IndexSettings(), text_of(1_600), LONG_PATH)
    group = LONG_PATH.split("/")[-2]
    check(override("t0", NO_INDEX, group), text_of(1_600), LONG_PATH)


def test_a_composite_index_over_many_long_values_has_no_room_either() -> None:
    """Five texts of 1,500 bytes and a short one fit; five and a longer one are more than an entry holds."""
    fields = [{"fieldPath": f"t{number}", "order": "ASCENDING"} for number in range(6)]
    settings = IndexSettings.parse({"indexes": [{"collectionGroup": "rooms", "fields": fields}]})
    check(settings, text_of(2_000, 2_000, 2_000, 2_000, 2_000, 100))
    with pytest.raises(StatusError, match=r"an index entry of `rooms/a` for `t0`, .* takes 7,\d\d\d bytes"):
        check(settings, text_of(2_000, 2_000, 2_000, 2_000, 2_000, 200))


def test_all_entries_together_have_a_limit() -> None:
    """Fewer than 40,000, but more than 8 MiB, because every one of them carries a long path."""
    path = f"rooms/{'a' * 900}"
    check(IndexSettings(), document(numbers=4_000), path)
    with pytest.raises(StatusError, match=r"the index entries of `rooms/aaa.*` take 9,\d+,\d+ bytes together"):
        check(IndexSettings(), document(numbers=5_000), path)
    check(override("map", NO_INDEX), document(numbers=5_000), path)


def test_small_documents_are_not_looked_into() -> None:
    """The check costs nothing where it cannot matter."""
    IndexSettings().check("rooms/a", lambda: pytest.fail("was looked into"), 40_000)


@pytest.mark.parametrize("content", [[], {"fieldOverrides": [{}]}, {"indexes": [1]}, {"fieldOverrides": 3}])
def test_a_broken_file_is_told_from_a_good_one(content: Any) -> None:
    """It is refused at start rather than ignored."""
    with pytest.raises(ValueError, match="`fieldOverrides` or `indexes`"):
        IndexSettings.parse(content)


def test_documents_that_are_looked_at_together_have_room_only_if_each_has() -> None:
    """The longest path, the largest body and the most indexes of all count as if one document had them."""
    small = StoredDocument("rooms/a", b"x" * 100, 1, 1)
    large = StoredDocument("rooms/b", b"x" * 100_000, 1, 1)
    deep = StoredDocument(f"rooms/{'a' * 1_000}", b"x" * 100, 1, 1)
    assert IndexSettings().has_room_for_all([small] * 500)
    assert IndexSettings().has_room_for_all([])
    assert not IndexSettings().has_room_for_all([small, large])
    assert not IndexSettings().has_room_for_all([small, deep])
    many = IndexSettings(composites={"others": ((("a",), ("b",)),) * 1_000})
    assert not many.has_room_for_all([small] * 500)
