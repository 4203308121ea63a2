"""Documents and fields are named as the SDKs name them, and what no request could name is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.cloud.firestore_v1.field_path import FieldPath
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.rules_testing import (
    DELETED,
    SERVER_TIME,
    CaseFileError,
    RulesEnvironment,
    assert_allowed,
    read_case_file,
)
from afterimage_emulator.rules_testing.field_paths import changed_fields, field_path
from tests.emulator.rules_testing.notes_rules import RULES

OPEN = "service cloud.firestore { match /databases/{d}/documents/{x=**} { allow read, write; } }"


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("get: notes", "`get: notes` names a collection"),
        ("get: notes/n1/comments", "names a collection"),
        ("update: notes, change: {a: 1}", "names a collection"),
        ("delete: notes//n1", "has an empty segment"),
        ("list: notes/n1", "`list: notes/n1` names a document; name a collection, as in `notes`"),
        ("get: notes/n1, documents: {notes: {}}", "`documents: notes` names a collection"),
        ("delete: notes/n1, commit: {notes: null}", "`commit: notes` names a collection"),
        ("update: notes/n1, change: {'a..b': 1}", "`a..b` is no field path"),
    ],
)
@pytest.mark.parametrize("expected", ["allowed", "denied"])
def test_a_case_that_no_client_could_ask_is_refused(
    write_cases: Callable[..., Path], entry: str, complaint: str, expected: str
) -> None:
    """A path that fits no request is refused with its line, also where `denied` would have passed."""
    path = write_cases(f"documents: {{notes/n1: {{}}}}\ncases:\n - {{{entry}, expect: {expected}}}")
    with pytest.raises(CaseFileError) as caught:
        read_case_file(path)
    assert complaint in str(caught.value)
    assert f"{path}:" in str(caught.value)


def test_an_environment_refuses_impossible_paths() -> None:
    """Actors and seeds say so at once, before any rule is asked."""
    environment = RulesEnvironment(RULES)
    alice = environment.as_user("alice")
    for ask in (
        lambda: alice.get("notes"),
        lambda: alice.list("notes/n1"),
        lambda: alice.create("notes", {}),
        lambda: environment.seed({"notes": {}}),
    ):
        with pytest.raises(ValueError, match="names a"):
            ask()


def test_an_update_sets_nested_fields_as_the_sdks_do() -> None:
    """A dotted name goes into a map, backticks hold an odd name together, and what stands beside stays."""
    environment = RulesEnvironment(OPEN, documents={"n/x": {"a": {"b": 0, "c": 2}, "d": 1}})
    user = environment.as_user("u")
    kept = environment.documents["n/x"]
    assert_allowed(user.update("n/x", {"a.b": 1, "new.deep.at": SERVER_TIME, "`a.b`": 3, "d": DELETED}))
    assert environment.documents["n/x"] == {
        "a": {"b": 1, "c": 2},
        "new": {"deep": {"at": environment.now}},
        "a.b": 3,
    }
    assert_allowed(user.update("n/x", {"a.c": DELETED, "missing.x": DELETED}))
    assert environment.documents["n/x"]["a"] == {"b": 1}
    assert kept == {"a": {"b": 0, "c": 2}, "d": 1}
    assert_allowed(user.set("n/x", {"a.b": 1}))
    assert environment.documents["n/x"] == {"a.b": 1}


def test_an_update_that_names_a_field_twice_is_refused() -> None:
    """The SDKs refuse a change of a map and of a field inside it in one update."""
    with pytest.raises(ValueError, match="change the same field"):
        changed_fields({}, {"a": {}, "a.b": 1})


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "`a", "a`b`", "a[0]", "a/b", "``", "`a`b"])
def test_an_odd_field_path_is_refused(name: str) -> None:
    """A name that the SDKs would not take is refused with the way out."""
    with pytest.raises(ValueError, match="backticks"):
        field_path(name)


@given(st.lists(st.text(min_size=1, max_size=4, alphabet="ab_ .`\\-é0"), min_size=1, max_size=3))
def test_whatever_the_python_sdk_writes_is_read_back(names: list[str]) -> None:
    """The official SDK's own notation of any field path gives its names."""
    assert field_path(FieldPath(*names).to_api_repr()) == tuple(names)
