"""The page of functions, methods and operators lists exactly what the engine has, each with the evidence behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterimage_emulator.rules_language.evaluation.builtin_functions import FUNCTIONS
from afterimage_emulator.rules_language.evaluation.builtin_methods import METHODS
from afterimage_emulator.rules_language.evaluation.evaluator import DOCUMENT_FUNCTIONS, STORAGE_DOCUMENT_FUNCTIONS
from afterimage_emulator.rules_language.evaluation.operators import BINARY_OPERATORS, TESTABLE_TYPES
from afterimage_emulator.rules_language.evaluation.signatures import Builtin
from afterimage_emulator.rules_language.syntax.expression_parser import BINARY_LEVELS

PAGE = Path(__file__).parents[3] / "docs/rules-functions.md"
EVIDENCE = {"recorded", "documented", "reasoned"}
PREFIX_AND_POSTFIX = {"!", "-a", "? :", ".name", "[i]", "[i:j]"}


def rows(heading: str) -> dict[str, list[str]]:
    """The cells behind the name in each row of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|"))
            key = name.strip("`").replace("\0", "|")
            assert key not in found
            found[key] = cells
    return found


def takes(builtin: Builtin) -> str:
    return " or ".join(f"({', '.join(kinds)})" for kinds in builtin.overloads)


def test_every_operator_and_type_has_its_evidence() -> None:
    """No operator and no type is missing from the page, and none is listed that the engine lacks."""
    assert set(BINARY_OPERATORS) <= set(BINARY_LEVELS)
    assert set(rows("Operators")) == set(BINARY_LEVELS) | PREFIX_AND_POSTFIX
    assert set(rows("Types behind `is`")) == TESTABLE_TYPES


def test_every_function_and_method_has_its_signature() -> None:
    """Each function and method stands on the page with the kinds of arguments that it takes."""
    methods = {f"{kind}.{name}": METHODS.named(name)[kind] for kind, name in METHODS.names()}
    assert {name: cells[0] for name, cells in rows("Methods").items()} == {k: takes(v) for k, v in methods.items()}
    assert {name: cells[0] for name, cells in rows("Functions").items()} == {k: takes(v) for k, v in FUNCTIONS.items()}
    documents = {*DOCUMENT_FUNCTIONS, *(f"firestore.{name}" for name in STORAGE_DOCUMENT_FUNCTIONS)}
    assert set(rows("Documents")) == documents


@pytest.mark.parametrize("heading", ["Operators", "Types behind `is`", "Functions", "Documents", "Methods"])
def test_evidence_is_one_of_three_kinds(heading: str) -> None:
    """Each row says recorded, documented or reasoned, in the last but one cell."""
    table = rows(heading)
    assert table
    assert {cells[-2] for cells in table.values()} <= EVIDENCE
