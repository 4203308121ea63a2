"""Decisions as tables: every pair of what was done here and there, and every fate of a write that is on its way."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, Final

import pytest

from afterimage_client.store.copies import Copies, Edit, Remote, edited
from afterimage_client.store.fields import field_at
from afterimage_client.store.operations import PatchOp
from afterimage_client.sync.decisions import MOST_MARKS, Hooks, Outcome, applied, freeze, heard, reread

HOOKS: Final = Hooks()
BEFORE, LATER, LATEST = "2026-01-01T00:00:01", "2026-01-01T00:00:02", "2026-01-01T00:00:03"
BASE: Final[dict[str, Any]] = {"a": 1, "b": 1}


def set_field(name: str, value: Any, seq: int = 1) -> Edit:
    return Edit("patch", (PatchOp("set", (name,), value),), f"m{seq}", seq)


def in_step() -> Copies:
    return Copies(collection="scenes", id="x", base=BASE, rev=4, update_time=BEFORE, local=BASE)


def unknown() -> Copies:
    return Copies(collection="scenes", id="x")


def there(update_time: str = LATER, rev: int = 5, **fields: Any) -> Remote:
    return Remote(fields={**BASE, **fields}, rev=rev, marks={}, update_time=update_time)


HERE: Final[dict[str, list[Edit]]] = {
    "nothing": [],
    "a = 2": [set_field("a", 2)],
    "a = 3": [set_field("a", 3)],
    "b = 2": [set_field("b", 2)],
    "a + 10": [Edit("patch", (PatchOp("increment", ("a",), 10),), "m1", 1)],
    "remove a": [Edit("patch", (PatchOp("remove", ("a",)),), "m1", 1)],
    "tags + x": [Edit("patch", (PatchOp("union", ("tags",), ["x"]),), "m1", 1)],
    "delete": [Edit("delete", (), "m1", 1)],
    "delete and make": [Edit("delete", (), "m1", 1), set_field("c", 9, 2)],
}
THERE: Final[dict[str, Remote | None]] = {
    "nothing": there(BEFORE, 4),
    "touched": there(),
    "a = 2": there(a=2),
    "b = 2": there(b=2),
    "a removed": Remote(fields={"b": 1}, rev=5, marks={}, update_time=LATER),
    "tags + y": there(tags=["y"]),
    "made anew": Remote(fields={"z": 1}, rev=0, marks={}, update_time=LATER),
    "deleted": None,
}
# What stands here afterwards, whether something is still to be pushed, and what is kept for a person.
TABLE: Final[dict[tuple[str, str], tuple[dict[str, Any] | None, bool, list[str]]]] = {
    ("nothing", "nothing"): (BASE, False, []),
    ("nothing", "touched"): (BASE, False, []),
    ("nothing", "a = 2"): ({"a": 2, "b": 1}, False, []),
    ("nothing", "b = 2"): ({"a": 1, "b": 2}, False, []),
    ("nothing", "deleted"): (None, False, []),
    ("a = 2", "nothing"): ({"a": 2, "b": 1}, True, []),
    ("a = 2", "touched"): ({"a": 2, "b": 1}, True, []),
    ("a = 2", "a = 2"): ({"a": 2, "b": 1}, False, []),
    ("a = 2", "b = 2"): ({"a": 2, "b": 2}, True, []),
    ("a = 2", "deleted"): (None, False, ["edited_here"]),
    ("a = 3", "nothing"): ({"a": 3, "b": 1}, True, []),
    ("a = 3", "touched"): ({"a": 3, "b": 1}, True, []),
    ("a = 3", "a = 2"): ({"a": 2, "b": 1}, False, ["field"]),
    ("a = 3", "b = 2"): ({"a": 3, "b": 2}, True, []),
    ("a = 3", "deleted"): (None, False, ["edited_here"]),
    ("b = 2", "nothing"): ({"a": 1, "b": 2}, True, []),
    ("b = 2", "touched"): ({"a": 1, "b": 2}, True, []),
    ("b = 2", "a = 2"): ({"a": 2, "b": 2}, True, []),
    ("b = 2", "b = 2"): ({"a": 1, "b": 2}, False, []),
    ("b = 2", "deleted"): (None, False, ["edited_here"]),
    ("a + 10", "nothing"): ({"a": 11, "b": 1}, True, []),
    ("a + 10", "touched"): ({"a": 11, "b": 1}, True, []),
    ("a + 10", "a = 2"): ({"a": 12, "b": 1}, True, []),
    ("a + 10", "b = 2"): ({"a": 11, "b": 2}, True, []),
    ("a + 10", "deleted"): (None, False, ["edited_here"]),
    ("delete", "nothing"): (None, True, []),
    ("delete", "touched"): (None, True, []),
    ("delete", "a = 2"): ({"a": 2, "b": 1}, False, ["deleted_here"]),
    ("delete", "b = 2"): ({"a": 1, "b": 2}, False, ["deleted_here"]),
    ("delete", "deleted"): (None, False, []),
    ("delete and make", "nothing"): ({"c": 9}, True, []),
    ("delete and make", "touched"): ({"c": 9}, True, []),
    ("delete and make", "a = 2"): ({"a": 2, "c": 9}, True, ["field"]),
    ("delete and make", "b = 2"): ({"b": 2, "c": 9}, True, ["field"]),
    ("delete and make", "deleted"): (None, False, ["edited_here"]),
    ("nothing", "a removed"): ({"b": 1}, False, []),
    ("nothing", "tags + y"): ({"a": 1, "b": 1, "tags": ["y"]}, False, []),
    ("nothing", "made anew"): ({"z": 1}, False, []),
    ("a = 2", "a removed"): ({"b": 1}, False, ["field"]),
    ("a = 2", "tags + y"): ({"a": 2, "b": 1, "tags": ["y"]}, True, []),
    ("a = 2", "made anew"): ({"z": 1}, False, ["field"]),
    ("a = 3", "a removed"): ({"b": 1}, False, ["field"]),
    ("a = 3", "tags + y"): ({"a": 3, "b": 1, "tags": ["y"]}, True, []),
    ("a = 3", "made anew"): ({"z": 1}, False, ["field"]),
    ("b = 2", "a removed"): ({"b": 2}, True, []),
    ("b = 2", "tags + y"): ({"a": 1, "b": 2, "tags": ["y"]}, True, []),
    ("b = 2", "made anew"): ({"z": 1}, False, ["field"]),
    ("a + 10", "a removed"): ({"b": 1, "a": 10}, True, []),
    ("a + 10", "tags + y"): ({"a": 11, "b": 1, "tags": ["y"]}, True, []),
    ("a + 10", "made anew"): ({"z": 1, "a": 10}, True, []),
    ("delete", "a removed"): ({"b": 1}, False, ["deleted_here"]),
    ("delete", "tags + y"): ({"a": 1, "b": 1, "tags": ["y"]}, False, ["deleted_here"]),
    ("delete", "made anew"): ({"z": 1}, False, ["deleted_here"]),
    ("delete and make", "a removed"): ({"c": 9}, True, []),
    ("delete and make", "tags + y"): ({"tags": ["y"], "c": 9}, True, []),
    ("delete and make", "made anew"): ({"z": 1, "c": 9}, True, []),
    ("remove a", "nothing"): ({"b": 1}, True, []),
    ("remove a", "touched"): ({"b": 1}, True, []),
    ("remove a", "a = 2"): ({"a": 2, "b": 1}, False, ["field"]),
    ("remove a", "b = 2"): ({"b": 2}, True, []),
    ("remove a", "deleted"): (None, False, ["edited_here"]),
    ("remove a", "a removed"): ({"b": 1}, False, []),
    ("remove a", "tags + y"): ({"b": 1, "tags": ["y"]}, True, []),
    ("remove a", "made anew"): ({"z": 1}, False, []),
    ("tags + x", "nothing"): ({"a": 1, "b": 1, "tags": ["x"]}, True, []),
    ("tags + x", "touched"): ({"a": 1, "b": 1, "tags": ["x"]}, True, []),
    ("tags + x", "a = 2"): ({"a": 2, "b": 1, "tags": ["x"]}, True, []),
    ("tags + x", "b = 2"): ({"a": 1, "b": 2, "tags": ["x"]}, True, []),
    ("tags + x", "deleted"): (None, False, ["edited_here"]),
    ("tags + x", "a removed"): ({"b": 1, "tags": ["x"]}, True, []),
    ("tags + x", "tags + y"): ({"a": 1, "b": 1, "tags": ["y", "x"]}, True, []),
    ("tags + x", "made anew"): ({"z": 1, "tags": ["x"]}, True, []),
}


def test_the_table_has_a_row_for_every_pair() -> None:
    """Every pair of what was done here and there."""
    assert set(TABLE) == set(itertools.product(HERE, THERE))


@pytest.mark.parametrize(("here", "remote"), list(itertools.product(HERE, THERE)))
def test_every_pair_of_edits_of_a_document(here: str, remote: str) -> None:
    """What stands, what is still to be pushed, what is kept: and the value of a loser is always in what is kept."""
    copies = in_step()
    for edit in HERE[here]:
        copies = edited(copies, edit)
    outcome = heard(copies, THERE[remote], hooks=HOOKS, seen_at=LATER)
    local, is_dirty, kept = TABLE[here, remote]
    assert outcome.copies.local == local
    assert outcome.copies.is_dirty == is_dirty
    assert [each.kind for each in outcome.kept] == kept
    there_now = THERE[remote]
    assert outcome.copies.base == (None if there_now is None else there_now.fields)
    replayed = replace(outcome.copies, local=outcome.copies.base, edits=())
    for edit in outcome.copies.edits:
        replayed = edited(replayed, edit)
    assert replayed.local == local, "the edits lead from the new base to what stands here"
    if kept == ["field"]:
        assert outcome.kept[0].local == field_at(copies.local, outcome.kept[0].path)
    elif kept == ["edited_here"]:
        assert outcome.kept[0].local == copies.local


def sending(*edits: Edit) -> Copies:
    copies = in_step()
    for edit in edits:
        copies = edited(copies, edit)
    return freeze(copies, mutation="w1", replica="me", has_rev=True)


def with_mark(remote: Remote) -> Remote:
    return replace(remote, marks={"me": "5.w1"})


FATES: Final[dict[str, tuple[Remote | None, bool, str, dict[str, Any] | None, bool]]] = {
    # what is read again, on-purpose answer, event, local afterwards, still dirty
    "applied": (with_mark(there(a=2)), True, "pushed", {"a": 2, "b": 1}, False),
    "applied, and another wrote on top": (
        with_mark(there(LATEST, 6, a=2, b=7)),
        True,
        "pushed",
        {"a": 2, "b": 7},
        False,
    ),
    "applied, and another undid it": (with_mark(there(LATEST, 6, a=1)), True, "pushed", {"a": 1, "b": 1}, False),
    "not applied, refused": (there(BEFORE, 4), True, "refused", BASE, False),
    "not applied, answer lost": (there(BEFORE, 4), False, "unsent", {"a": 2, "b": 1}, True),
    "another was first, elsewhere": (there(b=7), True, "merged", {"a": 2, "b": 7}, True),
    "another was first, same field": (there(a=9), True, "conflict", {"a": 9, "b": 1}, False),
    "another was first, same value": (there(a=2), True, "merged", {"a": 2, "b": 1}, False),
    "another deleted it": (None, True, "conflict", None, False),
}


@pytest.mark.parametrize("fate", FATES)
def test_the_fate_of_a_write_is_found_by_reading_again(fate: str) -> None:
    """Its own mark tells applied from not; a base that moved tells a conflict from a refusal."""
    remote, is_refusal, event, local, is_dirty = FATES[fate]
    outcome = reread(sending(set_field("a", 2)), "w1", remote, reason="x", is_refusal=is_refusal, hooks=HOOKS)
    assert (outcome.event, outcome.copies.local, outcome.copies.is_dirty) == (event, local, is_dirty)
    if event == "unsent":
        assert outcome.copies.mutation is not None, "it is sent again as it was"


@pytest.mark.parametrize("fate", [name for name in FATES if FATES[name][2] != "unsent"])
def test_edits_made_while_a_write_is_on_its_way_are_still_to_be_pushed(fate: str) -> None:
    """Whatever becomes of the write, a later edit of another field is neither lost nor sent with it."""
    remote, is_refusal, *_ = FATES[fate]
    copies = edited(sending(set_field("a", 2)), set_field("late", True, 2))
    assert "late" not in (copies.mutation.value if copies.mutation else {})
    outcome = reread(copies, "w1", remote, reason="x", is_refusal=is_refusal, hooks=HOOKS)
    kept_locals = [each.local for each in outcome.kept if isinstance(each.local, dict)]
    stands = (outcome.copies.local or {}).get("late") is True and outcome.copies.is_dirty
    assert stands or any(each.get("late") is True for each in kept_locals)


@pytest.mark.parametrize("kind", ["create", "delete"])
@pytest.mark.parametrize("is_refusal", [True, False])
def test_creations_and_deletions_have_fates_too(kind: str, is_refusal: bool) -> None:
    """A creation is known by its mark, a deletion by nothing being there."""
    if kind == "create":
        copies = freeze(edited(unknown(), set_field("a", 2)), mutation="w1", replica="me", has_rev=True)
        done: Remote | None = Remote(fields={"a": 2}, rev=0, marks={"me": "0.w1"}, update_time=LATER)
        where_it_was = None
    else:
        copies = sending(Edit("delete", (), "m1", 1))
        done, where_it_was = None, there(BEFORE, 4)
    assert copies.mutation is not None
    assert copies.mutation.kind == kind
    assert reread(copies, "w1", done, reason="", is_refusal=is_refusal, hooks=HOOKS).event == "pushed"
    outcome = reread(copies, "w1", where_it_was, reason="", is_refusal=is_refusal, hooks=HOOKS)
    assert outcome.event == ("refused" if is_refusal else "unsent")
    other = there(LATEST, 9, a=7)
    assert reread(copies, "w1", other, reason="", is_refusal=is_refusal, hooks=HOOKS).event == "conflict"


def test_an_answer_that_the_listener_was_faster_than_changes_nothing() -> None:
    """The mark in what a listener brings settles the write; its answer then is no news."""
    copies = sending(set_field("a", 2))
    outcome = heard(copies, with_mark(there(a=2)), hooks=HOOKS)
    assert outcome.event == "pushed"
    assert applied(outcome.copies, "w1", LATER) == Outcome(copies=outcome.copies)


def test_news_while_a_write_is_on_its_way_wait_for_its_fate() -> None:
    """Nobody merges under a write that may be applied or not: there is news, so the document is read again."""
    copies = sending(set_field("a", 2))
    outcome = heard(copies, there(b=9), hooks=HOOKS)
    assert outcome.copies == replace(copies, is_stale=True)


def test_what_is_older_than_what_is_known_is_no_news() -> None:
    """A slow listener does not bring back an older document, nor one that is deleted."""
    copies = replace(in_step(), update_time=LATEST)
    assert heard(copies, there(LATER, 5, a=0), hooks=HOOKS).copies == copies
    assert heard(copies, None, hooks=HOOKS, seen_at=LATER).copies == copies
    gone = heard(copies, None, hooks=HOOKS, seen_at="2026-01-01T00:00:09").copies
    assert gone.local is None
    assert heard(gone, there(LATEST, 5), hooks=HOOKS).copies.local is None


def test_what_was_changed_back_is_not_sent() -> None:
    """Edits that cancel out, and documents that were made and deleted before anybody heard of them."""
    back = edited(edited(in_step(), set_field("a", 2)), set_field("a", 1, 2))
    frozen = freeze(back, mutation="w1", replica="me", has_rev=True)
    assert (frozen.mutation, frozen.edits) == (None, ())
    short = edited(edited(unknown(), set_field("a", 2)), Edit("delete", (), "m2", 2))
    frozen = freeze(short, mutation="w1", replica="me", has_rev=True)
    assert (frozen.mutation, frozen.edits, frozen.local) == (None, (), None)


def test_marks_do_not_grow_without_end() -> None:
    """A document that many replicas write drops the mark of the one that wrote longest ago."""
    marks = {f"r{number}": f"{number}.x" for number in range(MOST_MARKS)}
    copies = replace(in_step(), marks=marks)
    frozen = freeze(edited(copies, set_field("a", 2)), mutation="w1", replica="me", has_rev=True)
    assert frozen.mutation is not None
    assert frozen.mutation.dropped_marks == ("r0",)
    after = applied(frozen, "w1", LATER).copies
    assert len(after.marks) == MOST_MARKS
    assert after.marks["me"] == "5.w1"


def test_marks_that_make_no_sense_keep_nobody_from_writing() -> None:
    """Others may write into the field of marks what they like: numbers that are none, or too long for one."""
    for nonsense in ("²." + "x", "9" * 5000 + ".x", "", ".", "-1.x", "x"):
        copies = replace(in_step(), marks={"other": nonsense, "another": "3.x"})
        frozen = freeze(edited(copies, set_field("a", 2)), mutation="w1", replica="me", has_rev=True)
        assert frozen.mutation is not None
        assert dict(frozen.mutation.marks) == {"me": "5.w1"}


def test_a_mark_that_many_others_pushed_out_counts_as_not_applied() -> None:
    """The price of marks that do not grow: a lost answer is taken for no write after the writes of so many others."""
    add = Edit("patch", (PatchOp("increment", ("a",), 10),), "m1", 1)
    copies = sending(add)
    others = {f"r{number}": f"{6 + number}.x" for number in range(MOST_MARKS)}
    remote = Remote(fields={**BASE, "a": 11}, rev=25, marks=others, update_time=LATEST)
    outcome = reread(copies, "w1", remote, reason="x", is_refusal=False, hooks=HOOKS)
    assert (outcome.event, outcome.copies.local) == ("merged", {"a": 21, "b": 1})


def test_a_deletion_of_what_nobody_kept_is_kept_where_others_wrote_it() -> None:
    """The app of before kept no base: a deletion is done at its revision, and left to a person at another."""
    old = edited(
        edited(Copies(collection="scenes", id="x", rev=5, is_stale=True), set_field("a", 2)),
        Edit("delete", (), "m2", 2),
    )
    same = heard(old, there(rev=5), hooks=HOOKS)
    assert (same.copies.local, same.copies.is_dirty, same.kept) == (None, True, ())
    moved = heard(old, there(rev=6), hooks=HOOKS)
    assert (moved.copies.local, [each.kind for each in moved.kept]) == ({"a": 1, "b": 1}, ["deleted_here"])


def test_a_base_that_nobody_kept_is_found_by_its_revision() -> None:
    """An edit of before goes onto the server's document where that is still at the edit's revision."""
    old = edited(Copies(collection="scenes", id="x", rev=5, is_stale=True), set_field("a", 2))
    assert heard(old, there(rev=5), hooks=HOOKS).copies.local == {"a": 2, "b": 1}
    moved = heard(old, there(rev=6), hooks=HOOKS)
    assert [each.kind for each in moved.kept] == ["field"]
