"""The types of the messages that official exports are made of."""

from enum import IntEnum

from afterimage_emulator.protos.message import Message, RepeatedMessages, RepeatedScalars

class Meaning(IntEnum):
    NONE = ...
    WHEN = ...
    POINT = ...
    BLOB = ...
    TEXT = ...
    BYTES = ...
    BLOB_KEY = ...
    INDEX_VALUE = ...
    ENTITY = ...
    EMPTY_LIST = ...

class Element(Message):
    type: bytes
    id: int
    name: bytes
    def HasField(self, field_name: str) -> bool: ...

class Path(Message):
    element: RepeatedMessages[Element]

class Reference(Message):
    app: bytes
    name_space: bytes
    database_id: bytes
    path: Path

class Point(Message):
    x: float
    y: float

class ReferenceValue(Message):
    app: bytes
    name_space: bytes
    database_id: bytes
    element: RepeatedMessages[Element]

class PropertyValue(Message):
    int64_value: int
    boolean_value: bool
    string_value: bytes
    double_value: float
    point_value: Point
    reference_value: ReferenceValue
    def HasField(self, field_name: str) -> bool: ...

class Property(Message):
    meaning: int
    name: bytes
    multiple: bool
    value: PropertyValue

class Entity(Message):
    key: Reference
    property: RepeatedMessages[Property]
    raw_property: RepeatedMessages[Property]

class FolderMetadata(Message):
    path: bytes
    entities: int
    output_bytes: int

class ExportMetadata(Message):
    folder: RepeatedMessages[FolderMetadata]

class OutputFiles(Message):
    prefix: bytes
    name: RepeatedScalars[bytes]

class OutputMetadata(Message):
    output: RepeatedMessages[OutputFiles]
