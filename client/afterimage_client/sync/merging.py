"""Three-way merges, field by field. Pure.

| here (against base) | there (against base) | merged                                              |
|---------------------|----------------------|-----------------------------------------------------|
| same                | same                 | base                                                |
| changed             | same                 | here                                                |
| same                | changed              | there                                               |
| changed             | changed to the same  | that                                                |
| changed             | changed otherwise    | maps field by field; else the hook; else there,     |
|                     |                      | and here is kept for a person                       |
| increment, union or subtract alone | anything | done again on what is there                         |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage_client.store.copies import Edit
from afterimage_client.store.fields import ABSENT, Fields, Path, field_at, is_same, overlap, with_field
from afterimage_client.store.operations import PatchOp, apply_ops, ops_between


class Unresolved:
    """What a hook returns that leaves a field to a person."""

    def __repr__(self) -> str:
        return "UNRESOLVED"


UNRESOLVED: Final = Unresolved()
MergeField = Callable[[Path, Any, Any, Any], Any]
"""Path, base, here, there (ABSENT where there is none) to the value that shall stand, ABSENT or UNRESOLVED."""
MergeDocument = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""The seed's hook: what is there and what is here, as whole documents, to what shall stand."""


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that both changed, and nobody could merge."""

    path: Path
    base: Any
    local: Any
    remote: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What shall stand here, and the operations that lead from what is there to it."""

    fields: dict[str, Any]
    ops: tuple[PatchOp, ...]
    conflicts: tuple[FieldConflict, ...]


def merge(
    base: Fields,
    local: Fields,
    remote: Fields,
    edits: Sequence[Edit],
    *,
    merge_field: MergeField | None = None,
    merge_document: MergeDocument | None = None,
) -> Merged:
    """Brings what was edited here, from `base` to `local`, onto what is there."""
    relative = relative_ops(edits)
    merged = dict(remote)
    conflicts = []
    decided = []
    for path, value in _differences(base, local, remote, (), frozenset(op.path for op in relative)):
        if isinstance(value, FieldConflict):
            settled = UNRESOLVED if merge_field is None else merge_field(path, value.base, value.local, value.remote)
            if settled is UNRESOLVED:
                conflicts.append(value)
                continue
            value = settled
        decided.append(path)
        merged = with_field(merged, path, value)
    decided += [conflict.path for conflict in conflicts]
    again = [op for op in relative if not any(overlap(op.path, path) for path in decided)]
    if conflicts and merge_document is not None:
        # The hook sees sums and sets as they will be, so that taking either side's keeps both sides' parts.
        merged, conflicts, again = merge_document(apply_ops(merged, again), dict(local)), [], []
    ops = (*ops_between(remote, merged), *again)
    return Merged(fields=apply_ops(remote, ops), ops=ops, conflicts=tuple(conflicts))


def relative_ops(edits: Sequence[Edit]) -> list[PatchOp]:
    """Operations on fields that nothing but relative operations touched: these may be done again on another value."""
    ops = [op for edit in edits for op in edit.ops]
    absolute = [op.path for op in ops if not op.is_relative]
    return [
        op
        for op in ops
        if op.is_relative
        and not any(overlap(op.path, path) for path in absolute)
        and not any(other.is_relative and overlap(op.path, other.path) and op.path != other.path for other in ops)
    ]


def _differences(
    base: Any, local: Any, remote: Any, path: Path, relative: frozenset[Path]
) -> Iterator[tuple[Path, Any]]:
    """What has to change in `remote`: a path with its value from here, or with a conflict."""
    for name in sorted({*_names(base), *_names(local), *_names(remote)}):
        here = (*path, name)
        old, mine, theirs = (field_at(each, (name,)) for each in (base, local, remote))
        if here in relative or is_same(mine, theirs) or is_same(mine, old):
            continue
        if isinstance(mine, dict) and isinstance(theirs, dict):
            yield from _differences(old if isinstance(old, dict) else {}, mine, theirs, here, relative)
        elif _only_relative_below(old, mine, here, relative) and (isinstance(theirs, dict) or theirs is ABSENT):
            continue
        elif is_same(theirs, old):
            yield here, mine
        else:
            yield here, FieldConflict(here, old, mine, theirs)


def _only_relative_below(old: Any, mine: Any, path: Path, relative: frozenset[Path]) -> bool:
    """Whether a map differs from what it was by relative operations alone."""
    if not isinstance(mine, dict):
        return False
    below = [each for each in relative if overlap(each, path)]
    if not below:
        return False
    without: Any = mine
    for each in below:
        without = with_field(without, each[len(path) :], field_at(old, each[len(path) :]))
    return is_same(without, old if isinstance(old, dict) else {})


def _names(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()
