"""The doubles of the stores notice when they are broken: each fault is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from afterimage.store.documents import Expect, Replace
from afterimage.store.files import FileAbout
from afterimage.store.memory_documents import MemoryDocuments
from afterimage.store.memory_files import MemoryFiles


def documents() -> MemoryDocuments:
    found = MemoryDocuments()
    found.commit([Replace(path="a/1", fields={"n": {"m": [1]}}, expected=Expect.ABSENT)])
    found.frozen()
    return found


def files() -> MemoryFiles:
    found = MemoryFiles()
    for name in ("1", "2"):
        found.write("b", name, b"data", FileAbout(content_type=""), expected=Expect.ABSENT)
    return found


def share_with_a_moment(found: MemoryDocuments) -> None:
    for moment in found.moments.values():
        moment.documents["a/1"] = found.documents["a/1"]


def write_into_a_moment(found: MemoryDocuments) -> None:
    for moment in found.moments.values():
        moment.put("a/2", {})
        moment.documents["a/2"] = ({}, 1, 2**62)


BROKEN_DOCUMENTS: dict[str, Callable[[MemoryDocuments], object]] = {
    "`a/1/b` is not the path of a document": lambda found: found.put("a/1/b", {}),
    "`a/..` is not the path of a document": lambda found: found.put("a/..", {}),
    "`a/1` was created at": lambda found: found.documents.update({"a/1": ({}, 9, 2)}),
    "`a/1` holds an integer at `n` that no store holds": lambda found: found.put("a/1", {"n": 2**63}),
    "`a/1` holds a `set` at `n/0`": lambda found: found.put("a/1", {"n": [set()]}),
    "`a/1` holds a field at `n` that has no name": lambda found: found.put("a/1", {"n": {"": 1}}),
    "the bill shows `reads` of -1": lambda found: setattr(found.bill, "reads", -1),
    "changes with `a/1`": share_with_a_moment,
    "shows `a/2` as it was later": write_into_a_moment,
}


@pytest.mark.broken_double
@pytest.mark.parametrize("fault", BROKEN_DOCUMENTS)
def test_a_broken_double_of_documents_says_so(fault: str) -> None:
    """One fault, one line that names the document; none before."""
    found = documents()
    assert found.check_invariants() == []
    BROKEN_DOCUMENTS[fault](found)
    [line] = found.check_invariants()
    assert fault in line


def change(found: MemoryFiles, **fields: Any) -> None:
    file, data = found.files["b", "1"]
    found.files["b", "1"] = (replace(file, **fields), data)


BROKEN_FILES: dict[str, Callable[[MemoryFiles], object]] = {
    "`b/1` is called `c/1`": lambda found: change(found, bucket="c"),
    "`b/1` has 4 bytes and says 5": lambda found: change(found, size=5),
    "`b/1` has no generation": lambda found: change(found, metageneration=0),
    "has a name that no store takes": lambda found: found.put("b", "x" * 1025, b"", content_type=""),
    "`b/1` has metadata that is not text": lambda found: change(found, metadata={"a": 1}),
    "of `b` is there twice": lambda found: change(found, generation=found.files["b", "2"][0].generation),
}


@pytest.mark.broken_double
@pytest.mark.parametrize("fault", BROKEN_FILES)
def test_a_broken_double_of_files_says_so(fault: str) -> None:
    """One fault, one line that names the file; none before."""
    found = files()
    assert found.check_invariants() == []
    BROKEN_FILES[fault](found)
    [line] = found.check_invariants()
    assert fault in line
