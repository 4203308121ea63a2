"""What one write makes of one document: preconditions, masks, transforms. Pure: nothing is stored here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.firestore.documents.field_paths import (
    FieldPath,
    delete_field,
    get_field,
    parse_mask,
    set_field,
)
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, document_path, invalid_argument
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.transforms import apply_transform, check_transform
from afterimage_emulator.firestore.documents.values import NO_FIELDS, SURELY_SMALL_BYTES, check_fields, check_size
from afterimage_emulator.firestore.documents.wire_bytes import field, micros_of, timestamp_field
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError

MAXIMUM_REQUEST_BYTES: Final = 10 * 1024 * 1024
MAXIMUM_TRANSFORMS: Final = 500
_MANY_WRITES: Final = 10
_BESIDE_A_BODY: Final = 128
"""More bytes than a write without transforms has beside its document: tags, lengths, a precondition, times."""


@dataclass(slots=True)
class CheckedWrite:
    """A write whose form is right: only the stored document can still make it fail.

    Nobody changes one; it is not frozen, because making a frozen one takes thrice as long, and large commits make many.
    """

    path: str
    name: str
    kind: str
    """`set`, `merge`, `delete`, `verify` or `transform`."""
    document: firestore_v1.Document | None = None
    """What is to be set or merged, where there is no `body`."""
    mask: Sequence[FieldPath] = ()
    transforms: Sequence[firestore_v1.DocumentTransform.FieldTransform] = ()
    precondition: firestore_v1.Precondition | None = None
    body: bytes = b""
    """The serialized document of a `set` without transforms, as it is to be stored but for its times."""

    @property
    def must_exist(self) -> bool:
        precondition = self.precondition
        return (
            precondition is not None and precondition.WhichOneof("condition_type") == "exists" and precondition.exists
        )


def are_surely_small(writes: Sequence[CheckedWrite]) -> bool:
    """Whether a request of these writes needs no look at its size, which takes as long as serializing it once more."""
    return all(write.body for write in writes) and (
        sum([len(write.body) for write in writes]) + _BESIDE_A_BODY * len(writes) <= MAXIMUM_REQUEST_BYTES
    )


def check_request_size(
    request: firestore_v1.CommitRequest | firestore_v1.BatchWriteRequest | firestore_v1.WriteRequest,
) -> None:
    # A few documents and names cannot be that large without being refused by themselves; operands of transforms can.
    may_be_large = len(request.writes) >= _MANY_WRITES or any(
        write.update_transforms or write.HasField("transform") for write in request.writes
    )
    if may_be_large and request.ByteSize() > MAXIMUM_REQUEST_BYTES:
        raise invalid_argument(f"Request payload size exceeds the limit: {MAXIMUM_REQUEST_BYTES} bytes.")


def check_write(write: firestore_v1.Write, database: DatabaseName) -> CheckedWrite:
    """Refuses what is wrong in itself, whatever is stored."""
    operation = write.WhichOneof("operation")
    precondition = write.current_document if write.HasField("current_document") else None
    if operation == "update":
        return _check_update(write, database, precondition)
    if operation == "delete":
        path = document_path(write.delete, database)
        return CheckedWrite(path, write.delete, "delete", precondition=precondition)
    if operation == "transform":
        name = write.transform.document
        transforms = tuple(write.transform.field_transforms)
        _check_transforms(transforms, name)
        return CheckedWrite(
            document_path(name, database), name, "transform", transforms=transforms, precondition=precondition
        )
    if operation == "verify":
        return _check_verify(write, database, precondition)
    raise invalid_argument("a write needs one of `update`, `delete`, `transform` or `verify`")


def _check_verify(
    write: firestore_v1.Write, database: DatabaseName, precondition: firestore_v1.Precondition | None
) -> CheckedWrite:
    """Writes nothing: the commit goes through only while the document is as the precondition says."""
    path = document_path(write.verify, database)
    if precondition is None or precondition.WhichOneof("condition_type") is None:
        raise invalid_argument(f"a verify must contain a precondition: `{write.verify}`")
    if write.HasField("update_mask"):
        raise invalid_argument(f"a verify must not specify a document mask: `{write.verify}`")
    if write.update_transforms:
        raise invalid_argument(f"a verify must not specify an update transform: `{write.verify}`")
    return CheckedWrite(path, write.verify, "verify", precondition=precondition)


def check_together(writes: Sequence[CheckedWrite]) -> None:
    """Refuses writes that contradict each other, whatever is stored."""
    kinds = {write.kind for write in writes}
    if "verify" in kinds:
        _check_verifies(writes)
    if "delete" not in kinds:
        return
    deleted: set[str] = set()
    for write in writes:
        if write.kind == "delete":
            deleted.add(write.path)
        elif write.path in deleted:
            if write.must_exist:
                raise invalid_argument(
                    f"`{write.name}` is deleted by an earlier write of the request, so it cannot be updated after that"
                )
            deleted.discard(write.path)


def _check_verifies(writes: Sequence[CheckedWrite]) -> None:
    """A document is verified once in a commit, and then not written there."""
    seen: dict[str, str] = {}
    for write in writes:
        done = "verified" if write.kind == "verify" else "written"
        before = seen.setdefault(write.path, "")
        seen[write.path] = done
        if before == done == "verified":
            raise invalid_argument(
                f"the same document cannot be verified more than once in a single request: `{write.name}`"
            )
        if before not in ("", done):
            raise invalid_argument(
                f"the same document cannot be {before} and then {done} in a single request: `{write.name}`"
            )


def _check_update(
    write: firestore_v1.Write, database: DatabaseName, precondition: firestore_v1.Precondition | None
) -> CheckedWrite:
    document = write.update
    name = document.name
    path = document_path(name, database)
    if not write.update_transforms and not write.HasField("update_mask"):
        if document.HasField("create_time") or document.HasField("update_time"):
            document.ClearField("create_time")
            document.ClearField("update_time")
        body = document.SerializeToString(deterministic=True)
        if not check_fields(document.fields, serialized_bytes=len(body)):
            body = document.SerializeToString(deterministic=True)
        return CheckedWrite(path, name, "set", None, (), (), precondition, body)
    check_fields(document.fields)
    transforms = tuple(write.update_transforms)
    _check_transforms(transforms, name)
    if write.HasField("update_mask"):
        mask = parse_mask(write.update_mask.field_paths)
        return CheckedWrite(path, name, "merge", document, mask, transforms, precondition)
    return CheckedWrite(path, name, "set", document, (), transforms, precondition)


def _check_transforms(transforms: Sequence[firestore_v1.DocumentTransform.FieldTransform], name: str) -> None:
    if len(transforms) > MAXIMUM_TRANSFORMS:
        raise invalid_argument(
            f"the write to `{name}` has {len(transforms)} transforms; at most {MAXIMUM_TRANSFORMS} fit"
        )
    for transform in transforms:
        check_transform(transform)


def check_precondition(write: CheckedWrite, stored: StoredDocument | None, commit_time: int) -> None:
    precondition = write.precondition
    if precondition is None:
        return
    kind = precondition.WhichOneof("condition_type")
    if kind == "exists":
        if precondition.exists and stored is None:
            raise StatusError(Code.NOT_FOUND, f"No document to update: {write.name}")
        if not precondition.exists and stored is not None:
            raise StatusError(Code.ALREADY_EXISTS, f"Document already exists: {write.name}")
    elif kind == "update_time":
        wanted = micros_of(precondition.update_time)
        if wanted > commit_time:
            raise invalid_argument("The update_time of a precondition must not be in the future.")
        found = 0 if stored is None else stored.update_time
        if wanted != found:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"the stored version ({found}) does not match the required base version ({wanted})",
            )


def apply_write(
    write: CheckedWrite, stored: StoredDocument | None, commit_time: int
) -> tuple[StoredDocument | None, bytes]:
    """The document after the write (the stored one itself where nothing changed) and its serialized WriteResult.

    Preconditions are looked at apart: where rules are in force they come first, and see what a write would do.
    """
    if write.kind == "delete":
        return None, b""
    if write.kind == "verify":
        return stored, timestamp_field(1, commit_time if stored is None else stored.update_time)
    if write.body:
        after = _stored(write, write.body, stored, commit_time)
        return after, timestamp_field(1, after.update_time)
    results: list[bytes] = []
    document = _merged(write, stored)
    for transform in write.transforms:
        told = apply_transform(document.fields, transform, commit_time)
        results.append(field(2, told.SerializeToString()))
    check_fields(document.fields)
    after = _stored(write, document.SerializeToString(deterministic=True), stored, commit_time)
    result = timestamp_field(1, after.update_time)
    return after, result + b"".join(results) if results else result


def _merged(write: CheckedWrite, stored: StoredDocument | None) -> firestore_v1.Document:
    """The document before transforms."""
    document = firestore_v1.Document(name=write.name)
    given = write.document.fields if write.document is not None else NO_FIELDS
    if write.kind == "set":
        document.fields.MergeFrom(given)
        return document
    if stored is not None:
        document = stored.message()
        document.ClearField("create_time")
        document.ClearField("update_time")
    for path in write.mask:
        value = get_field(given, path)
        if value is None:
            delete_field(document.fields, path)
        else:
            set_field(document.fields, path, value)
    return document


def _stored(write: CheckedWrite, body: bytes, stored: StoredDocument | None, commit_time: int) -> StoredDocument:
    if len(body) >= SURELY_SMALL_BYTES:
        check_size(write.path, write.name, firestore_v1.Document.FromString(body).fields)
    if stored is None:
        times = timestamp_field(3, commit_time) + timestamp_field(4, commit_time)
        return StoredDocument(write.path, body + times, commit_time, commit_time)
    created = timestamp_field(3, stored.create_time)
    # What is stored ends in its two times, so that one body begins with another of its length only if it is the same.
    times_bytes = len(created) + len(timestamp_field(4, stored.update_time))
    if len(stored.wire) == len(body) + times_bytes and stored.wire.startswith(body):
        return stored
    return StoredDocument(write.path, body + created + timestamp_field(4, commit_time), stored.create_time, commit_time)


class PendingCommit:
    """Several writes applied in order on top of what is stored, to be committed together or not at all."""

    __slots__ = ("after", "before", "commit_time", "results")

    def __init__(self, before: Mapping[str, StoredDocument | None], commit_time: int) -> None:
        self.before = before
        self.after: dict[str, StoredDocument | None] = {}
        self.commit_time = commit_time
        self.results: list[bytes] = []

    def current(self, path: str) -> StoredDocument | None:
        return self.after[path] if path in self.after else self.before[path]

    def apply(self, write: CheckedWrite) -> StoredDocument | None:
        """The document after the write, on top of the writes before it, whatever its precondition."""
        stored = self.after[write.path] if write.path in self.after else self.before[write.path]
        after, result = apply_write(write, stored, self.commit_time)
        self.results.append(result)
        self.after[write.path] = after
        return after

    def changes(self) -> list[Change]:
        """Only what really changed."""
        found = []
        for path, after in self.after.items():
            before = self.before[path]
            if after is not before:
                found.append(Change(path, before, after))
        return found
