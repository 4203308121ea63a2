"""Avro definitions: their JSON read into a graph of types, or refused with the place of the fault. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_emulator.pubsub.schemas.refusals import SchemaRefusedError

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_LEAST_BYTES: Final = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEPTH_LIMIT: Final = 100
_ROUNDS_LIMIT: Final = 100
ENDLESS: Final = 1 << 62


@dataclass(slots=True, eq=False)
class AvroField:
    name: str
    type: AvroType
    has_default: bool
    aliases: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class AvroType:
    """One type. Named ones are one object wherever they are used, so that the graph may go in circles."""

    kind: str
    name: str = ""
    """With its namespace; empty for what has none."""
    aliases: tuple[str, ...] = ()
    fields: list[AvroField] = field(default_factory=list)
    branches: list[AvroType] = field(default_factory=list)
    items: AvroType | None = None
    """What an array or a map holds."""
    numbers: dict[str, int] = field(default_factory=dict)
    """The places of an enum's symbols, and of a union's branches by the names that JSON gives them."""
    has_default: bool = False
    size: int = 0
    inner: tuple[AvroType, ...] = ()
    """The types of a record's fields, the last first, without those that take no bytes."""
    least_bytes: int = ENDLESS
    """The fewest bytes that a value takes: what would take more than there are is refused without a look."""

    @property
    def union_name(self) -> str:
        """What names a branch in JSON, and tells the branches of a union apart."""
        return self.name or self.kind


def read_avro(definition: str) -> AvroType:
    try:
        parsed = json.loads(definition)
    except (ValueError, RecursionError) as error:
        raise SchemaRefusedError(f"the Avro definition is not JSON: {error}") from None
    reader = _Reader()
    root = reader.type_of(parsed, "", "the schema", 0)
    if root.kind == "union":
        raise SchemaRefusedError("the schema is a union; a schema of messages has one type at its top")
    _measure(reader.all, root)
    return root


class _Reader:
    def __init__(self) -> None:
        self.all: list[AvroType] = []
        self._named: dict[str, AvroType] = {}

    def type_of(self, found: object, namespace: str, place: str, depth: int) -> AvroType:
        if depth > _DEPTH_LIMIT:
            raise SchemaRefusedError(f"{place} is nested deeper than {_DEPTH_LIMIT} types")
        if isinstance(found, str):
            return self._by_name(found, namespace, place)
        if isinstance(found, list):
            return self._union(found, namespace, place, depth)
        if not isinstance(found, dict):
            raise SchemaRefusedError(f"{place} must be a name, an object or a list, not `{json.dumps(found)[:40]}`")
        kind = found.get("type")
        if isinstance(kind, (dict, list)):
            return self.type_of(kind, namespace, place, depth + 1)
        if kind in ("record", "error", "enum", "fixed"):
            return self._named_type(found, namespace, place, depth)
        if kind in ("array", "map"):
            made = self._new(AvroType(str(kind)))
            inner = "items" if kind == "array" else "values"
            if inner not in found:
                raise SchemaRefusedError(f"{place} is of type `{kind}` and has no `{inner}`")
            made.items = self.type_of(found[inner], namespace, f"{place}, {inner}", depth + 1)
            return made
        if not isinstance(kind, str):
            raise SchemaRefusedError(f"{place} has no `type`")
        return self._by_name(kind, namespace, place)

    def _by_name(self, name: str, namespace: str, place: str) -> AvroType:
        if name in PRIMITIVES:
            return self._new(AvroType(name))
        found = self._named.get(name) or self._named.get(_full(name, namespace))
        if found is None:
            raise SchemaRefusedError(f"{place} is of type `{name[:200]}`, which is not defined before it")
        return found

    def _union(self, found: list[Any], namespace: str, place: str, depth: int) -> AvroType:
        made = self._new(AvroType("union"))
        for number, each in enumerate(found):
            branch = self.type_of(each, namespace, f"{place}, branch {number}", depth + 1)
            if branch.kind == "union":
                raise SchemaRefusedError(f"{place} is a union that holds a union")
            if branch.union_name in made.numbers:
                raise SchemaRefusedError(f"{place} is a union with `{branch.union_name}` twice")
            made.numbers[branch.union_name] = number
            made.branches.append(branch)
        if not made.branches:
            raise SchemaRefusedError(f"{place} is a union of nothing")
        return made

    def _named_type(self, found: Mapping[str, Any], namespace: str, place: str, depth: int) -> AvroType:
        kind, name = str(found["type"]), found.get("name")
        if not isinstance(name, str):
            raise SchemaRefusedError(f"{place} is of type `{kind}` and has no `name`")
        own = found.get("namespace", namespace)
        if not isinstance(own, str):
            raise SchemaRefusedError(f"`{name[:200]}` has a `namespace` that is no text")
        full = _full(name, own)
        if not all(_NAME.fullmatch(part) for part in full.split(".")) or full in PRIMITIVES:
            raise SchemaRefusedError(f"`{full[:200]}` is no name: use letters, digits and `_`, a digit never first")
        if full in self._named:
            raise SchemaRefusedError(f"`{full}` is defined twice")
        inside = full.rpartition(".")[0]
        made = self._new(AvroType("record" if kind == "error" else kind, name=full, aliases=_aliases(found, inside)))
        self._named[full] = made
        if kind == "enum":
            self._read_enum(found, made)
        elif kind == "fixed":
            size = found.get("size")
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise SchemaRefusedError(f"`{full}` is of type `fixed` and has no `size` of 0 or more")
            made.size = size
        else:
            self._read_fields(found, made, inside, depth)
        return made

    def _read_enum(self, found: Mapping[str, Any], made: AvroType) -> None:
        symbols = found.get("symbols")
        if not isinstance(symbols, list) or not symbols:
            raise SchemaRefusedError(f"`{made.name}` is of type `enum` and has no `symbols`")
        for symbol in symbols:
            if not isinstance(symbol, str) or not _NAME.fullmatch(symbol):
                raise SchemaRefusedError(f"`{made.name}` has the symbol `{symbol!s:.60}`, which is no name")
        if len(set(symbols)) < len(symbols):
            raise SchemaRefusedError(f"`{made.name}` has a symbol twice")
        if "default" in found and found["default"] not in symbols:
            raise SchemaRefusedError(f"`{made.name}` has a `default` that is none of its symbols")
        made.numbers, made.has_default = {symbol: n for n, symbol in enumerate(symbols)}, "default" in found

    def _read_fields(self, found: Mapping[str, Any], made: AvroType, inside: str, depth: int) -> None:
        fields = found.get("fields")
        if not isinstance(fields, list):
            raise SchemaRefusedError(f"`{made.name}` is of type `record` and has no list of `fields`")
        seen: set[str] = set()
        for each in fields:
            name = each.get("name") if isinstance(each, dict) else None
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise SchemaRefusedError(f"`{made.name}` has a field without a name of letters, digits and `_`")
            place = f"the field `{name}` of `{made.name}`"
            if name in seen:
                raise SchemaRefusedError(f"{place} is there twice")
            if "type" not in each:
                raise SchemaRefusedError(f"{place} has no `type`")
            seen.add(name)
            kind = self.type_of(each["type"], inside, place, depth + 1)
            made.fields.append(AvroField(name, kind, "default" in each, _aliases(each, "")))

    def _new(self, made: AvroType) -> AvroType:
        self.all.append(made)
        return made


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _aliases(found: Mapping[str, Any], namespace: str) -> tuple[str, ...]:
    aliases = found.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise SchemaRefusedError(f"the `aliases` of `{found.get('name')}` must be a list of names")
    return tuple(_full(alias, namespace) for alias in aliases)


def _measure(types: list[AvroType], root: AvroType) -> None:
    """Sets `least_bytes` of each; a record that cannot but hold itself has no end, and is refused."""
    for _ in range(_ROUNDS_LIMIT):
        changed = False
        for each in reversed(types):
            least = _least(each)
            if least < each.least_bytes:
                each.least_bytes, changed = least, True
        if not changed:
            break
    else:
        raise SchemaRefusedError("the schema's types refer to each other in too many ways")
    for each in types:
        if each.least_bytes >= ENDLESS:
            raise SchemaRefusedError(f"`{each.name or root.name}` always holds itself: no message could ever end")
        each.inner = tuple(one.type for one in reversed(each.fields) if one.type.least_bytes)


def _least(each: AvroType) -> int:
    if each.kind == "record":
        return min(ENDLESS, sum(one.type.least_bytes for one in each.fields))
    if each.kind == "union":
        return min(ENDLESS, 1 + min(branch.least_bytes for branch in each.branches))
    if each.kind == "fixed":
        return min(each.size, ENDLESS - 1)
    return _LEAST_BYTES.get(each.kind, 1)
