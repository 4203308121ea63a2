"""All schemas of all projects with their revisions: made, committed, rolled back, deleted, and asked about messages."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.pubsub.resource_names import already_exists, check_name, not_found
from afterimage_emulator.pubsub.schemas.definitions import ENCODINGS, AvroDefinition, Definition, read_definition
from afterimage_emulator.pubsub.schemas.refusals import (
    ComparingSteps,
    MessageRefusedError,
    SchemaRefusedError,
    shortened,
)
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import Work

REVISIONS_LIMIT: Final = 20
SCHEMAS_LIMIT: Final = 10_000


@dataclass(slots=True, eq=False)
class Revision:
    """One committed definition: what the API shows, and what it means."""

    shown: pubsub_v1.Schema
    definition: Definition

    @property
    def revision_id(self) -> str:
        return self.shown.revision_id

    def avro_binary(self, data: bytes, encoding: str) -> Work[bytes]:
        """The message as files of Avro hold it."""
        if not isinstance(self.definition, AvroDefinition):
            raise TypeError(f"`{self.shown.name}` is no Avro schema")
        return self.definition.binary(data, encoding)


@dataclass(slots=True, eq=False)
class Schema:
    name: str
    revisions: list[Revision] = field(default_factory=list)
    """The oldest first; never empty."""

    def between(self, first: str, last: str) -> Iterator[Revision]:
        """Those that a topic takes, the newest first; an end that is not named, or is deleted, is no end."""
        ids = [revision.revision_id for revision in self.revisions]
        begin = ids.index(first) if first in ids else 0
        end = ids.index(last) if last in ids else len(ids) - 1
        return reversed(self.revisions[begin : end + 1])


class Schemas:
    def __init__(self, *, clock: Clock, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._clock = clock
        self._schemas: dict[str, Schema] = {}
        self._numbers = itertools.count(1)
        self.reading = asyncio.Lock()
        """Held by whoever reads a long message for its schema."""

    # -- reading

    def all(self) -> list[Schema]:
        return [self._schemas[name] for name in sorted(self._schemas)]

    def of_project(self, project: str) -> list[Schema]:
        return [schema for schema in self.all() if schema.name.startswith(f"{project}/schemas/")]

    def find(self, name: str) -> Schema | None:
        return self._schemas.get(name)

    def exists(self, name: str) -> bool:
        return name in self._schemas

    def schema(self, name: str) -> Schema:
        check_name(name, "schemas")
        found = self._schemas.get(name)
        if found is None:
            raise not_found(name)
        return found

    def revision(self, name: str) -> Revision:
        """The newest, or the one that `…/schemas/ID@REVISION` names."""
        plain, _, revision_id = name.partition("@")
        schema = self.schema(plain)
        if not revision_id:
            return schema.revisions[-1]
        return _revision(schema, revision_id)

    def avro_revision(self, name: str, revision_id: str) -> Revision | None:
        """Where it is there, and is Avro."""
        found = self._schemas.get(name)
        for revision in found.revisions if found is not None else ():
            if revision.revision_id == revision_id and isinstance(revision.definition, AvroDefinition):
                return revision
        return None

    # -- changing

    def create(self, name: str, wanted: pubsub_v1.Schema) -> Revision:
        check_name(name, "schemas")
        if name in self._schemas:
            raise already_exists(name)
        project = name.partition("/schemas/")[0]
        if len(self.of_project(project)) >= SCHEMAS_LIMIT:
            raise StatusError(Code.RESOURCE_EXHAUSTED, f"`{project}` has {SCHEMAS_LIMIT} schemas, which is the limit")
        made = self._revision(name, wanted)
        self._schemas[name] = Schema(name, [made])
        self._touch(schema_key(name))
        return made

    def commit(self, name: str, wanted: pubsub_v1.Schema) -> Revision:
        """Compared with every older revision, since messages of all of them may still be on their way."""
        schema = self.schema(name)
        _check_room(schema)
        made = self._revision(name, wanted)
        if made.shown.type_ != schema.revisions[0].shown.type_:
            raise StatusError(Code.INVALID_ARGUMENT, f"the type of `{name}` cannot change")
        steps = ComparingSteps()
        for older in reversed(schema.revisions):
            try:
                reason = made.definition.incompatible(older.definition, steps)
            except SchemaRefusedError as error:
                reason = str(error)
            if reason:
                raise StatusError(
                    Code.INVALID_ARGUMENT,
                    f"Compatibility checking failed to commit a schema revision for `{name}`. "
                    f"Revision is incompatible with previous revision: {older.revision_id}. {shortened(reason)}",
                )
        schema.revisions.append(made)
        self._touch(schema_key(name))
        return made

    def rollback(self, name: str, revision_id: str) -> Revision:
        """A new revision with an old one's definition."""
        schema = self.schema(name)
        if not revision_id:
            raise StatusError(Code.INVALID_ARGUMENT, "`revision_id` must name the revision to go back to")
        old = _revision(schema, revision_id)
        _check_room(schema)
        made = self._revision(name, old.shown)
        schema.revisions.append(made)
        self._touch(schema_key(name))
        return made

    def delete_revision(self, name: str, revision_id: str) -> Revision:
        """Answers the newest that is left."""
        plain, _, named = name.partition("@")
        schema = self.schema(plain)
        if not (named or revision_id):
            raise StatusError(Code.INVALID_ARGUMENT, f"the name must end in a revision, as in `{plain}@1a2b3c4d`")
        found = _revision(schema, named or revision_id)
        if len(schema.revisions) == 1:
            raise StatusError(Code.FAILED_PRECONDITION, f"`{plain}` has this revision alone: delete the schema instead")
        schema.revisions.remove(found)
        self._touch(schema_key(plain))
        return schema.revisions[-1]

    def delete(self, name: str) -> None:
        self.schema(name)
        del self._schemas[name]
        self._touch(schema_key(name))

    def clear(self) -> None:
        self._schemas.clear()

    def adopt(self, name: str, shown: Sequence[pubsub_v1.Schema]) -> None:
        """Revisions as an export kept them, with their own ids and times."""
        self._schemas[name] = Schema(name, [Revision(each, _read(each)) for each in shown])
        self._touch(schema_key(name))

    # -- messages

    def fitting(self, settings: pubsub_v1.SchemaSettings, messages: Iterable[bytes]) -> Work[list[Revision]]:
        """For each message the newest revision of a topic's range that it fits."""
        found: list[Revision] = []
        for data in messages:
            found.append((yield from self._fitting(settings, data)))
            yield 1
        return found

    def _fitting(self, settings: pubsub_v1.SchemaSettings, data: bytes) -> Work[Revision]:
        found = self._schemas.get(settings.schema)
        if found is None:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                "the topic's schema is deleted; give the topic another schema, or clear its `schema_settings`",
            )
        encoding, first_reason = ENCODINGS[settings.encoding], ""
        for revision in found.between(settings.first_revision_id, settings.last_revision_id):
            try:
                yield from revision.definition.check(data, encoding)
                return revision
            except MessageRefusedError as error:
                first_reason = first_reason or str(error)
        raise invalid_message(first_reason)

    def check_settings(self, settings: pubsub_v1.SchemaSettings) -> None:
        schema = self.schema(settings.schema)
        if settings.encoding not in ENCODINGS:
            raise StatusError(Code.INVALID_ARGUMENT, "`schema_settings.encoding` must be JSON or BINARY")
        ids = [revision.revision_id for revision in schema.revisions]
        for name in ("first_revision_id", "last_revision_id"):
            wanted = getattr(settings, name)
            if wanted and wanted not in ids:
                raise not_found(f"{schema.name}@{wanted}")
        first, last = settings.first_revision_id, settings.last_revision_id
        if first and last and ids.index(first) > ids.index(last):
            raise StatusError(Code.INVALID_ARGUMENT, "`first_revision_id` is newer than `last_revision_id`")

    def _revision(self, name: str, wanted: pubsub_v1.Schema) -> Revision:
        shown = pubsub_v1.Schema()
        shown.CopyFrom(wanted)
        definition = _read(shown)
        shown.name = name
        number = f"{name}\0{next(self._numbers)}\0{self._clock.now_ns()}\0{shown.definition}"
        shown.revision_id = hashlib.sha256(number.encode()).hexdigest()[:8]
        seconds, nanos = divmod(self._clock.now_ns(), NANOS_PER_SECOND)
        shown.revision_create_time.seconds, shown.revision_create_time.nanos = seconds, nanos
        return Revision(shown, definition)


def schema_key(name: str) -> str:
    """Under which a schema is kept with all its revisions."""
    return f"schema/{name}"


def invalid_message(reason: str) -> StatusError:
    return StatusError(
        Code.INVALID_ARGUMENT, f"Invalid data in message: Message failed schema validation. The reason: {reason}"
    )


def _read(schema: pubsub_v1.Schema) -> Definition:
    try:
        return read_definition(schema)
    except SchemaRefusedError as error:
        raise StatusError(Code.INVALID_ARGUMENT, f"Invalid schema definition: {error}") from None


def _revision(schema: Schema, revision_id: str) -> Revision:
    for revision in schema.revisions:
        if revision.revision_id == revision_id:
            return revision
    raise not_found(f"{schema.name}@{revision_id}")


def _check_room(schema: Schema) -> None:
    if len(schema.revisions) >= REVISIONS_LIMIT:
        raise StatusError(
            Code.RESOURCE_EXHAUSTED,
            f"`{schema.name}` has {REVISIONS_LIMIT} revisions, which is the limit; delete one before the next",
        )
