"""Whether one Avro schema reads what another one wrote, by Avro's rules of resolution. Pure."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.pubsub.schemas.avro_schema import AvroField, AvroType
from afterimage_emulator.pubsub.schemas.refusals import ComparingSteps

_PROMOTED: Final = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""Written → read."""


def why_unreadable(reader: AvroType, writer: AvroType, steps: ComparingSteps) -> str:
    """Why the reader cannot read what the writer writes; empty where it can."""
    waiting: list[tuple[AvroType, AvroType, str]] = [(reader, writer, reader.name)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        read, written, place = waiting.pop()
        if (id(read), id(written)) in seen:
            continue
        seen.add((id(read), id(written)))
        steps.take()
        if written.kind == "union":
            waiting.extend((read, branch, place) for branch in written.branches)
            continue
        if read.kind == "union":
            branch = _branch(read, written, steps)
            if branch is None:
                return f"{place}: no branch of the union takes `{written.union_name}`"
            waiting.append((branch, written, place))
            continue
        if not _matches(read, written):
            return f"{place} of type {written.union_name} is not compatible with {place} of type {read.union_name}"
        if read.kind == "record":
            steps.take(len(read.fields) + len(written.fields))
            reason = _pair_fields(read, written, waiting)
            if reason:
                return reason
        elif read.kind == "enum" and not read.has_default:
            lost = next((symbol for symbol in written.numbers if symbol not in read.numbers), None)
            if lost is not None:
                return f"{place}: the symbol `{lost}` is unknown"
        elif read.items is not None and written.items is not None:
            waiting.append((read.items, written.items, place))
    return ""


def _branch(read: AvroType, written: AvroType, steps: ComparingSteps) -> AvroType | None:
    """The one of the same name, or the first that fits."""
    steps.take(len(read.branches))
    number = read.numbers.get(written.union_name)
    if number is not None and _matches(read.branches[number], written):
        return read.branches[number]
    return next((each for each in read.branches if _matches(each, written)), None)


def _pair_fields(read: AvroType, written: AvroType, waiting: list[tuple[AvroType, AvroType, str]]) -> str:
    fields = {field.name: field for field in written.fields}
    for field in read.fields:
        other = _field(fields, field)
        if other is not None:
            waiting.append((field.type, other.type, field.name))
        elif not field.has_default:
            return f"`{read.name}` wants the field `{field.name}`, which has no default and is not always there"
    return ""


def _field(fields: dict[str, AvroField], wanted: AvroField) -> AvroField | None:
    return next((fields[name] for name in (wanted.name, *wanted.aliases) if name in fields), None)


def _matches(read: AvroType, written: AvroType) -> bool:
    """As far as kind and name go."""
    if read.kind != written.kind:
        return read.kind in _PROMOTED.get(written.kind, ())
    if read.kind == "fixed" and read.size != written.size:
        return False
    return not read.name or _short(read.name) == _short(written.name) or written.name in read.aliases


def _short(name: str) -> str:
    return name.rpartition(".")[2]
