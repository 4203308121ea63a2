"""Mutants: every condition, operator, constant, method and match is changed, each alone, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterimage_emulator.rules_language import Ruleset, compile_ruleset
from afterimage_emulator.rules_language.syntax.printer import print_rules
from afterimage_emulator.rules_testing.comparing.mutants import mutants_of

FRAME = "service cloud.firestore { match /databases/{d}/documents/a/{id} { %s } }"


def changes(body: str) -> list[str]:
    return [mutant.change for mutant in mutants_of(compile_ruleset(FRAME % body, file_name="x"))]


@pytest.mark.parametrize(
    ("condition", "change"),
    [
        ("id == 'a' && id == 'b'", "'id == 'a' && id == 'b'' becomes 'id == 'a' || id == 'b''"),
        ("id == 'a' || id == 'b'", "'id == 'a' || id == 'b'' becomes 'id == 'a' && id == 'b''"),
        ("id == 'a' && id == 'b'", "'id == 'a' && id == 'b'' becomes 'id == 'b''"),
        ("id == 'a'", "'id == 'a'' becomes 'id != 'a''"),
        ("id == 'a'", "''a'' becomes ''a~''"),
        ("1 < 2", "'1 < 2' becomes '1 <= 2'"),
        ("1 >= 2", "'1 >= 2' becomes '1 > 2'"),
        ("1 + 2 == 3", "'1 + 2' becomes '1 - 2'"),
        ("1.5 == 2.0", "'1.5' becomes '2.5'"),
        ("1 == 2", "'1' becomes '2'"),
        ("true", "'true' becomes 'false'"),
        ("true", "the whole condition becomes false"),
        ("id == 'a'", "the whole condition becomes true"),
        ("!(id == 'a')", "'!(id == 'a')' becomes 'id == 'a''"),
        ("id in ['a']", "'id in ['a']' becomes '!(id in ['a'])'"),
        ("id is string", "'id is string' becomes '!(id is string)'"),
        ("true ? 1 : 2", "'true ? 1 : 2' becomes 'true ? 2 : 1'"),
        ("[id].hasAll(['a'])", "'[id].hasAll(['a'])' becomes '[id].hasAny(['a'])'"),
        ("exists(/a/b)", "'exists(/a/b)' becomes 'existsAfter(/a/b)'"),
    ],
)
def test_conditions_are_changed_in_every_way(condition: str, change: str) -> None:
    """Logic, operands, comparisons, arithmetic, constants, negations, membership, ternaries and methods."""
    assert change in changes(f"allow read: if {condition};")


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ("allow read;", "'get' is no longer allowed here"),
        ("allow read;", "the unconditional allow becomes 'if false'"),
        ("allow write;", "'delete' is no longer allowed here"),
        ("match /b/{rest=**} { allow read; }", "'{rest=**}' becomes '{rest}'"),
        ("match /b/{c} { allow read; }", "the segment 'b' becomes another"),
        ("function f() { return 1 == 2; } allow read: if f();", "'1 == 2' becomes '1 != 2'"),
        ("function f() { let a = 5; return a == 2; } allow read: if f();", "'5' becomes '6'"),
    ],
)
def test_statements_and_matches_are_changed_too(body: str, change: str) -> None:
    """Methods are taken away, allows closed, wildcards narrowed, segments renamed; functions and lets count."""
    assert change in changes(body)


def test_each_mutant_differs_from_the_original_and_from_the_others(folder: Path) -> None:
    """No mutant is the original in disguise, and its place is inside the file."""
    ruleset = compile_ruleset((folder / "notes.rules").read_bytes(), file_name="x")
    original = print_rules(ruleset.rules)
    printed = [print_rules(mutant.rules) for mutant in mutants_of(ruleset)]
    assert original not in printed
    assert len(printed) > 30
    assert all(Ruleset(mutant.rules, source=ruleset.source) for mutant in mutants_of(ruleset))
    assert all(1 <= mutant.line <= ruleset.source.line_count for mutant in mutants_of(ruleset))
