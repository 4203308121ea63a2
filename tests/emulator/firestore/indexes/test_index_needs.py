"""Which queries need a declared index: a table of shapes, by what production's documentation and its answers say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from afterimage_emulator.firestore.documents.field_paths import FieldPath, parse_field_path
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.indexes.declared_indexes import DeclaredIndexes
from afterimage_emulator.firestore.indexes.index_needs import needs_of, serving
from afterimage_emulator.firestore.indexes.missing_indexes import MissingIndexes
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.queries.query_parser import parse_query
from tests.emulator.firestore.indexes.query_shapes import DECLARED, FINE, NEEDED
from tests.emulator.firestore.naive_model import NaiveQuery, Reference, Vector, encode, structured_query

NAME = DatabaseName("demo", "(default)")
OPERATORS = {"contains": "array-contains", "any": "array-contains-any", "in": "in", "not-in": "not-in"}
BY_NAME: dict[str, tuple[str, Any]] = {
    "null": ("==", None),
    "not-null": ("!=", None),
    "nan": ("==", float("nan")),
    "not-nan": ("!=", float("nan")),
}


class Words:
    """A query read from its words."""

    def __init__(self, text: str) -> None:
        self.left = text.split()
        self.orders: list[tuple[str, bool]] = []
        self.summed: list[FieldPath] = []
        self.is_group = False
        self.limit: int | None = None
        self.nearest: tuple[str, int] | None = None

    def query(self) -> Query:
        where = self.all_of(end="")
        naive = NaiveQuery("rooms", is_group=self.is_group, where=where, orders=self.orders, limit=self.limit)
        source = structured_query(naive, NAME.documents)
        if self.nearest is not None:
            path, dimension = self.nearest
            source.find_nearest.vector_field.field_path = path
            source.find_nearest.query_vector.CopyFrom(encode(Vector((1.0,) * dimension)))
            source.find_nearest.distance_measure, source.find_nearest.limit.value = 1, 5
        return parse_query(NAME, "", source)

    def all_of(self, end: str) -> Any:
        """Filters up to one of these words; None without any."""
        filters: list[Any] = []
        while self.left and self.left[0] not in end.split():
            filters += self.one(self.left.pop(0))
        return None if not filters else filters[0] if len(filters) == 1 else ("and", filters)

    def one(self, word: str) -> Sequence[Any]:
        match word:
            case "(":
                parts = [self.all_of("| )")]
                while self.left.pop(0) == "|":
                    parts.append(self.all_of("| )"))
                return [("or", parts)]
            case "group":
                self.is_group = True
            case "limit0":
                self.limit = 0
            case "order":
                field = self.left.pop(0)
                self.orders.append((self.field(field.lstrip("-")), field.startswith("-")))
            case "sum" | "avg":
                self.summed.append(parse_field_path(self.left.pop(0)))
            case "count":
                pass
            case "nearest":
                self.nearest = (self.left.pop(0), int(self.left.pop(0)))
            case _:
                return [self.comparison(word)]
        return []

    def field(self, word: str) -> str:
        return "__name__" if word == "name" else word

    def comparison(self, word: str) -> Any:
        field = self.field(word.rstrip("=!<>"))
        op = word[len(word.rstrip("=!<>")) :]
        value: Any = Reference("rooms/x" if not self.is_group else "a/b/rooms/x") if field == "__name__" else 1
        if op:
            return (field, op, value)
        asked = self.left.pop(0)
        if asked in BY_NAME:
            return (field, *BY_NAME[asked])
        return (field, OPERATORS[asked], value if asked == "contains" else [value])


def declared(text: str) -> DeclaredIndexes:
    """As firestore.indexes.json says it; a single field as an override that adds its group to the usual."""
    indexes = [index_entry(part) for part in text.split(";") if part.strip()]
    return DeclaredIndexes.parse({"indexes": indexes, "fieldOverrides": []})


def index_entry(text: str) -> dict[str, Any]:
    words = text.split()
    scope = "COLLECTION_GROUP" if words[0] == "group" else "COLLECTION"
    fields: list[dict[str, Any]] = []
    for word in words[words[0] == "group" :]:
        path, _, dimension = word.lstrip("-[").rstrip(">").partition("<")
        entry: dict[str, Any] = {"fieldPath": "__name__" if path == "name" else path}
        if dimension:
            entry["vectorConfig"] = {"dimension": int(dimension), "flat": {}}
        elif word.startswith("["):
            entry["arrayConfig"] = "CONTAINS"
        else:
            entry["order"] = "DESCENDING" if word.startswith("-") else "ASCENDING"
        fields.append(entry)
    return {"collectionGroup": "rooms", "queryScope": scope, "fields": fields}


def missing(text: str, given: DeclaredIndexes) -> str:
    """The entry that the table would write for what is missing; nothing where the query is served."""
    words = Words(text)
    query = words.query()
    for need in needs_of(query, words.summed):
        if serving(need, given):
            continue
        index = need.index()
        shown = ["group"] if index.is_of_group else []
        for each in index.fields:
            mark = {"DESCENDING": "-", "CONTAINS": "["}.get(each.kind, "")
            shown.append(f"{mark}{'.'.join(each.path)}" + (f"<{each.dimension}>" if each.dimension else ""))
        follows = bool(index.fields) and (index.fields[-1].kind == "DESCENDING") == index.name_descending
        return " ".join(shown if follows else [*shown, "-name" if index.name_descending else "name"])
    return ""


def test_the_table_is_as_long_as_it_says() -> None:
    """At least 120 shapes, none twice."""
    shapes = [*((text, "") for text in FINE), *((text, "") for text, _ in NEEDED), *((a, b) for a, b, _ in DECLARED)]
    assert len(shapes) == len(set(shapes)) >= 120


@pytest.mark.parametrize("text", FINE)
def test_no_false_alarm(text: str) -> None:
    """What automatic indexes, or several of them together, answer in production is not complained about."""
    assert missing(text, DeclaredIndexes()) == ""


@pytest.mark.parametrize(("text", "index"), NEEDED)
def test_what_production_refuses_is_named_with_its_index(text: str, index: str) -> None:
    """The very index that production's message suggests."""
    assert missing(text, DeclaredIndexes()) == index


@pytest.mark.parametrize(("text", "given", "index"), DECLARED)
def test_declared_indexes_count_where_production_would_read_them(text: str, given: str, index: str) -> None:
    """Same scope, the equalities first in any order, then exactly the query's order; or several that share it."""
    assert missing(text, declared(given)) == index


@pytest.mark.parametrize(("text", "index"), NEEDED)
def test_the_suggested_entry_serves_the_query(text: str, index: str) -> None:
    """What `indexes --write` would add, read as the Firebase CLI reads it, leaves nothing to need."""
    words = Words(text)
    query = words.query()
    content: dict[str, Any] = {"indexes": [], "fieldOverrides": []}
    for _ in range(4):  # an OR may need several
        finder = MissingIndexes({"(default)": DeclaredIndexes.parse(content)}, strict=False)
        finder.check(NAME, query, words.summed)
        for found in finder.listing():
            content[found["section"]].append(found["entry"])
        if not finder.listing():
            return
    raise AssertionError(f"`{text}` still needs something beside {content}")


@pytest.mark.parametrize(
    ("overrides", "text", "index"),
    [
        ([("a", [])], "a==", "a"),
        ([("a", [])], "order a", "a"),
        ([("a", [])], "a== b==", "a b"),
        ([("a", ["ASCENDING"])], "a==", ""),
        ([("a", ["DESCENDING"])], "a==", ""),
        ([("a", ["CONTAINS"])], "a==", "a"),
        ([("a", ["CONTAINS"])], "a contains", ""),
        ([("a", ["ASCENDING"])], "a contains", "[a"),
        ([("a", ["ASCENDING"])], "order a", ""),
        ([("a", ["ASCENDING"])], "order -a", "-a"),
        ([("m", [])], "m.x==", "m.x"),
        ([("m", []), ("m.x", ["ASCENDING"])], "m.x==", ""),
        ([("*", [])], "a==", "a"),
        ([("*", []), ("a", ["ASCENDING"])], "a==", ""),
        ([("a", ["group ASCENDING"])], "group a==", ""),
        ([("a", ["group ASCENDING"])], "a==", "a"),
        ([("a", ["group ASCENDING", "ASCENDING"])], "a==", ""),
        ([("a", ["group ASCENDING"]), ("b", ["group ASCENDING"])], "group a== b==", ""),
    ],
)
def test_exempted_fields_have_the_indexes_that_are_listed(
    overrides: list[tuple[str, list[str]]], text: str, index: str
) -> None:
    """An override takes the place of the usual indexes; maps hand theirs down; a star means every field."""
    entries = []
    for path, modes in overrides:
        indexes = []
        for mode in modes:
            kind = mode.split()[-1]
            scope = "COLLECTION_GROUP" if mode.startswith("group") else "COLLECTION"
            indexes.append({**({"arrayConfig": kind} if kind == "CONTAINS" else {"order": kind}), "queryScope": scope})
        entries.append({"collectionGroup": "rooms", "fieldPath": path, "indexes": indexes})
    assert missing(text, DeclaredIndexes.parse({"indexes": [], "fieldOverrides": entries})) == index
