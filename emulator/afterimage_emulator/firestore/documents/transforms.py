"""Field transforms: what the server computes itself when a write is applied (time, sums, extremes, array sets)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from afterimage_emulator.firestore.documents.field_paths import field_to_set, get_field, parse_field_path
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.values import (
    NAN,
    Fields,
    check_element,
    is_number,
    number_of,
    sort_key,
)
from afterimage_emulator.firestore.documents.wire_bytes import MICROS_PER_SECOND
from afterimage_emulator.protos import firestore_v1

_MAXIMUM_INTEGER: Final = 2**63 - 1
_MINIMUM_INTEGER: Final = -(2**63)
_REQUEST_TIME: Final = 1


def check_transform(transform: firestore_v1.DocumentTransform.FieldTransform) -> None:
    """Refuses a transform that no document could take."""
    path = parse_field_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    if kind is None:
        raise invalid_argument(f"the transform of `{transform.field_path}` has no type set")
    if path == ("__name__",):
        raise invalid_argument("`__name__` cannot be transformed")
    if kind == "set_to_server_value":
        if transform.set_to_server_value != _REQUEST_TIME:
            raise invalid_argument(f"the transform of `{transform.field_path}` asks for an unknown server value")
        return
    operand = getattr(transform, kind)
    if kind in ("increment", "maximum", "minimum"):
        if not is_number(operand):
            raise invalid_argument(f"the operand of `{kind}` on `{transform.field_path}` must be a number")
        return
    for element in operand.values:
        check_element(element, name=transform.field_path)


def apply_transform(
    fields: Fields, transform: firestore_v1.DocumentTransform.FieldTransform, commit_time: int
) -> firestore_v1.Value:
    """Changes the fields, and returns the value that the client is told."""
    path = parse_field_path(transform.field_path)
    kind = transform.WhichOneof("transform_type")
    assert kind is not None, "a transform that was not checked"
    current = get_field(fields, path)
    if kind == "set_to_server_value":
        result = _server_time(commit_time)
    elif kind in ("append_missing_elements", "remove_all_from_array"):
        result = _changed_array(current, getattr(transform, kind).values, is_removal=kind == "remove_all_from_array")
        field_to_set(fields, path).CopyFrom(result)
        return firestore_v1.Value(null_value=0)
    elif current is None or not is_number(current):
        result = firestore_v1.Value()
        result.CopyFrom(getattr(transform, kind))
    elif kind == "increment":
        result = _sum(current, transform.increment)
    else:
        result = _extreme(current, getattr(transform, kind), wants_greater=kind == "maximum")
    field_to_set(fields, path).CopyFrom(result)
    return result


def _server_time(commit_time: int) -> firestore_v1.Value:
    seconds, micros = divmod(commit_time, MICROS_PER_SECOND)
    value = firestore_v1.Value()
    value.timestamp_value.seconds = seconds
    value.timestamp_value.nanos = micros * 1000
    return value


def _sum(current: firestore_v1.Value, operand: firestore_v1.Value) -> firestore_v1.Value:
    """Integers saturate at the ends of their range; with a double, the sum is a double."""
    left, right = number_of(current), number_of(operand)
    if isinstance(left, int) and isinstance(right, int):
        return firestore_v1.Value(integer_value=max(_MINIMUM_INTEGER, min(_MAXIMUM_INTEGER, left + right)))
    return firestore_v1.Value(double_value=float(left) + float(right))


def _extreme(current: firestore_v1.Value, operand: firestore_v1.Value, *, wants_greater: bool) -> firestore_v1.Value:
    """The greater (or smaller) of the two, the stored one where they are equal; NaN wins over all numbers."""
    left, right = sort_key(current), sort_key(operand)
    result = firestore_v1.Value()
    if NAN in (left[0], right[0]):
        result.double_value = math.nan
    elif left != right and (right > left) == wants_greater:
        result.CopyFrom(operand)
    else:
        result.CopyFrom(current)
    return result


def _changed_array(
    current: firestore_v1.Value | None, elements: Iterable[firestore_v1.Value], *, is_removal: bool
) -> firestore_v1.Value:
    result = firestore_v1.Value()
    result.array_value.SetInParent()
    kept = result.array_value.values
    stored = current.array_value.values if current is not None and current.HasField("array_value") else ()
    if is_removal:
        removed = {sort_key(element) for element in elements}
        kept.extend(element for element in stored if sort_key(element) not in removed)
        return result
    kept.extend(stored)
    present = {sort_key(element) for element in stored}
    for element in elements:
        key = sort_key(element)
        if key not in present:
            present.add(key)
            kept.append(element)
    return result
