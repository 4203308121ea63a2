"""Avro's JSON encoding: held against a schema, and turned into the binary encoding. Pure.

As the Avro specification has it, unions are objects that name their branch, and bytes are texts of the code points 0
to 255.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from afterimage_emulator.protos.varint import varint
from afterimage_emulator.pubsub.schemas.avro_schema import AvroType
from afterimage_emulator.pubsub.schemas.message_json import read_json_message
from afterimage_emulator.pubsub.schemas.refusals import NESTING_LIMIT, PIECE_STEPS, MessageRefusedError, nested_too_deep
from afterimage_emulator.turns import Work

_END_OF_BLOCKS: Final = b"\x00"
_NOTHING: Final = object()


class _Items:
    """An array or a map on its way: what it holds, and what is left of it."""

    __slots__ = ("depth", "inner", "left", "place")

    def __init__(self, inner: AvroType, left: Iterator[tuple[bytes, Any]], place: str, depth: int) -> None:
        self.inner, self.left, self.place, self.depth = inner, left, place, depth


_Waiting = _Items | tuple[AvroType, Any, str, int]


def avro_json_to_binary(schema: AvroType, data: bytes) -> Work[bytes]:
    """Raises `MessageRefusedError` where the JSON is no value of the schema."""
    parts: list[bytes] = []
    waiting: list[_Waiting] = [(schema, read_json_message(data), schema.name, 1)]
    steps = told = 0
    while waiting:
        steps += 1
        if steps - told >= PIECE_STEPS:
            yield steps - told
            told = steps
        found = waiting.pop()
        if isinstance(found, _Items):
            key, value = next(found.left, (_END_OF_BLOCKS, _NOTHING))
            parts.append(key)
            if value is not _NOTHING:
                waiting += [found, (found.inner, value, found.place, found.depth)]
            continue
        kind, value, place, depth = found
        if depth > NESTING_LIMIT:
            raise nested_too_deep()
        if kind.kind == "record":
            _check_fields(kind, value, place)
            steps += len(kind.fields)
            waiting.extend([(field.type, value[field.name], field.name, depth + 1) for field in reversed(kind.fields)])
        elif kind.kind == "union":
            index, inner = _branch(kind, value, place)
            parts.append(avro_number(index))
            branch = kind.branches[index]
            if branch.kind != "null":
                waiting.append((branch, inner, place, depth + 1))
        elif kind.items is not None:
            entries = _entries(kind, value, place)
            if value:
                parts.append(avro_number(len(value)))
            waiting.append(_Items(kind.items, entries, place, depth + 1))
        else:
            parts.append(_scalar(kind, value, place))
    return b"".join(parts)


def avro_number(number: int) -> bytes:
    return varint((number << 1 ^ number >> 63) & 0xFFFF_FFFF_FFFF_FFFF if number < 0 else number << 1)


def avro_bytes(data: bytes) -> bytes:
    return avro_number(len(data)) + data


def _check_fields(kind: AvroType, value: object, place: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(value, f"an object for `{kind.name}`", place)
    if len(value) != len(kind.fields) or any(field.name not in value for field in kind.fields):
        names = {field.name for field in kind.fields}
        for name in value:
            if name not in names:
                raise MessageRefusedError(f"`{place}` has the field `{name[:60]}`, which `{kind.name}` has not")
        missing = next(field.name for field in kind.fields if field.name not in value)
        raise MessageRefusedError(f"`{place}` has no field `{missing}`")


def _branch(kind: AvroType, value: Any, place: str) -> tuple[int, Any]:
    if value is None:
        name, inner = "null", None
    elif isinstance(value, dict) and len(value) == 1:
        name, inner = next(iter(value.items()))
    else:
        raise _wrong(value, "null, or an object with one key that names the branch of a union", place)
    if name in kind.numbers and (name != "null" or value is None):
        return kind.numbers[name], inner
    raise MessageRefusedError(f"`{place}` names the branch `{name[:60]}`, which its union has not")


def _entries(kind: AvroType, value: object, place: str) -> Iterator[tuple[bytes, Any]]:
    """What stands before each value in its block, and the value."""
    if kind.kind == "map":
        if not isinstance(value, dict):
            raise _wrong(value, "an object for a `map`", place)
        return ((avro_bytes(_utf8(key, place)), each) for key, each in value.items())
    if not isinstance(value, list):
        raise _wrong(value, "a list for an `array`", place)
    return ((b"", each) for each in value)


def _scalar(found: AvroType, value: Any, place: str) -> bytes:
    kind = found.kind
    if kind == "null":
        if value is not None:
            raise _wrong(value, "null", place)
        return b""
    if kind == "boolean" and isinstance(value, bool):
        return b"\x01" if value else b"\x00"
    if kind in ("int", "long") and isinstance(value, int) and not isinstance(value, bool):
        bits = 31 if kind == "int" else 63
        if -(1 << bits) <= value < 1 << bits:
            return avro_number(value)
    if kind in ("float", "double") and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return struct.pack("<f" if kind == "float" else "<d", value)
        except (OverflowError, struct.error):
            raise MessageRefusedError(f"`{place}` holds a number too large for a `{kind}`") from None
    encoded = _text(found, value, place) if isinstance(value, str) else None
    if encoded is None:
        raise _wrong(value, f"a value of type `{found.union_name}`", place)
    return encoded


def _text(found: AvroType, value: str, place: str) -> bytes | None:
    """What JSON writes as a text; None where the type is none of these, or the text is not of it."""
    kind = found.kind
    if kind == "string":
        return avro_bytes(_utf8(value, place))
    if kind == "enum" and value in found.numbers:
        return avro_number(found.numbers[value])
    if kind not in ("bytes", "fixed"):
        return None
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raise MessageRefusedError(f"`{place}` has a character above 255, which stands for no byte") from None
    if kind == "bytes":
        return avro_bytes(raw)
    return raw if len(raw) == found.size else None


def _utf8(text: str, place: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MessageRefusedError(f"`{place}` holds half a character (a lone surrogate)") from None


def _wrong(value: object, wanted: str, place: str) -> MessageRefusedError:
    shown = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:40]
    return MessageRefusedError(f"`{place}` is {shown} where {wanted} is wanted")
