"""Owns how one write is put into words: fields, mask, transforms and precondition, and whether it may be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.field_paths import FieldData, FieldPath, leaves, parse_field_path, print_field_path
from afterimage_client.firestore.transforms import DELETE_FIELD, encode_transform, is_transform
from afterimage_client.firestore.values import encode_fields, encode_into, to_micros
from afterimage_client.firestore.wire.messages import firestore as messages

MOST_WRITES: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Precondition:
    """What must be true of the stored document, or nothing of the commit happens."""

    exists: bool | None = None
    update_time: datetime | None = None

    def __post_init__(self) -> None:
        if self.exists is not None and self.update_time is not None:
            raise _invalid("a precondition is about `exists` or about `update_time`, not about both")


NO_PRECONDITION: Final = Precondition()


def set_write(
    name: str,
    data: Mapping[str, Any],
    *,
    merge: bool | Iterable[str | Sequence[str]] = False,
    precondition: Precondition = NO_PRECONDITION,
) -> Any:
    """The whole document, or with `merge` only the fields that stand in `data`, or only those that are named."""
    _check_map(data)
    write = messages.Write()
    write.update.name = name
    if merge is False:
        plain, transforms = _split(data, ())
        if _find_delete(plain):
            raise _invalid("DELETE_FIELD has no meaning in `set` without merge", "leave the field out")
        encode_fields(write.update.fields, plain)
    else:
        fields = dict(leaves(data))
        chosen = fields if merge is True else _chosen(data, merge)
        transforms = _masked(write, chosen)
    return _completed(write, transforms, precondition)


def update_write(
    name: str,
    data: FieldData,
    precondition: Precondition = NO_PRECONDITION,
) -> Any:
    """Fields by their paths: `{"a.b": 1}` leaves the rest of `a` as it is. The document must exist."""
    _check_map(data)
    write = messages.Write()
    write.update.name = name
    fields: dict[FieldPath, Any] = {parse_field_path(field): value for field, value in data.items()}
    if not fields:
        raise _invalid("an update needs a field", "name what changes")
    _check_no_overlap(fields)
    transforms = _masked(write, fields)
    if precondition == NO_PRECONDITION:
        precondition = Precondition(exists=True)
    return _completed(write, transforms, precondition)


def delete_write(name: str, precondition: Precondition = NO_PRECONDITION) -> Any:
    return _completed(messages.Write(delete=name), [], precondition)


def verify_write(name: str, precondition: Precondition) -> Any:
    """Changes nothing, and fails the commit unless the precondition holds."""
    return _completed(messages.Write(verify=name), [], precondition)


def may_repeat(writes: Sequence[Any]) -> bool:
    """Whether applying them twice is applying them once, so that a lost answer does no harm."""
    for write in writes:
        if any(transform.HasField("increment") for transform in write.update_transforms):
            return False
        if not write.HasField("current_document"):
            continue
        # What the first application did makes the second one's precondition fail, and nobody knows why.
        condition = write.current_document
        holds_again = condition.WhichOneof("condition_type") == "exists" and condition.exists
        if not holds_again or write.WhichOneof("operation") == "delete":
            return False
    return True


def happens_once(write: Any) -> bool:
    """Whether a second application is refused by the write's own condition, or changes nothing more."""
    condition = write.current_document.WhichOneof("condition_type")
    is_guarded = condition == "update_time" or (condition == "exists" and not write.current_document.exists)
    return is_guarded or may_repeat([write])


def _completed(write: Any, transforms: list[tuple[FieldPath, Any]], precondition: Precondition) -> Any:
    for path, value in transforms:
        write.update_transforms.append(encode_transform(print_field_path(path), value))
    if precondition.exists is not None:
        write.current_document.exists = precondition.exists
    elif precondition.update_time is not None:
        write.current_document.update_time.FromMicroseconds(to_micros(precondition.update_time))
    return write


def _masked(write: Any, fields: Mapping[FieldPath, Any]) -> list[tuple[FieldPath, Any]]:
    """Puts each field where it stands, and into the mask. Returns those that the server computes."""
    write.update_mask.SetInParent()
    transforms = []
    for path, value in fields.items():
        if is_transform(value):
            transforms.append((path, value))
            continue
        if value is not DELETE_FIELD:
            value, inner = _split(value, path) if isinstance(value, Mapping) else (value, [])
            transforms += inner
            encode_into(_place(write.update.fields, path), value, print_field_path(path), len(path) - 1)
        write.update_mask.field_paths.append(print_field_path(path))
    return transforms


def _place(fields: Any, path: FieldPath) -> Any:
    for name in path[:-1]:
        fields = fields[name].map_value.fields
    return fields[path[-1]]


def _split(data: Mapping[str, Any], before: FieldPath) -> tuple[dict[str, Any], list[tuple[FieldPath, Any]]]:
    """What is stored as it stands, and what the server computes."""
    plain: dict[str, Any] = {}
    transforms: list[tuple[FieldPath, Any]] = []
    for name, value in data.items():
        if is_transform(value):
            transforms.append(((*before, name), value))
        elif isinstance(value, Mapping):
            plain[name], inner = _split(value, (*before, name))
            transforms += inner
        else:
            plain[name] = value
    return plain, transforms


def _find_delete(data: Any) -> bool:
    if isinstance(data, Mapping):
        return any(_find_delete(value) for value in data.values())
    return data is DELETE_FIELD


def _chosen(data: Mapping[str, Any], merge: Any) -> dict[FieldPath, Any]:
    chosen: dict[FieldPath, Any] = {}
    for field in merge:
        path = parse_field_path(field)
        value: Any = data
        for name in path:
            if not isinstance(value, Mapping) or name not in value:
                raise _invalid(f"`{print_field_path(path)}` is to be merged, but the data has no such field")
            value = value[name]
        chosen[path] = value
    _check_no_overlap(chosen)
    return chosen


def _check_no_overlap(fields: Mapping[FieldPath, Any]) -> None:
    for path in fields:
        for length in range(1, len(path)):
            if path[:length] in fields:
                raise _invalid(
                    f"`{print_field_path(path)}` lies in `{print_field_path(path[:length])}`, which is written too",
                    "write one of the two",
                )


def _check_map(data: object) -> None:
    if not isinstance(data, Mapping):
        raise _invalid(f"a `{type(data).__name__}` is no document", "give a map of fields")


def _invalid(message: str, way_out: str = "") -> FirestoreError:
    return FirestoreError("invalid-argument", message, way_out=way_out)
