"""Merges as tables: every pair of edits to one field, and what they make together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterimage_client.store.copies import Edit
from afterimage_client.store.fields import ABSENT
from afterimage_client.store.operations import PatchOp, apply_ops
from afterimage_client.sync.merging import UNRESOLVED, merge
from tests.thoroughness import examples

BASE: Final[dict[str, Any]] = {"n": 1, "text": "base", "list": ["a"], "map": {"x": 1, "y": 1}}

EDITS: Final[dict[str, list[PatchOp]]] = {
    "nothing": [],
    "set 2": [PatchOp("set", ("n",), 2)],
    "set 3": [PatchOp("set", ("n",), 3)],
    "set 1.0": [PatchOp("set", ("n",), 1.0)],
    "remove": [PatchOp("remove", ("n",))],
    "add 10": [PatchOp("increment", ("n",), 10)],
    "add 100": [PatchOp("increment", ("n",), 100)],
    "set and add": [PatchOp("set", ("n",), 2), PatchOp("increment", ("n",), 10)],
    "make a map": [PatchOp("set", ("n",), {"z": 1})],
    "add inside": [PatchOp("increment", ("n", "z"), 5)],
}

CONFLICT: Final = "conflict"
# What `n` is after the edit of the row, made here, met the edit of the column, made there.
TABLE: Final[dict[str, tuple[Any, ...]]] = {
    # there:        nothing   set 2     set 3     set 1.0   remove    add 10  add 100  set+add   map       add inside
    "nothing": (1, 2, 3, 1.0, ABSENT, 11, 101, 12, {"z": 1}, {"z": 5}),
    "set 2": (2, 2, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT),
    "set 3": (3, CONFLICT, 3, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT),
    "set 1.0": (1.0, CONFLICT, CONFLICT, 1.0, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT),
    "remove": (ABSENT, CONFLICT, CONFLICT, CONFLICT, ABSENT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT),
    "add 10": (11, 12, 13, 11.0, 10, 21, 111, 22, 10, 10),
    "add 100": (101, 102, 103, 101.0, 100, 111, 201, 112, 100, 100),
    "set and add": (12, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, 12, CONFLICT, CONFLICT),
    "make a map": ({"z": 1}, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, CONFLICT, {"z": 1}, CONFLICT),
    "add inside": ({"z": 5}, CONFLICT, CONFLICT, CONFLICT, {"z": 5}, CONFLICT, CONFLICT, CONFLICT, {"z": 6}, {"z": 10}),
}


def edits_of(ops: Sequence[PatchOp]) -> list[Edit]:
    return [Edit("patch", (op,), "m", number) for number, op in enumerate(ops, start=1)]


def test_the_table_has_a_cell_for_every_pair() -> None:
    """No pair of edits is left to chance."""
    assert list(TABLE) == list(EDITS)
    assert all(len(row) == len(EDITS) for row in TABLE.values())


@pytest.mark.parametrize(("here", "there"), list(itertools.product(EDITS, EDITS)))
def test_every_pair_of_edits(here: str, there: str) -> None:
    """The merged value, or a conflict in which the other side stands and this side's value is kept."""
    expected = TABLE[here][list(EDITS).index(there)]
    local, remote = apply_ops(BASE, EDITS[here]), apply_ops(BASE, EDITS[there])
    merged = merge(BASE, local, remote, edits_of(EDITS[here]))
    value = merged.fields.get("n", ABSENT)
    if isinstance(expected, str) and expected == CONFLICT:
        assert merged.fields == remote
        assert merged.conflicts, (here, there)
        kept = merged.conflicts[0]
        assert kept.path[0] == "n"
    else:
        assert (value, type(value)) == (expected, type(expected))
        assert not merged.conflicts
    assert apply_ops(remote, merged.ops) == merged.fields, "the operations lead from there to the merged document"
    assert {**merged.fields, "n": None} == {**BASE, "n": None}, "no other field is touched"


def test_different_fields_never_conflict() -> None:
    """Fields, and fields of maps, merge by themselves."""
    here = [PatchOp("set", ("text",), "here"), PatchOp("set", ("map", "x"), 2), PatchOp("remove", ("list",))]
    there = [PatchOp("set", ("n",), 5), PatchOp("remove", ("map", "y")), PatchOp("set", ("map", "z"), 3)]
    merged = merge(BASE, apply_ops(BASE, here), apply_ops(BASE, there), edits_of(here))
    assert merged.fields == {"n": 5, "text": "here", "map": {"x": 2, "z": 3}}
    assert not merged.conflicts


def test_lists_change_as_a_whole_unless_they_are_sets() -> None:
    """Nobody can know where in a list an edit belongs; union and subtract say that it is a set."""
    here, there = [PatchOp("set", ("list",), ["a", "h"])], [PatchOp("set", ("list",), ["a", "t"])]
    merged = merge(BASE, apply_ops(BASE, here), apply_ops(BASE, there), edits_of(here))
    assert [conflict.path for conflict in merged.conflicts] == [("list",)]
    here = [PatchOp("union", ("list",), ["h"]), PatchOp("subtract", ("list",), ["a"])]
    merged = merge(BASE, apply_ops(BASE, here), apply_ops(BASE, there), edits_of(here))
    assert merged.fields["list"] == ["t", "h"]
    assert not merged.conflicts


def test_a_hook_for_a_field_decides_alone() -> None:
    """It sees path, base, here and there; it may remove the field, or leave it to a person."""
    here, there = [PatchOp("set", ("n",), 2)], [PatchOp("set", ("n",), 3)]
    local, remote = apply_ops(BASE, here), apply_ops(BASE, there)
    for answer, expected in ((9, 9), (ABSENT, ABSENT), (UNRESOLVED, 3)):
        merged = merge(BASE, local, remote, edits_of(here), merge_field=lambda *_, answer=answer: answer)
        assert merged.fields.get("n", ABSENT) == expected
        assert bool(merged.conflicts) == (answer is UNRESOLVED)


def test_the_seeds_hook_sees_whole_documents_and_counts_nothing_twice() -> None:
    """What both added to a counter is in what the hook is shown as the other side."""
    here = [PatchOp("set", ("text",), "here"), PatchOp("increment", ("n",), 10)]
    there = [PatchOp("set", ("text",), "there"), PatchOp("increment", ("n",), 100)]
    merged = merge(
        BASE,
        apply_ops(BASE, here),
        apply_ops(BASE, there),
        edits_of(here),
        merge_document=lambda remote, local: {**remote, "text": f"{remote['text']} and {local['text']}"},
    )
    assert merged.fields == {**BASE, "n": 111, "text": "there and here"}
    assert not merged.conflicts


_names = st.sampled_from(["a", "b"])
_numbers = st.one_of(st.integers(-2, 2), st.sampled_from([0.0, 1.0]))
_scalars = st.one_of(st.none(), st.booleans(), _numbers, st.sampled_from(["", "x"]))
_lists = st.lists(_scalars, max_size=2)
_values = st.recursive(
    _scalars, lambda inner: st.one_of(_lists, st.dictionaries(_names, inner, max_size=2)), max_leaves=4
)
_documents = st.dictionaries(_names, _values, max_size=2)
_paths = st.lists(_names, min_size=1, max_size=2).map(tuple)
_ops = st.one_of(
    st.builds(PatchOp, st.just("set"), _paths, _values),
    st.builds(PatchOp, st.just("remove"), _paths),
    st.builds(PatchOp, st.just("increment"), _paths, st.integers(1, 3)),
    st.builds(PatchOp, st.just("union"), _paths, st.lists(_scalars, max_size=2)),
    st.builds(PatchOp, st.just("subtract"), _paths, st.lists(_scalars, max_size=2)),
)


@settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(_documents, st.lists(_ops, max_size=4), st.lists(_ops, max_size=4))
def test_merging_is_sound_for_any_edits(base: dict[str, Any], here: list[PatchOp], there: list[PatchOp]) -> None:
    """Alone, an edit stands; against itself, it is itself; and the operations always lead where they say."""
    local, remote = apply_ops(base, here), apply_ops(base, there)
    merged = merge(base, local, remote, edits_of(here))
    assert repr_of(apply_ops(remote, merged.ops)) == repr_of(merged.fields)
    alone = merge(base, local, base, edits_of(here))
    assert repr_of(alone.fields) == repr_of(local)
    assert not alone.conflicts
    untouched = merge(base, base, remote, [])
    assert repr_of(untouched.fields) == repr_of(remote)
    assert not untouched.ops


def repr_of(value: Any) -> str:
    """Types count: `1`, `1.0` and `True` differ."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{repr_of(value[name])}" for name in sorted(value)) + "}"
    return repr(value)
