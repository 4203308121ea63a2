"""Entities of official exports as documents, whoever wrote them: the official emulator, production, or this suite.

What Datastore can keep and Firestore cannot is refused by its name, and the path of the document with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, check_document_path
from afterimage_emulator.firestore.documents.values import (
    MAXIMUM_DEPTH,
    VECTOR_MARK,
    VECTOR_TYPE,
    Fields,
    check_fields,
    check_size,
)
from afterimage_emulator.firestore.documents.wire_bytes import MICROS_PER_SECOND
from afterimage_emulator.firestore.exports.broken_exports import broken_export
from afterimage_emulator.firestore.exports.written_entities import DEFAULT_DATABASE
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.made.datastore_exports import Element, Entity, Meaning, Property, ReferenceValue
from afterimage_emulator.protos.message import DecodeError

_BYTES: Final = (Meaning.BYTES, Meaning.BLOB)
_NOT_IN_FIRESTORE: Final[dict[int, str]] = {
    Meaning.BLOB_KEY: "a blob key",
    Meaning.INDEX_VALUE: "the value of a projection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """A document of an export, which has no times: name and fields as they will be stored."""

    database: DatabaseName
    path: str
    body: firestore_v1.Document


def read_entity(record: bytes, project: str) -> ReadDocument:
    """`project` takes the document over, whatever project the export is of."""
    try:
        entity = Entity.FromString(record)
    except DecodeError:
        raise broken_export("it is no entity") from None
    key = entity.key
    if key.name_space:
        raise broken_export(f"it lies in the namespace `{_text(key.name_space)}`, and Firestore has none")
    database = DatabaseName(project, _text(key.database_id) or DEFAULT_DATABASE)
    path = _path(key.path.element)
    name = f"{database.documents}/{path}"
    check_document_path(path, name)
    body = firestore_v1.Document(name=name)
    _EntityReader(_project_of(_text(key.app)), project).read(entity, body.fields, depth=0)
    check_fields(body.fields)
    check_size(path, name, body.fields)
    return ReadDocument(database=database, path=path, body=body)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise broken_export(f"`{raw[:40]!r}` is not UTF-8") from None


def _project_of(app: str) -> str:
    """Behind what says where it was: `s~`, `e~`, `dev~`."""
    return app.rpartition("~")[2]


def _path(elements: Sequence[Element]) -> str:
    segments = []
    for element in elements:
        name = f"__id{element.id}__" if element.HasField("id") else _text(element.name)
        segments += [_text(element.type), name]
    return "/".join(segments)


class _EntityReader:
    """Puts the properties of entities into fields."""

    def __init__(self, of: str, project: str) -> None:
        self._of = of
        self._project = project

    def read(self, entity: Entity, fields: Fields, *, depth: int) -> None:
        """Properties may be indexed or not, in any order; a name that comes again is an array that goes on."""
        if depth > MAXIMUM_DEPTH:
            raise broken_export(f"maps lie in it more than {MAXIMUM_DEPTH} deep")
        for properties in (entity.property, entity.raw_property):
            for one in properties:
                name = _text(one.name)
                value = fields.get_or_create(name)
                if one.multiple:
                    self._read_value(one, name, value.array_value.values.add(), depth)
                elif one.meaning == Meaning.EMPTY_LIST:
                    value.array_value.SetInParent()
                else:
                    self._read_value(one, name, value, depth)

    def _read_value(self, one: Property, name: str, value: firestore_v1.Value, depth: int) -> None:
        content = one.value
        if one.meaning in _NOT_IN_FIRESTORE or content.HasField("user_value"):
            kind = _NOT_IN_FIRESTORE.get(one.meaning, "a user")
            raise broken_export(f"`{name}` holds {kind}, which Firestore has no type for")
        if content.HasField("int64_value"):
            if one.meaning == Meaning.WHEN:
                seconds, micros = divmod(content.int64_value, MICROS_PER_SECOND)
                value.timestamp_value.seconds, value.timestamp_value.nanos = seconds, micros * 1000
            else:
                value.integer_value = content.int64_value
        elif content.HasField("boolean_value"):
            value.boolean_value = content.boolean_value
        elif content.HasField("double_value"):
            value.double_value = content.double_value
        elif content.HasField("point_value"):
            value.geo_point_value.latitude, value.geo_point_value.longitude = (
                content.point_value.x,
                content.point_value.y,
            )
        elif content.HasField("reference_value"):
            value.reference_value = self._reference(content.reference_value)
        elif content.HasField("string_value"):
            self._read_bytes(one, value, depth)
        else:
            value.null_value = 0

    def _read_bytes(self, one: Property, value: firestore_v1.Value, depth: int) -> None:
        raw = one.value.string_value
        if one.meaning in _BYTES:
            value.bytes_value = raw
        elif one.meaning == Meaning.ENTITY:
            self._read_map(raw, value, depth + 1)
        else:
            value.string_value = _text(raw)

    def _read_map(self, raw: bytes, value: firestore_v1.Value, depth: int) -> None:
        try:
            entity = Entity.FromString(raw)
        except DecodeError:
            raise broken_export("a map in it is no entity") from None
        fields = value.map_value.fields
        value.map_value.SetInParent()
        self.read(entity, fields, depth=depth)
        elements = fields.get(VECTOR_TYPE)
        if elements is not None and len(fields) == 1:
            fields.get_or_create(VECTOR_MARK).string_value = VECTOR_TYPE
            fields.get_or_create("value").CopyFrom(elements)
            fields.pop(VECTOR_TYPE)

    def _reference(self, reference: ReferenceValue) -> str:
        """What points into the project that was exported follows the documents; SDKs refuse to read other ones."""
        named = _project_of(_text(reference.app))
        project = self._project if named in ("", self._of) else named
        database = DatabaseName(project, _text(reference.database_id) or DEFAULT_DATABASE)
        return f"{database.documents}/{_path(reference.element)}"
