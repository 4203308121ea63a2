"""How many index entries a document takes, under the index settings of its database, and the refusal beyond the limit.

Entries are counted as the service documents them: two for each plain value (one per direction), one for each distinct
element of an array, the same for what is in maps, and those of the declared composite indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from emulator.firestore.field_paths import FieldPath, get_field, parse_field_path
from emulator.firestore.resource_paths import invalid
from emulator.firestore.values import sort_key
from emulator.status import StatusError

MAXIMUM_INDEX_ENTRIES: Final = 40_000
SURELY_FEW_BYTES: Final = 100_000
"""No smaller document has that many entries: each takes more than two bytes and a half, and most take ten."""
VECTOR_MARK: Final = "__type__"
_ALL_FIELDS: Final[FieldPath] = ("*",)


@dataclass(frozen=True, slots=True)
class SingleField:
    """How many automatic indexes a field has, by what they hold."""

    ordered: int = 2
    contains: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """What firestore.indexes.json says, by collection id: fields set apart, and the fields of composite indexes."""

    fields: Mapping[str, Mapping[FieldPath, SingleField]] = field(default_factory=dict)
    composites: Mapping[str, tuple[tuple[FieldPath, ...], ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: Any) -> Self:
        """Raises ValueError where the content is not of that form."""
        try:
            fields: dict[str, dict[FieldPath, SingleField]] = {}
            for entry in content.get("fieldOverrides", []):
                modes = entry["indexes"]
                setting = SingleField(
                    sum("order" in mode for mode in modes), sum("arrayConfig" in mode for mode in modes)
                )
                fields.setdefault(entry["collectionGroup"], {})[_path(entry["fieldPath"])] = setting
            composites: dict[str, tuple[tuple[FieldPath, ...], ...]] = {}
            for entry in content.get("indexes", []):
                paths = (_path(part["fieldPath"]) for part in entry["fields"] if part["fieldPath"] != "__name__")
                group = entry["collectionGroup"]
                composites[group] = (*composites.get(group, ()), tuple(paths))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"`fieldOverrides` or `indexes` is not of the form that deploys take: {error!r}") from None
        except StatusError as error:
            raise ValueError(error.message) from None
        return cls(fields=fields, composites=composites)

    def check(self, path: str, fields: Callable[[], Any], body_bytes: int) -> None:
        """Refuses a document with too many entries. Small ones are not looked into."""
        group = path.split("/")[-2]
        composites = self.composites.get(group, ())
        if body_bytes * (1 + len(composites)) < SURELY_FEW_BYTES:
            return
        found = fields()
        count = self._count_map(found, (), self.fields.get(group, {}), SingleField())
        count += sum(_composite_entries(found, paths) for paths in composites)
        if count > MAXIMUM_INDEX_ENTRIES:
            raise invalid(f"too many index entries for entity /{path}")

    def _count_map(
        self, fields: Any, parent: FieldPath, settings: Mapping[FieldPath, SingleField], inherited: SingleField
    ) -> int:
        count = 0
        if not parent:
            inherited = settings.get(_ALL_FIELDS, inherited)
        for name, value in fields.items():
            path = (*parent, name)
            setting = settings.get(path, inherited)
            kind = value.WhichOneof("value_type")
            if kind == "map_value" and VECTOR_MARK not in value.map_value.fields:
                count += self._count_map(value.map_value.fields, path, settings, setting)
            elif kind == "array_value":
                count += setting.contains * _distinct(value) if setting.contains else 0
            else:
                count += setting.ordered
        return count


def _path(text: str) -> FieldPath:
    return _ALL_FIELDS if text == "*" else parse_field_path(text)


def _distinct(value: Any) -> int:
    return len({sort_key(element) for element in value.array_value.values})


def _composite_entries(fields: Any, paths: tuple[FieldPath, ...]) -> int:
    count = 1
    for path in paths:
        value = get_field(fields, path)
        if value is None:
            return 0
        if value.WhichOneof("value_type") == "array_value":
            count *= _distinct(value)
    return count
