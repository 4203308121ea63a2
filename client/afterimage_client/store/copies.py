"""The copies of one document, and what an edit makes of them. Pure.

`base` is what the server had when it was last heard of. `local` is what the person sees. `edits` lead from one to the
other. `mutation` is what is on its way to the server: it holds some of the first edits, and is sent unchanged until its
fate is known. `rev` and `marks` belong to the sync, so they stand beside the fields and not among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from afterimage_client.store.fields import Fields, Path
from afterimage_client.store.operations import PatchOp, apply_ops

REV: Final = "rev"
MARKS: Final = "mutations"
"""The field in which each replica notes, with its write, which mutation the write was: `{replica: "rev.mutation"}`."""


EditKind = Literal["patch", "delete"]
MutationKind = Literal["create", "update", "delete"]
KeptKind = Literal["field", "edited_here", "deleted_here", "refused"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One local change, as it was made. `seq` is 0 until it is stored."""

    kind: EditKind
    ops: tuple[PatchOp, ...] = ()
    mutation: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A write as it is sent. `value` is the whole document after it; `mask` names the fields that it changes."""

    id: str
    kind: MutationKind
    value: Fields
    mask: tuple[Path, ...]
    rev: int | None
    base_update_time: str
    last_seq: int
    marks: Mapping[str, str]
    dropped_marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A document as the server has it, with what belongs to the sync taken out of its fields."""

    fields: Fields
    rev: int | None
    marks: Mapping[str, str]
    update_time: str

    @staticmethod
    def of(fields: Fields, update_time: str) -> Remote:
        rev, marks = fields.get(REV), fields.get(MARKS)
        own = {name: value for name, value in fields.items() if name not in (REV, MARKS)}
        is_rev = isinstance(rev, int) and not isinstance(rev, bool)
        return Remote(
            fields=own,
            rev=rev if is_rev else None,
            marks={name: mark for name, mark in marks.items() if isinstance(mark, str)}
            if isinstance(marks, dict)
            else {},
            update_time=update_time,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Everything known of one document. A `base` of None with a `rev` was never seen, and is at a known revision."""

    collection: str
    id: str
    base: Fields | None = None
    rev: int | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    update_time: str = ""
    local: Fields | None = None
    edits: tuple[Edit, ...] = ()
    mutation: Mutation | None = None
    is_stale: bool = False
    change: int = field(default=0, compare=False)
    """Another number with each write of the document, as it was when this was read."""

    @property
    def reference(self) -> str:
        return f"{self.collection}/{self.id}"

    @property
    def is_dirty(self) -> bool:
        return bool(self.edits) or self.mutation is not None

    @property
    def is_base_unknown(self) -> bool:
        return self.base is None and self.rev is not None


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def edited(copies: Copies, edit: Edit) -> Copies:
    """The copies after one local edit."""
    if edit.kind == "delete":
        return replace(copies, local=None, edits=(*copies.edits, edit))
    return replace(copies, local=apply_ops(copies.local or {}, edit.ops), edits=(*copies.edits, edit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept for a person, because a merge or a refusal left it out of the document.

    `field`: both changed one field; the server's value stands. `edited_here`: it was edited here and deleted there; it
    stays deleted. `deleted_here`: deleted here, edited there; it stays. `refused`: the server said no.
    """

    kind: KeptKind
    collection: str
    doc_id: str
    path: Path = ()
    base: Any = None
    local: Any = None
    remote: Any = None
    reason: str = ""
    edits: tuple[Edit, ...] = ()
    id: int = 0

    @property
    def reference(self) -> str:
        return f"{self.collection}/{self.doc_id}"
