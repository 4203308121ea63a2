"""How many index entries a document may take, and what sets fields apart."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from emulator.firestore.index_limits import MAXIMUM_INDEX_ENTRIES, IndexSettings
from emulator.protos import messages
from emulator.status import StatusError

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


def test_small_documents_are_not_looked_into() -> None:
    """The check costs nothing where it cannot matter."""
    IndexSettings().check("rooms/a", lambda: pytest.fail("was looked into"), 99_999)


@pytest.mark.parametrize("content", [[], {"fieldOverrides": [{}]}, {"indexes": [1]}, {"fieldOverrides": 3}])
def test_a_broken_file_is_told_from_a_good_one(content: Any) -> None:
    """It is refused at start rather than ignored."""
    with pytest.raises(ValueError, match="`fieldOverrides` or `indexes`"):
        IndexSettings.parse(content)
