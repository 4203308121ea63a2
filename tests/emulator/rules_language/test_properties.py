"""What holds for every expression and every request, not only for those somebody thought of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from afterimage_emulator.rules_language import (
    Coverage,
    Decision,
    ListedQuery,
    MemoryLookup,
    Ruleset,
    RulesetRejected,
    compile_ruleset,
)
from afterimage_emulator.rules_language.evaluation.operators import contained_in
from afterimage_emulator.rules_language.evaluation.rule_values import (
    EvaluationError,
    RuleSet,
    alike,
    equals,
    identity,
)
from afterimage_emulator.rules_language.evaluation.texts import part_of, size_of
from afterimage_emulator.rules_language.syntax.diagnostics import IssueList
from afterimage_emulator.rules_language.syntax.expression_parser import ExpressionParser
from afterimage_emulator.rules_language.syntax.printer import print_expression
from afterimage_emulator.rules_language.syntax.source_span import SourceText, Span
from afterimage_emulator.rules_language.syntax.syntax_tree import Expression, Literal
from afterimage_emulator.rules_language.syntax.token_reader import TokenReader
from tests.emulator.rules_language.expression_strategies import NOWHERE, expressions, values
from tests.emulator.rules_language.rules_world import ALICE, ask, firestore_rules, where
from tests.thoroughness import examples

DOCUMENTS = {"users/alice": {"n": 1}}


def without_spans(node: Any) -> Any:
    """A tree as plain tuples, its spans left out."""
    if isinstance(node, Span):
        return None
    if isinstance(node, tuple):
        return tuple(without_spans(part) for part in node)
    if hasattr(node, "__dataclass_fields__"):
        return (type(node).__name__, *(without_spans(getattr(node, name)) for name in node.__dataclass_fields__))
    return (type(node).__name__, node)


def read(text: str) -> Expression:
    source = SourceText(text, file_name="x")
    issues = IssueList(source)
    reader = TokenReader(source, issues)
    tree = ExpressionParser(reader).condition()
    assert reader.token.kind == "end", text
    return tree


@given(expressions)
@settings(max_examples=examples(150), deadline=None)
def test_printing_a_tree_and_reading_it_gives_the_tree(tree: Expression) -> None:
    """The printer writes every tree so that the parser reads the same tree, with no parentheses lost or needed."""
    printed = print_expression(tree)
    assert without_spans(read(printed)) == without_spans(tree)


def guarded(condition: str) -> Ruleset:
    """Rules with one condition; an example that the checker refuses, such as `1.size()`, is none."""
    try:
        return firestore_rules(
            f"match /docs/{{id}} {{ function f() {{ return id; }} allow read, write: if {condition}; }}"
        )
    except RulesetRejected:
        reject()


def asked(ruleset: Ruleset, method: str, data: Any, **fields: Any) -> Decision:
    path = "docs" if method == "list" else "docs/d"
    query = ListedQuery(where=where("n", ">", 1)) if method == "list" else None
    return ask(
        ruleset, method, path, MemoryLookup(DOCUMENTS),
        auth=ALICE, resource=data, request_resource=data, query=query, **fields,
    )  # fmt: skip


@given(expressions, st.sampled_from(["get", "list", "update", "delete"]), st.dictionaries(st.text(max_size=3), values))
@settings(max_examples=examples(150), deadline=None)
def test_deciding_never_fails_and_repeats_itself(tree: Expression, method: str, data: dict[str, Any]) -> None:
    """Any condition on any data ends in a decision, the same one each time, with a trace or without."""
    ruleset = guarded(print_expression(tree))
    first = asked(ruleset, method, data)
    again = asked(ruleset, method, data)
    traced = ruleset.decide(first._evaluation.request, MemoryLookup(DOCUMENTS), coverage=Coverage(ruleset))
    assert (first.allowed, first.reasons) == (again.allowed, again.reasons) == (traced.allowed, traced.reasons)
    assert str(first.explain()).startswith("allowed" if first.allowed else "denied")
    assert first.allowed or first.denial_message


_TEXTS = st.lists(st.sampled_from(["a", "b", ""]), max_size=3).map(repr)
_CONSTANTS = st.sampled_from(["null", "true", "1", "1.0", "'a'", "''"])
_QUICK = st.one_of(
    st.builds("V {} {}".format, st.sampled_from(["==", "!="]), _CONSTANTS),
    st.builds("V {} W".format, st.sampled_from(["==", "!=", "in", "<", "+"])),
    st.builds("'a' in {}".format, st.sampled_from(["V", "[V]", "[V].toSet()", "{'a': V}"])),
    st.builds("V is {}".format, st.sampled_from(["string", "int", "number", "map", "list", "set", "bytes"])),
    st.builds("{}.{}({})".format, st.sampled_from(["V", "V.keys()", "[V]", "V.toSet()", "V.diff(W).affectedKeys()"]),
              st.sampled_from(["hasAll", "hasAny", "hasOnly"]), _TEXTS),
    st.builds("V.{}()".format, st.sampled_from(["size", "keys", "lower", "toSet", "nothing", "toHexString"])),
    st.builds("V.{}(W)".format, st.sampled_from(["hasAll", "hasAny", "concat", "diff", "matches", "size", "get"])),
    st.builds("V.get({}, W)".format, st.sampled_from(["'a'", "['a', 'b']", "1", "V"])),
)  # fmt: skip
_SIMILAR = st.one_of(values, st.sampled_from(["a", 1, 1.0, True, {"a": 1}, ["a"], ["a", "b"], {"a": {"b": 2}}, [[]]]))


@given(st.lists(_QUICK, min_size=1, max_size=3), st.lists(_SIMILAR, min_size=2, max_size=6))
@settings(max_examples=examples(400), deadline=None)
def test_quick_plans_answer_as_plain_ones_do(written: list[str], data: list[Any]) -> None:
    """What nobody watches is planned with shortcuts; coverage watches, so without: values and errors are the same."""
    for number, condition in enumerate(written):
        shown = condition.replace("V", "resource.data.v").replace("W", "resource.data.w")
        ruleset = guarded(f"debug({shown}) == 'nothing'")
        for one, other in zip(data, [*data[1:], data[number % len(data)]], strict=True):
            for method in ("get", "list"):
                quick = asked(ruleset, method, {"v": one, "w": other})
                request = quick._evaluation.request
                plain = ruleset.decide(request, MemoryLookup(DOCUMENTS), coverage=Coverage(ruleset))
                assert repr((quick.debugged, quick.reasons)) == repr((plain.debugged, plain.reasons)), shown


@given(expressions, st.sampled_from(["get", "list", "update"]))
@settings(max_examples=examples(120), deadline=None)
def test_an_error_never_grants(tree: Expression, method: str) -> None:
    """A condition that ends in an error denies; so does its negation, and it and anything."""
    condition = print_expression(tree)
    outcome = asked(guarded(condition), method, {"n": 1})
    if outcome.allowed or outcome.reasons == ("false",):
        return
    assert not asked(guarded(f"!({condition})"), method, {"n": 1}).allowed
    assert not asked(guarded(f"({condition}) && true"), method, {"n": 1}).allowed
    assert not asked(guarded(f"({condition}) ? true : true"), method, {"n": 1}).allowed


OUTCOMES = {"true": True, "false": False, "1 / 0 == 1": None}


@given(st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, max_size=6))
def test_logic_absorbs_errors_in_any_order(parts: list[str]) -> None:
    """A chain of `||` with one true is true and of `&&` with one false is false, wherever the errors stand."""
    known = [OUTCOMES[part] for part in parts]
    either = asked(guarded(" || ".join(parts)), "get", {})
    both = asked(guarded(" && ".join(parts)), "get", {})
    assert either.allowed == (True in known)
    assert both.allowed == all(outcome is True for outcome in known)
    assert (both.reasons == ("false",)) == (False in known)


@given(values, values)
def test_identity_agrees_with_equality(one: Any, other: Any) -> None:
    """Two values have one identity exactly when they are alike as parts, so sets and lists agree."""
    if "nan" not in repr((one, other)):
        assert (identity(one) == identity(other)) == (alike(one, other) is True)


@given(values, values)
def test_whoever_compares_lists_and_maps_gets_no_more_than_their_parts_give(one: Any, other: Any) -> None:
    """`==` of two lists or maps is true only where they are alike to the kinds of their numbers; the unsure errs."""
    if "nan" in repr((one, other)):
        return
    found = alike(one, other)
    assert found is not True or equals(one, other)
    assert equals({"a": one}, {"a": other}) == (found is True)
    for wrapped in ([one], RuleSet([one])):
        if found is None:
            with pytest.raises(EvaluationError):
                equals(wrapped, type(wrapped)([other]))
            with pytest.raises(EvaluationError):
                contained_in(other, wrapped)
        else:
            assert equals(wrapped, type(wrapped)([other])) == found
            assert contained_in(other, wrapped) == found


@given(st.text(max_size=8), st.integers(0, 12), st.integers(0, 12))
def test_positions_and_lengths_count_as_utf_16_does(text: str, start: int, end: int) -> None:
    """A text's size, and each part of it, is that of its UTF-16 units; a cut through a character is an error."""
    units = text.encode("utf-16-le")
    assert size_of(text) == len(units) // 2
    if not start <= end <= size_of(text):
        return
    try:
        expected = units[2 * start : 2 * end].decode("utf-16-le")
    except UnicodeDecodeError:
        with pytest.raises(EvaluationError):
            part_of(text, start, end)
    else:
        assert part_of(text, start, end) == expected


@given(st.text(max_size=30))
def test_any_string_survives_a_literal(text: str) -> None:
    """Every text can be written as a string literal and has the value it was written for."""
    written = print_expression(Literal(NOWHERE, text))
    assert without_spans(read(written)) == without_spans(Literal(NOWHERE, text))


@given(st.binary(max_size=200))
@settings(max_examples=examples(200))
def test_any_bytes_are_a_ruleset_or_an_issue_list(data: bytes) -> None:
    """Bytes that are no rules raise the list of issues, never anything else."""
    try:
        compile_ruleset(data, file_name="fuzz")
        rendered = ["a ruleset"]
    except RulesetRejected as rejected:
        rendered = [issue.render() for issue in rejected.issues]
    assert rendered
    assert all(rendered)
