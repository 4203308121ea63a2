"""The bytes of a protocol buffer, walked to their end without a message being made of them. Pure.

A message of a schema with ten thousand fields takes eighty kilobytes, and two bytes are enough for one: made whole,
ten megabytes of them would take more memory than any machine has.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from afterimage_emulator.pubsub.schemas.proto_json import DEPTH_LIMIT, is_closed, is_repeated
from afterimage_emulator.pubsub.schemas.refusals import PIECE_STEPS, MessageRefusedError
from afterimage_emulator.turns import Work

_Field = FieldDescriptor
_VARINT, _EIGHT_BYTES, _LENGTH, _GROUP, _GROUP_END, _FOUR_BYTES = range(6)
_WIRE_TYPES: Final = {
    **dict.fromkeys((_Field.TYPE_DOUBLE, _Field.TYPE_FIXED64, _Field.TYPE_SFIXED64), _EIGHT_BYTES),
    **dict.fromkeys((_Field.TYPE_FLOAT, _Field.TYPE_FIXED32, _Field.TYPE_SFIXED32), _FOUR_BYTES),
    **dict.fromkeys((_Field.TYPE_STRING, _Field.TYPE_BYTES, _Field.TYPE_MESSAGE), _LENGTH),
    _Field.TYPE_GROUP: _GROUP,
}
"""All others are varints."""


def check_proto_binary(root: Descriptor, data: bytes, pool: DescriptorPool) -> Work[None]:
    """Raises `MessageRefusedError` unless the data is one message, with no field that the schema has not."""
    walk = _Walk(root, data, pool)
    steps = 0
    while walk.take_field():
        steps += 1 + walk.packed
        walk.packed = 0
        if steps >= PIECE_STEPS:
            yield steps
            steps = 0


class _Walk:
    def __init__(self, root: Descriptor, data: bytes, pool: DescriptorPool) -> None:
        self._root, self._data, self._pool = root, data, pool
        self._position = 0
        self._within: list[tuple[int, Descriptor, int]] = [(len(data), root, 0)]
        """Where each message ends, what it is, and the number of the group that it is, if it is one."""
        self._list: tuple[int, FieldDescriptor] | None = None
        """A packed list on its way: where it ends."""
        self.packed = 0
        """Values of such a list that were looked at in this step."""

    def take_field(self) -> bool:
        """Whether there was something to take."""
        if self._list is not None:
            self._take_packed(*self._list)
            return True
        while self._within and self._position == self._within[-1][0] and not self._within[-1][2]:
            self._within.pop()
        if not self._within:
            return False
        end, kind, group = self._within[-1]
        if self._position >= end:
            raise self._malformed()
        tag = self._varint()
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise self._malformed()
        if wire_type == _GROUP_END:
            if number != group:
                raise self._malformed()
            self._within.pop()
            return True
        self._value(self._field(kind, number), wire_type, end)
        if self._position > end:
            raise self._malformed()
        return True

    def _field(self, kind: Descriptor, number: int) -> FieldDescriptor:
        found: FieldDescriptor | None = kind.fields_by_number.get(number)
        if found is None and kind.is_extendable:
            try:
                found = self._pool.FindExtensionByNumber(kind, number)
            except KeyError:
                found = None
        if found is None:
            raise self._unknown(kind, number)
        return found

    def _value(self, field: FieldDescriptor, wire_type: int, end: int) -> None:
        wanted = _WIRE_TYPES.get(field.type, _VARINT)
        if wire_type == _LENGTH and wanted in (_VARINT, _EIGHT_BYTES, _FOUR_BYTES) and is_repeated(field):
            self._list = (self._length_end(end), field)
        elif wire_type != wanted:
            raise self._unknown(field.containing_type, field.number)
        elif field.message_type is None:
            self._scalar(field, wire_type, end)
        else:
            if len(self._within) >= DEPTH_LIMIT:
                raise MessageRefusedError(f"the message is nested deeper than {DEPTH_LIMIT} messages")
            inner = end if wire_type == _GROUP else self._length_end(end)
            self._within.append((inner, field.message_type, field.number if wire_type == _GROUP else 0))

    def _take_packed(self, end: int, field: FieldDescriptor) -> None:
        wire_type = _WIRE_TYPES.get(field.type, _VARINT)
        for _ in range(PIECE_STEPS):
            if self._position >= end:
                break
            self._scalar(field, wire_type, end)
            self.packed += 1
        if self._position > end:
            raise self._malformed()
        if self._position == end:
            self._list = None

    def _scalar(self, field: FieldDescriptor, wire_type: int, end: int) -> None:
        if wire_type == _VARINT:
            number = self._varint()
            if field.enum_type is not None and is_closed(field):
                signed = (number & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
                if signed not in field.enum_type.values_by_number:
                    raise self._unknown(field.containing_type, field.number)
        elif wire_type == _LENGTH:
            begin = self._length_end(end, stays=True)
            if field.type == _Field.TYPE_STRING:
                try:
                    self._data[begin : self._position].decode()
                except UnicodeDecodeError:
                    raise MessageRefusedError(f"`{field.name}` is not UTF-8") from None
        else:
            self._position += 8 if wire_type == _EIGHT_BYTES else 4

    def _length_end(self, end: int, *, stays: bool = False) -> int:
        """Where what has this length ends; with `stays` where it begins, and the walk is at its end."""
        length = self._varint()
        begin = self._position
        if length > end - begin:
            raise self._malformed()
        if not stays:
            return begin + length
        self._position = begin + length
        return begin

    def _varint(self) -> int:
        number, data, position = 0, self._data, self._position
        for shift in range(0, 70, 7):
            if position >= len(data):
                break
            byte = data[position]
            position += 1
            number |= (byte & 127) << shift
            if byte < 128:
                self._position = position
                return number & 0xFFFF_FFFF_FFFF_FFFF
        raise self._malformed()

    def _malformed(self) -> MessageRefusedError:
        return MessageRefusedError(f"the message is no `{self._root.full_name}`")

    def _unknown(self, kind: Descriptor | None, number: int) -> MessageRefusedError:
        name = kind.full_name if kind is not None else self._root.full_name
        return MessageRefusedError(f"the message has a field that `{name}` has not: {number}")
