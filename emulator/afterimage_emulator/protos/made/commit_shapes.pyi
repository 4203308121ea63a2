"""The types of the two other readings of a CommitRequest."""

from afterimage_emulator.protos.message import Message, RepeatedScalars

class BodiesOfWrites(Message):
    update: RepeatedScalars[bytes]

class Bodies(Message):
    writes: BodiesOfWrites

class Values(Message):
    boolean_value: RepeatedScalars[bool]
    integer_value: RepeatedScalars[int]
    double_value: RepeatedScalars[float]
    null_value: RepeatedScalars[int]
    string_value: RepeatedScalars[bytes]

class Fields(Message):
    key: RepeatedScalars[str]
    value: Values

class Documents(Message):
    name: RepeatedScalars[str]
    fields: Fields
    create_time: bytes
    update_time: bytes
    def HasField(self, field_name: str) -> bool: ...

class Writes(Message):
    update: Documents
    delete: bytes
    update_mask: bytes
    current_document: bytes
    verify: bytes
    transform: bytes
    update_transforms: bytes
    def HasField(self, field_name: str) -> bool: ...

class Shape(Message):
    writes: Writes
