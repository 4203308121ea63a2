"""Large commits of nothing but whole documents with plain values: read at once, not write by write.

A load of data is made of such commits. A look at each write and each value through its message takes most of the time
of a commit, so that two other readings of the same bytes answer for all of them what is asked of each one.
"""

from __future__ import annotations

from typing import Final

from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, check_document_path
from afterimage_emulator.firestore.documents.values import SURELY_SHORT, is_surely_good_name
from afterimage_emulator.firestore.documents.writes import CheckedWrite
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.protos.made import commit_shapes

_WORTH_IT: Final = 8
"""Fewer writes are looked at one by one in the time that the two readings take."""
_MORE_THAN_A_SET: Final = ("delete", "update_mask", "current_document", "verify", "transform", "update_transforms")
_TIMES: Final = ("create_time", "update_time")


def read_plain_sets(request: firestore_v1.CommitRequest, database: DatabaseName) -> list[CheckedWrite] | None:
    """All writes of the request, checked; none where one of them needs a closer look, if only to be refused.

    The bytes are made from the parsed request: there each value stands once, beside its name, in the order of names.
    """
    count = len(request.writes)
    if count < _WORTH_IT:
        return None
    wire = request.SerializeToString(deterministic=True)
    writes = commit_shapes.Shape.FromString(wire).writes
    documents = writes.update
    if any(map(writes.HasField, _MORE_THAN_A_SET)) or any(map(documents.HasField, _TIMES)):
        return None
    names = list(documents.name)
    bodies = list(commit_shapes.Bodies.FromString(wire).writes.update)
    if not len(names) == len(bodies) == count or len(max(bodies, key=len)) > SURELY_SHORT:
        return None
    if not _are_plain(documents.fields):
        return None
    return _sets(names, bodies, database)


def _sets(names: list[str], bodies: list[bytes], database: DatabaseName) -> list[CheckedWrite] | None:
    prefix = database.documents_prefix
    skipped = len(prefix)
    sets = []
    for name, body in zip(names, bodies, strict=True):
        if not name.startswith(prefix):
            return None
        path = name[skipped:]
        check_document_path(path, name)
        sets.append(CheckedWrite(path, name, "set", None, (), (), None, body))
    return sets


def _are_plain(fields: commit_shapes.Fields) -> bool:
    """Whether each field has a good name and a value of one of the plain kinds: a value has one kind at most."""
    values = fields.value
    plain = len(values.boolean_value) + len(values.integer_value) + len(values.double_value)
    plain += len(values.null_value) + len(values.string_value)
    names = list(fields.key)
    return plain == len(names) and all(map(is_surely_good_name, set(names)))
