"""Changes that name their fields: what an update mask names is taken over, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from afterimage_emulator.status import Code, StatusError


def copy_fields(source: Any, target: Any, paths: Iterable[str], *, fixed: tuple[str, ...]) -> None:
    """An update mask of top-level fields, or of fields within them."""
    wanted = list(paths)
    if not wanted:
        raise StatusError(Code.INVALID_ARGUMENT, "The update_mask in the request must be set, and must not be empty.")
    for path in wanted:
        name = path.split(".")[0]
        if name not in target.DESCRIPTOR.fields_by_name:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` is no field of it.")
        if name in fixed:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` cannot be changed.")
        holder_from, holder_to = source, target
        *parents, last = path.split(".")
        for parent in parents:
            inner = holder_to.DESCRIPTOR.fields_by_name.get(parent)
            if inner is None or inner.message_type is None or not hasattr(getattr(holder_to, parent), "DESCRIPTOR"):
                raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` is no field of it.")
            holder_from, holder_to = getattr(holder_from, parent), getattr(holder_to, parent)
        if last not in holder_to.DESCRIPTOR.fields_by_name:
            raise StatusError(Code.INVALID_ARGUMENT, f"Invalid update_mask provided: `{path}` is no field of it.")
        holder_to.ClearField(last)
        part = type(holder_from)()
        part.CopyFrom(holder_from)
        for field in list(part.DESCRIPTOR.fields_by_name):
            if field != last:
                part.ClearField(field)
        holder_to.MergeFrom(part)
