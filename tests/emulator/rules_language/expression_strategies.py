"""Random expressions and values of the rules language, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from afterimage_emulator.rules_language.syntax.source_span import Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    Binary,
    CallExpression,
    Conditional,
    Expression,
    Index,
    ListLiteral,
    Literal,
    Logical,
    MapLiteral,
    Member,
    PathLiteral,
    Range,
    TypeTest,
    Unary,
    Variable,
)

NOWHERE = Span(0, 0)
_NAMES = st.sampled_from(["request", "resource", "id", "database", "a", "b", "unknown"])
_MEMBERS = st.sampled_from(["auth", "uid", "data", "token", "n", "if", "in", "null", "size", "__name__"])
_METHODS = st.sampled_from(["size", "keys", "hasAll", "hasAny", "matches", "get", "diff", "toSet", "lower", "nothing"])
_FUNCTIONS = st.sampled_from(["exists", "get", "int", "string", "path", "f", "debug", "nothing"])
_OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in"])

literals = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=0, max_value=2**63 - 1),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
).map(lambda value: Literal(NOWHERE, value))
leaves = st.one_of(literals, _NAMES.map(lambda name: Variable(NOWHERE, name)))


def _larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    few = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Member, st.just(NOWHERE), inner, _MEMBERS),
        st.builds(Index, st.just(NOWHERE), inner, inner),
        st.builds(Range, st.just(NOWHERE), inner, inner, inner),
        st.builds(CallExpression, st.just(NOWHERE), st.none(), _FUNCTIONS, few),
        st.builds(CallExpression, st.just(NOWHERE), inner, _METHODS, few),
        st.builds(Unary, st.just(NOWHERE), st.sampled_from("!-"), inner),
        st.builds(Binary, st.just(NOWHERE), _OPERATORS, inner, inner),
        st.builds(TypeTest, st.just(NOWHERE), inner, st.sampled_from(["string", "int", "map", "set"])),
        st.builds(Conditional, st.just(NOWHERE), inner, inner, inner),
        st.builds(ListLiteral, st.just(NOWHERE), few),
        st.builds(MapLiteral, st.just(NOWHERE), st.lists(st.tuples(inner, inner), max_size=2).map(tuple)),
        st.builds(
            PathLiteral,
            st.just(NOWHERE),
            st.lists(st.one_of(st.sampled_from(["users", "a-b", "(default)", "1"]), inner), min_size=1, max_size=3).map(
                tuple
            ),
        ),
        _logical("&&", inner),
        _logical("||", inner),
    )


def _logical(operator: str, inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Chains; one that begins with a chain of the same operator would be one longer chain, so none does."""
    chains = st.lists(inner, min_size=2, max_size=4).filter(
        lambda nodes: not (isinstance(nodes[0], Logical) and nodes[0].operator == operator)
    )
    return chains.map(lambda nodes: Logical(NOWHERE, operator, tuple(nodes)))


expressions: st.SearchStrategy[Expression] = st.deferred(lambda: leaves | _larger(expressions))

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(),
        st.text(max_size=5),
        st.binary(max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
