"""Why a request was denied: the blocks, the allows, and the smallest expression with the values it saw."""

from __future__ import annotations

from typing import Any

import pytest

from afterimage_emulator.rules_language import Explanation
from tests.emulator.rules_language.rules_world import (
    ALICE,
    ask,
    ask_storage,
    firestore_rules,
    listing,
    storage_rules,
    where,
)


def why(condition: str, functions: str = "", **fields: Any) -> Explanation:
    ruleset = firestore_rules(f"match /docs/{{id}} {{ {functions} allow get: if {condition}; }}")
    return ask(ruleset, "get", "docs/d", auth=ALICE, resource=fields).explain()


@pytest.mark.parametrize(
    ("condition", "causes"),
    [
        ("id == 'x'", ["id == 'x'"]),
        ("true && id == 'x' && true", ["id == 'x'"]),
        ("id == 'x' || id == 'y'", ["id == 'x'", "id == 'y'"]),
        ("(id == 'x' || id == 'y') && id == 'd'", ["id == 'x'", "id == 'y'"]),
        ("!(id == 'd')", ["id == 'd'"]),
        ("!(id == 'd' || id == 'x')", ["id == 'd'"]),
        ("id == 'd' ? id == 'x' : true", ["id == 'x'"]),
        ("resource.data.missing == 1", ["resource.data.missing"]),
        ("true && (1 / resource.data.zero == 1 || false)", ["1 / resource.data.zero"]),
        ("id == 'x' || resource.data.missing == 1", ["id == 'x'", "resource.data.missing"]),
        ("id == 'd' && (resource.data.missing == 1 && true)", ["resource.data.missing"]),
        ("id == 'd' && resource.data.n", ["resource.data.n"]),
        ("(resource.data.n + 1) * 2 == 1", ["(resource.data.n + 1) * 2 == 1"]),
        ("true && ((id) + ('x')) == (id) && true", ["((id) + ('x')) == (id)"]),
        ("([id] + [id])[0] == id", ["[id] + [id]"]),
        ("resource.data.n.size() == 1", ["resource.data.n.size()"]),
        ("isOwner()", ["resource.data.owner == request.auth.uid"]),
        ("wraps(id)", ["value == 'x'"]),
        ("withLet()", ["resource.data.n == 1"]),
        ("[id].hasAny(['x'])", ["[id].hasAny(['x'])"]),
        ("1", ["1"]),
    ],
)
def test_the_smallest_deciding_expression_is_found(condition: str, causes: list[str]) -> None:
    """Through logic, ternaries, functions and lets down to the comparison or error that decided."""
    functions = (
        "function isOwner() { return request.auth != null && resource.data.owner == request.auth.uid; }"
        "function wraps(value) { return same(value); } function same(value) { return value == 'x'; }"
        "function withLet() { let isOne = resource.data.n == 1; return isOne; }"
    )
    explanation = why(condition, functions, zero=0, n=5, owner="bob")
    assert [cause.text for cause in explanation.tried[0].causes] == causes


def test_values_are_shown_beside_what_decided() -> None:
    """Each part of the deciding expression stands there with the value it had."""
    explanation = why("resource.data.owner == request.auth.uid", owner="bob")
    assert {seen.text: seen.value for seen in explanation.tried[0].causes[0].seen} == {
        "resource.data.owner": "'bob'",
        "request.auth.uid": "'alice'",
    }


def test_an_explanation_reads_as_text() -> None:
    """The text names the request, the match with its captures, the allow with its place, and the cause."""
    ruleset = firestore_rules("match /docs/{id} {\n  allow get: if request.auth.uid == resource.data.owner;\n}")
    text = str(ask(ruleset, "get", "docs/d", auth=ALICE, resource={"owner": "bob"}).explain())
    assert text.splitlines() == [
        "denied: get /databases/(default)/documents/docs/d by uid 'alice'",
        "  match /databases/{database}/documents/docs/{id} with database = '(default)', id = 'd'",
        "    allow get (test.rules:5:17): false",
        "      line 5: request.auth.uid == resource.data.owner is false",
        "        request.auth.uid is 'alice'",
        "        resource.data.owner is 'bob'",
    ]


def test_what_no_block_covers_is_said() -> None:
    """Without an allow for the method there is nothing to evaluate: the blocks that cover the path are named."""
    ruleset = firestore_rules("match /docs/{id} {\nallow get, list; }")
    assert str(ask(ruleset, "delete", "docs/d").explain()).splitlines()[1:] == [
        "  no match block that covers this path has an allow for `delete`:",
        "    match /databases/{database}/documents/docs/{id} (line 4) allows get, list",
    ]
    assert str(ask(ruleset, "get", "docs/d/e/f").explain()).splitlines()[1:] == ["  no match block covers this path"]


def test_every_allow_that_was_tried_is_there() -> None:
    """Blocks that overlap are all listed, each with its own outcome."""
    ruleset = firestore_rules(
        "match /docs/{id} { allow get: if false; }\nmatch /{all=**} { allow get: if 1 / 0 == 1; }"
    )
    tried = ask(ruleset, "get", "docs/d").explain().tried
    assert [entry.outcome for entry in tried] == ["false", "an error: Divide by zero error."]
    assert tried[1].captures[1].value == "/docs/d"


def test_an_allowed_request_is_explained_too() -> None:
    """The explanation of a grant names what was true."""
    explanation = why("id == 'x' || id == 'd'")
    assert explanation.is_allowed
    assert explanation.tried[0].causes[0].text == "id == 'd'"


def test_queries_explain_the_case_that_failed() -> None:
    """Of several disjuncts the one that was denied is shown, with what the filters leave open."""
    ruleset = firestore_rules("match /docs/{id} { allow list: if resource.data.n > 4; }")
    text = str(ask(ruleset, "list", "docs", query=listing(where("n", ">", 2))).explain())
    assert "resource.data.n is <n > 2>" in text


def test_storage_requests_are_explained() -> None:
    """Storage has the same why beside its shorter official text."""
    ruleset = storage_rules("match /{all=**} { allow create: if request.resource.size < 10; }")
    text = str(ask_storage(ruleset, "create", "a/b", request_resource={"size": 11}).explain())
    assert "request.resource.size is 11" in text
    assert "/b/bkt/o/a/b" in text


def test_explanations_are_data_as_well() -> None:
    """Programs get the same content as JSON."""
    data = why("id == 'x'").to_json()
    assert data["allowed"] is False
    assert data["tried"][0]["causes"][0] == {
        "expression": "id == 'x'", "line": 4, "column": 35, "outcome": "false", "values": {"id": "'d'"},
    }  # fmt: skip


def test_large_values_are_cut() -> None:
    """A document of any size is shown in bounded length."""
    explanation = why("resource.data == {}", big="x" * 100_000, wide=list(range(100_000)), deep={"a": {"b": {"c": {}}}})
    assert len(str(explanation)) < 2000
