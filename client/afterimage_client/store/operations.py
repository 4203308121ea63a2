"""What a patch may do to a document: five operations, checked and applied.

`increment`, `union` and `subtract` say what is to be done to a value instead of what it shall be. They can be done
again on a value that somebody else has changed meanwhile, so they never conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afterimage_client.database.errors import InvalidDocumentError
from afterimage_client.store.fields import (
    ABSENT,
    Fields,
    Path,
    changes,
    field_at,
    is_same,
    parse_path,
    show_path,
    with_field,
)

SET: Final = "set"
REMOVE: Final = "remove"
INCREMENT: Final = "increment"
UNION: Final = "union"
SUBTRACT: Final = "subtract"
RELATIVE: Final = frozenset({INCREMENT, UNION, SUBTRACT})
_KINDS: Final = RELATIVE | {SET, REMOVE}
DEEPEST: Final = 20
LONGEST_NAME_BYTES: Final = 1500
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class PatchOp:
    """One operation on one field."""

    kind: str
    path: Path
    value: Any = None

    @property
    def is_relative(self) -> bool:
        return self.kind in RELATIVE

    def to_json(self) -> dict[str, Any]:
        return {"op": self.kind, "path": show_path(self.path), "value": self.value}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> PatchOp:
        """Reads `{"op": "set", "path": "stats.level", "value": 3}`; what is wrong is named."""
        if not isinstance(body, Mapping):
            raise InvalidDocumentError(f"`{body!r}` is no operation: write it as `{{'op': 'set', 'path': …}}`")
        kind = body.get("op")
        if not isinstance(kind, str) or kind not in _KINDS:
            raise InvalidDocumentError(f"unknown operation `{kind}`: use one of `{'`, `'.join(sorted(_KINDS))}`")
        text = body.get("path")
        if not isinstance(text, str):
            raise InvalidDocumentError(f"`path` of `{kind}` is `{text!r}`: write it as `name.name`")
        try:
            path = parse_path(text)
        except ValueError as error:
            raise InvalidDocumentError(str(error)) from error
        if kind != REMOVE and "value" not in body:
            raise InvalidDocumentError(f"`{kind}` of `{text}` has no `value`")
        value = body.get("value")
        if kind == INCREMENT and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidDocumentError(f"`increment` of `{text}` by `{value!r}`: give a number")
        if kind in (UNION, SUBTRACT) and not isinstance(value, list):
            raise InvalidDocumentError(f"`{kind}` of `{text}` with `{value!r}`: give a list")
        return PatchOp(kind, path, value)


def apply_op(fields: Fields, op: PatchOp) -> dict[str, Any]:
    """The fields after one operation; what was given stays as it is."""
    if op.kind == SET:
        return with_field(fields, op.path, op.value)
    if op.kind == REMOVE:
        return with_field(fields, op.path, ABSENT)
    return with_field(fields, op.path, relative_value(op, field_at(fields, op.path)))


def apply_ops(fields: Fields, ops: Iterable[PatchOp]) -> dict[str, Any]:
    """The fields after all operations, in their order."""
    after = dict(fields)
    for op in ops:
        after = apply_op(after, op)
    return after


def relative_value(op: PatchOp, current: Any) -> Any:
    """What a relative operation makes of a value; as in Firestore, a value of another type counts as none."""
    if op.kind == INCREMENT:
        if isinstance(current, bool) or not isinstance(current, int | float):
            return op.value
        total = current + op.value
        return min(max(total, _LOWEST), _HIGHEST) if isinstance(total, int) else total
    items = current if isinstance(current, list) else []
    if op.kind == UNION:
        merged = list(items)
        for item in op.value:
            if not any(is_same(item, each) for each in merged):
                merged.append(item)
        return merged
    return [item for item in items if not any(is_same(item, each) for each in op.value)]


def ops_between(before: Fields, after: Fields) -> list[PatchOp]:
    """The operations that say what a person changed who replaced one document with another."""
    return [
        PatchOp(REMOVE, path) if value is ABSENT else PatchOp(SET, path, value)
        for path, value in changes(before, after)
    ]


def check_name(name: Any, told: str) -> None:
    """Refuses names of documents and fields that Firestore keeps for itself, and those that are too long."""
    if not isinstance(name, str) or not name:
        raise InvalidDocumentError(f"{told} is named `{name!r}`: names are strings that are not empty")
    _check_text(name, told)
    if len(name) > 3 and name.startswith("__") and name.endswith("__"):
        raise InvalidDocumentError(f"{told} is named `{name[:60]}`, which Firestore keeps for itself: use another name")
    if len(name.encode()) > LONGEST_NAME_BYTES:
        raise InvalidDocumentError(
            f"{told} is named `{name[:60]}…`, longer than {LONGEST_NAME_BYTES} bytes: shorten it"
        )


def check_reference(collection: str, document_id: str) -> None:
    """Refuses what cannot be a document of a collection."""
    is_text = isinstance(collection, str) and isinstance(document_id, str)
    if not is_text or not collection or "/" in collection or not document_id or "/" in document_id:
        raise InvalidDocumentError(
            f"`{collection}/{document_id}` is no document of a collection: leave out the slashes"
        )
    if document_id in (".", ".."):
        raise InvalidDocumentError(f"`{document_id}` cannot be the id of a document: use another one")
    check_name(document_id, f"a document of `{collection}`")


def _check_text(text: str, place: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidDocumentError(
            f"`{place[:60]}` has half a character at {error.start}, which is no text: decode it with `errors='replace'`"
        ) from error


def check_storable(value: Any, place: str, depth: int = 1) -> None:
    """Refuses here what Firestore would refuse later, when nobody looks any more."""
    if depth > DEEPEST:
        raise InvalidDocumentError(f"`{place[:60]}…` is nested more than {DEEPEST} deep: flatten it")
    if isinstance(value, str):
        _check_text(value, place)
    elif isinstance(value, dict):
        for name, item in value.items():
            check_name(name, f"a field of `{place[:60]}`")
            check_storable(item, f"{place}.{name}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, list):
                raise InvalidDocumentError(
                    f"`{place}[{index}]` is a list in a list, which Firestore does not hold: put a map between them"
                )
            check_storable(item, f"{place}[{index}]", depth + 1)
