"""Avro's binary encoding, walked to its end without making values of it: a message fits its schema or does not. Pure.

Written without recursion, in pieces that others can come between, and with bounds on its depth and its steps, since
messages and schemas are anybody's.
"""

from __future__ import annotations

from typing import Final

from afterimage_emulator.pubsub.schemas.avro_schema import PRIMITIVES, AvroType
from afterimage_emulator.pubsub.schemas.refusals import NESTING_LIMIT, PIECE_STEPS, MessageRefusedError, nested_too_deep
from afterimage_emulator.turns import Work

_STEPS: Final = 200_000
_STEPS_A_BYTE: Final = 10
_FIXED_BYTES: Final = {"float": 4, "double": 8}


class _Blocks:
    """An array or a map on its way: what it holds, and how many are left in its block."""

    __slots__ = ("inner", "is_map", "left")

    def __init__(self, kind: AvroType) -> None:
        assert kind.items is not None
        self.inner, self.is_map, self.left = kind.items, kind.kind == "map", 0


def check_avro_binary(schema: AvroType, data: bytes) -> Work[None]:
    """Raises `MessageRefusedError` unless the data is one value of the schema and nothing more."""
    walk = _Walk(data)
    yield from walk.run(schema)
    if walk.position != len(data):
        raise MessageRefusedError(f"{len(data) - walk.position} bytes follow the end of the value")


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self._steps = 0
        self._steps_limit = _STEPS + _STEPS_A_BYTE * len(data)
        self._owed_bytes = 0
        """What everything that waits will take at the least: no more can wait than the message has bytes."""

    def run(self, schema: AvroType) -> Work[None]:
        waiting: list[tuple[AvroType | _Blocks, int]] = [(schema, 1)]
        self._owed_bytes = schema.least_bytes
        told = 0
        while waiting:
            self._steps += 1
            if self._steps - told >= PIECE_STEPS:
                yield self._steps - told
                told = self._steps
                if told > self._steps_limit:
                    raise MessageRefusedError("the message takes too many steps to be read with this schema")
            found, depth = waiting.pop()
            if isinstance(found, _Blocks):
                self._next_items(found, depth, waiting)
                continue
            if self._owed_bytes > len(self._data) - self.position:
                raise MessageRefusedError(f"the message ends where a `{found.union_name}` was to come")
            if depth > NESTING_LIMIT:
                raise nested_too_deep()
            kind = found.kind
            if kind == "record":  # owes what its fields owe
                waiting.extend([(each, depth + 1) for each in found.inner])
                continue
            self._owed_bytes -= found.least_bytes
            if kind == "union":
                branch = found.branches[self._index(len(found.branches), "branch of a union")]
                self._owed_bytes += branch.least_bytes
                waiting.append((branch, depth + 1))
            elif kind in ("array", "map"):
                waiting.append((_Blocks(found), depth + 1))
            else:
                self._scalar(found)

    def _next_items(self, blocks: _Blocks, depth: int, waiting: list[tuple[AvroType | _Blocks, int]]) -> None:
        if blocks.left == 0:
            count = self._number()
            if count < 0:
                count = -count
                self._number()  # the block's size in bytes, for those who skip it
            if count == 0:
                return
            least = blocks.inner.least_bytes + blocks.is_map
            if least == 0:
                waiting.append((blocks, depth))  # nothings, however many: they take no bytes, and no time
                return
            if count * least > len(self._data) - self.position:
                raise MessageRefusedError(f"a block of {count} items is longer than the message")
            blocks.left = count
        waiting.append((blocks, depth))
        if not blocks.is_map and blocks.inner.kind in PRIMITIVES:  # a long list is most of what a long message holds
            count = min(blocks.left, PIECE_STEPS)
            for _ in range(count):
                self._scalar(blocks.inner)
            blocks.left -= count
            self._steps += count
            return
        blocks.left -= 1
        if blocks.is_map:
            self._text()
        self._owed_bytes += blocks.inner.least_bytes
        waiting.append((blocks.inner, depth))

    def _scalar(self, found: AvroType) -> None:
        kind = found.kind
        if kind == "string":
            self._text()
        elif kind == "bytes":
            self._skip(self._length())
        elif kind == "enum":
            self._index(len(found.numbers), f"symbol of `{found.name}`")
        elif kind == "fixed":
            self._skip(found.size)
        elif kind == "boolean":
            if self.position >= len(self._data):
                raise MessageRefusedError("the message ends where a `boolean` was to come")
            if self._data[self.position] > 1:
                raise MessageRefusedError(f"a boolean at byte {self.position} is neither 0 nor 1")
            self.position += 1
        elif kind == "int":
            number = self._number()
            if not -(1 << 31) <= number < 1 << 31:
                raise MessageRefusedError(f"{number} is too large for an `int`")
        elif kind == "long":
            self._number()
        elif kind in _FIXED_BYTES:
            self._skip(_FIXED_BYTES[kind])

    def _text(self) -> None:
        start = self.position
        length = self._length()
        begin = self.position
        self._skip(length)
        try:
            self._data[begin : self.position].decode()
        except UnicodeDecodeError:
            raise MessageRefusedError(f"the text at byte {start} is not UTF-8") from None

    def _index(self, count: int, what: str) -> int:
        index = self._number()
        if not 0 <= index < count:
            raise MessageRefusedError(f"{index} is no {what}")
        return index

    def _length(self) -> int:
        length = self._number()
        if length < 0:
            raise MessageRefusedError(f"a length of {length}")
        return length

    def _skip(self, length: int) -> None:
        if length > len(self._data) - self.position:
            raise MessageRefusedError(f"the message ends {length - len(self._data) + self.position} bytes too early")
        self.position += length

    def _number(self) -> int:
        """A zigzag number of at most ten bytes."""
        number, data, position = 0, self._data, self.position
        for shift in range(0, 70, 7):
            if position >= len(data):
                raise MessageRefusedError("the message ends within a number")
            byte = data[position]
            position += 1
            number |= (byte & 127) << shift
            if byte < 128:
                self.position = position
                if number >> 64:
                    break
                return number >> 1 ^ -(number & 1)
        raise MessageRefusedError(f"the number at byte {self.position} is longer than 64 bits")
