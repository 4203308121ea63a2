"""What should happen to a document of which something was heard. Pure: copies in, copies out; the engine does the I/O.

A document is in one of these states; `edits` are what was changed here and is not yet with the server.

| state     | base | local | edits | mutation | means                                         |
|-----------|------|-------|-------|----------|-----------------------------------------------|
| unknown   | –    | –     | –     | –        | nobody heard of it, or it is gone on both sides |
| clean     | yes  | = base | –    | –        | in step                                       |
| created   | –    | yes   | yes   | –        | made here, not sent                           |
| edited    | yes  | yes   | yes   | –        | changed here, not sent                        |
| deleted   | yes  | –     | yes   | –        | a tombstone until the server has it too       |
| sending   | any  | any   | yes   | yes      | a write is on its way; its fate may be unknown |

A write is known by the mark that it leaves: `mutations.{replica}` becomes `{rev}.{mutation}` in the write itself. So a
lost answer is settled by reading: the mark is there, or it is not. Without it, a revision that has moved on is somebody
else's, and one that has not means that the server refused. Codes tell less: rules run before preconditions, so both a
conflict and a refusal answer with PERMISSION_DENIED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from afterimage_client.store.copies import (
    Copies,
    Edit,
    EditKind,
    Kept,
    KeptKind,
    Mutation,
    MutationKind,
    Remote,
    edited,
)
from afterimage_client.store.fields import Fields, changes, is_same
from afterimage_client.sync.merging import MergeDocument, MergeField, merge

MOST_MARKS: Final = 20
"""So many replicas' marks are kept in a document: the oldest goes when another one comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """How a collection wants its conflicts merged."""

    merge_field: MergeField | None = None
    merge_document: MergeDocument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The copies from now on, what is kept for a person, and what happened in a word."""

    copies: Copies
    event: str = ""
    kept: tuple[Kept, ...] = ()
    replaced: bool = field(default=False)


def freeze(copies: Copies, *, mutation: str, replica: str, has_rev: bool) -> Copies:
    """Makes the write that will be sent; one that is on its way stays as it is. Without anything to send, none."""
    if copies.mutation is not None or not copies.edits:
        return copies
    last = copies.edits[-1].seq
    if copies.local is None:
        if copies.base is None:
            return _settled(copies)
        return replace(copies, mutation=_mutation("delete", copies, mutation, last, {}, has_rev, replica))
    if copies.base is None:
        return replace(copies, mutation=_mutation("create", copies, mutation, last, copies.local, has_rev, replica))
    if is_same(copies.base, copies.local) and any(edit.ops for edit in copies.edits):
        return _settled(copies)  # what was changed was changed back
    return replace(copies, mutation=_mutation("update", copies, mutation, last, copies.local, has_rev, replica))


def _mutation(
    kind: MutationKind, copies: Copies, mutation: str, last: int, value: Fields, has_rev: bool, replica: str
) -> Mutation:
    rev = (0 if kind == "create" or copies.rev is None else copies.rev + 1) if has_rev and kind != "delete" else None
    mark = f"{rev or 0}.{mutation}"
    others = {} if kind == "create" else {name: each for name, each in copies.marks.items() if name != replica}
    dropped = tuple(sorted(others, key=lambda name: _rev_of(others[name]))[: max(0, len(others) + 1 - MOST_MARKS)])
    return Mutation(
        id=mutation,
        kind=kind,
        value=value,
        mask=tuple(path for path, _ in changes(copies.base or {}, value)) if kind == "update" else (),
        rev=rev,
        base_update_time=copies.update_time,
        last_seq=last,
        marks={replica: mark},
        dropped_marks=dropped,
    )


def applied(copies: Copies, mutation: str, update_time: str, computed: Fields | None = None) -> Outcome:
    """The server answered that it has the write; `computed` are fields that it set itself, such as its time."""
    sent = copies.mutation
    if sent is None or sent.id != mutation:
        return Outcome(copies=copies)  # known already, from the listener
    later = tuple(edit for edit in copies.edits if edit.seq > sent.last_seq)
    if sent.kind == "delete":
        after = replace(copies, base=None, rev=None, marks={}, update_time=update_time, mutation=None, edits=later)
        return Outcome(copies=_with_gone_base(after), event="pushed")
    marks = {name: mark for name, mark in copies.marks.items() if name not in sent.dropped_marks} | dict(sent.marks)
    base = {**sent.value, **(computed or {})}
    after = replace(
        copies,
        base=base,
        rev=sent.rev,
        marks=dict(sent.marks) if sent.kind == "create" else marks,
        update_time=update_time,
        local=None if copies.local is None else {**copies.local, **(computed or {})},
        mutation=None,
        edits=later,
    )
    return Outcome(copies=after if later else replace(after, local=base), event="pushed")


def reread(
    copies: Copies, mutation: str, remote: Remote | None, *, reason: str, is_refusal: bool, hooks: Hooks
) -> Outcome:
    """The write failed or its answer was lost, and the document was read again: applied, conflict, refusal or nothing.

    `is_refusal` says that the answer was one that the server gives on purpose.
    """
    sent = copies.mutation
    if sent is None or sent.id != mutation:
        return heard(copies, remote, hooks=hooks)
    if _is_marked(sent, remote):
        return _acknowledged(copies, sent, remote, hooks)
    if _is_where_it_was(copies, remote):
        if not is_refusal:
            return Outcome(copies=copies, event="unsent")
        kept = Kept(
            kind="refused",
            collection=copies.collection,
            doc_id=copies.id,
            base=copies.base,
            local=copies.local,
            remote=None if remote is None else remote.fields,
            reason=reason,
            edits=copies.edits,
        )
        return Outcome(copies=_at(copies, remote), event="refused", kept=(kept,), replaced=True)
    return _merged(replace(copies, mutation=None), remote, hooks)


def heard(copies: Copies, remote: Remote | None, *, hooks: Hooks, seen_at: str = "") -> Outcome:
    """A listener or a pull says what the server has; None is a document that is not there (any more).

    `seen_at` is the moment of which this is said: what is older than what is known is no news.
    """
    moment = remote.update_time if remote is not None else seen_at
    if moment and copies.update_time and moment < copies.update_time:
        return Outcome(copies=copies)
    if remote is not None and remote.update_time == copies.update_time and copies.base is not None:
        return Outcome(copies=replace(copies, is_stale=False) if copies.mutation is None else copies)
    sent = copies.mutation
    if sent is not None:
        if _is_marked(sent, remote):
            return _acknowledged(copies, sent, remote, hooks, seen_at)
        if _is_where_it_was(copies, remote):
            return Outcome(copies=copies)
        # The write's own answer will tell what to do; until then this is only a sign that there is news.
        return Outcome(copies=replace(copies, is_stale=True))
    if not copies.edits:
        after = _at(copies, remote, seen_at)
        return Outcome(copies=after, event="pulled", replaced=not is_same(after.local, copies.local))
    return _merged(copies, remote, hooks, seen_at)


def _merged(copies: Copies, remote: Remote | None, hooks: Hooks, seen_at: str = "") -> Outcome:
    """Edits meet what the server has. Nothing is lost: what does not go in is kept."""
    if copies.is_base_unknown and remote is not None and remote.rev == copies.rev:
        # The app of before kept whole documents: what it did not know of a document it did not remove.
        made = replace(copies, base=remote.fields, local=remote.fields, edits=())
        for edit in copies.edits:
            made = edited(made, edit)
        copies = made
    here = _at(copies, remote, seen_at)
    if copies.local is None:
        is_new = copies.base is None and not copies.is_base_unknown  # made and deleted here, before anybody heard of it
        if remote is None or is_new or (copies.base is not None and is_same(copies.base, remote.fields)):
            is_still_wanted = remote is not None and copies.base is not None
            edits = (_combined(copies.edits, "delete"),) if is_still_wanted else ()
            return Outcome(copies=replace(here, local=None, edits=edits) if is_still_wanted else here, event="pulled")
        kept = _kept("deleted_here", copies, remote)
        return Outcome(copies=here, event="conflict", kept=(kept,), replaced=True)
    if remote is None:
        if copies.base is None and not copies.is_base_unknown:
            return Outcome(copies=replace(here, local=copies.local, edits=copies.edits), event="pulled")
        kept = _kept("edited_here", copies, remote)
        return Outcome(copies=here, event="conflict", kept=(kept,), replaced=True)
    result = merge(
        copies.base or {},
        copies.local,
        remote.fields,
        copies.edits,
        merge_field=hooks.merge_field,
        merge_document=hooks.merge_document,
    )
    edits = (replace(_combined(copies.edits, "patch"), ops=result.ops),) if result.ops else ()
    kept_fields = tuple(
        replace(
            _kept("field", copies, remote),
            path=conflict.path,
            base=conflict.base,
            local=conflict.local,
            remote=conflict.remote,
        )
        for conflict in result.conflicts
    )
    after = replace(here, local=result.fields, edits=edits) if edits else here
    return Outcome(copies=after, event="conflict" if kept_fields else "merged", kept=kept_fields, replaced=True)


def _acknowledged(copies: Copies, sent: Mutation, remote: Remote | None, hooks: Hooks, seen_at: str = "") -> Outcome:
    """The write is in what the server has, maybe under later ones of others: only later edits are still to be sent."""
    later = tuple(edit for edit in copies.edits if edit.seq > sent.last_seq)
    base = None if sent.kind == "delete" else sent.value
    before = replace(copies, mutation=None, base=base, rev=sent.rev, edits=later, is_stale=False)
    if not later:
        after = _at(before, remote, seen_at)
        return Outcome(copies=after, event="pushed", replaced=not is_same(after.local, copies.local))
    outcome = _merged(before, remote, hooks, seen_at)
    return replace(outcome, event="pushed" if not outcome.kept else "conflict")


def _is_marked(sent: Mutation, remote: Remote | None) -> bool:
    if sent.kind == "delete":
        return remote is None
    return remote is not None and all(remote.marks.get(name) == mark for name, mark in sent.marks.items())


def _is_where_it_was(copies: Copies, remote: Remote | None) -> bool:
    """Whether the server still has what was the base of the write."""
    if remote is None or copies.base is None:
        return remote is None and copies.base is None
    if copies.update_time:
        return remote.update_time == copies.update_time
    return remote.rev == copies.rev and is_same(remote.fields, copies.base)


def _at(copies: Copies, remote: Remote | None, seen_at: str = "") -> Copies:
    """In step with the server."""
    empty: Mapping[str, str] = {}
    return replace(
        copies,
        base=None if remote is None else remote.fields,
        rev=None if remote is None else remote.rev,
        marks=empty if remote is None else remote.marks,
        update_time=(seen_at or copies.update_time) if remote is None else remote.update_time,
        local=None if remote is None else remote.fields,
        edits=(),
        mutation=None,
        is_stale=False,
    )


def _settled(copies: Copies) -> Copies:
    return replace(copies, edits=(), local=copies.base)


def _with_gone_base(copies: Copies) -> Copies:
    """Later edits of a document that was deleted: they make it anew."""
    return copies if copies.edits else replace(copies, local=None)


def _combined(edits: tuple[Edit, ...], kind: EditKind) -> Edit:
    return Edit(kind, (), edits[-1].mutation, 0)


def _kept(kind: KeptKind, copies: Copies, remote: Remote | None) -> Kept:
    return Kept(
        kind=kind,
        collection=copies.collection,
        doc_id=copies.id,
        base=copies.base,
        local=copies.local,
        remote=None if remote is None else remote.fields,
        edits=copies.edits,
    )


def _rev_of(mark: str) -> int:
    number = mark.partition(".")[0]
    # Anybody who may write the document may write what looks like a mark.
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 20 else 0
