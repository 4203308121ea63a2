"""What queries may run: every case of a query must be allowed, from its filters alone, before any document is read."""

from __future__ import annotations

from typing import Any

import pytest

from afterimage_emulator.rules_language import Both, Either, ListedQuery, MemoryLookup
from tests.emulator.rules_language.rules_world import ALICE, CountingLookup, ask, firestore_rules, listing, where

OTHER = "bob"


def denied_or_allowed(condition: str, query: ListedQuery | None, **fields: Any) -> str:
    """`allowed`, or the final reason of the only allow."""
    ruleset = firestore_rules(f"match /docs/{{id}} {{ allow list: if {condition}; }}")
    decision = ask(ruleset, "list", "docs", query=query, auth=ALICE, **fields)
    return "allowed" if decision.allowed else decision.reasons[0]


SCORE = "resource.data.score > 4"
OWNER = "request.auth.uid == resource.data.owner"
MEMBER = "request.auth.uid in resource.data.members"
ALLOWED, FALSE, ERROR, UNDEFINED = "allowed", "false", "Query error.", "Property "


@pytest.mark.parametrize(
    ("condition", "query", "outcome"),
    [
        (SCORE, listing(where("score", "==", 5)), ALLOWED),
        (SCORE, listing(where("score", ">", 5)), ALLOWED),
        (SCORE, listing(where("score", ">", 4)), ALLOWED),
        (SCORE, listing(where("score", ">=", 5)), ALLOWED),
        (SCORE, listing(where("score", ">=", 4.5)), ALLOWED),
        (SCORE, listing(where("score", "in", [5, 7])), ALLOWED),
        (SCORE, listing(where("score", ">=", 4)), ERROR),
        (SCORE, listing(where("score", ">", 3)), ERROR),
        (SCORE, listing(where("score", "<", 9)), ERROR),
        (SCORE, listing(where("score", "!=", 4)), ERROR),
        (SCORE, listing(where("score", ">", "9")), ERROR),
        (SCORE, listing(where("score", "==", 4)), FALSE),
        (SCORE, listing(where("score", "in", [4, 7])), FALSE),
        (SCORE, listing(where("score", "in", [7, 4])), FALSE),
        (SCORE, None, UNDEFINED),
        (SCORE, listing(where("other", "==", 5)), UNDEFINED),
        ("4 < resource.data.score", listing(where("score", ">", 5)), ALLOWED),
        ("resource.data.score >= 5", listing(where("score", ">=", 5)), ALLOWED),
        ("resource.data.score >= 5", listing(where("score", ">", 4)), ERROR),
        ("resource.data.score < 5", listing(where("score", "<", 5)), ALLOWED),
        ("resource.data.score < 5", listing(where("score", "<=", 5)), ERROR),
        ("resource.data.score <= 5", listing(where("score", "<=", 5)), ALLOWED),
        ("resource.data.score <= 5", listing(where("score", "<=", 5), where("score", ">", 1)), ALLOWED),
        ("resource.data.score > 1", listing(where("score", "<=", 5), where("score", ">", 1)), ALLOWED),
        (OWNER, listing(where("owner", "==", "alice")), ALLOWED),
        (OWNER, listing(where("owner", "in", ["alice"])), ALLOWED),
        (
            OWNER,
            ListedQuery(where=Either(filters=[where("owner", "==", "alice"), where("owner", "==", "alice")])),
            ALLOWED,
        ),
        (OWNER, listing(where("owner", ">=", "alice")), ERROR),
        (OWNER, listing(where("owner", ">=", "alice"), where("owner", "<=", "alice")), ERROR),
        (OWNER, listing(where("owner", "array-contains", "alice")), ERROR),
        (OWNER, listing(where("owner", "in", ["alice", OTHER])), FALSE),
        (OWNER, ListedQuery(where=Either(filters=[where("owner", "==", "alice"), where("owner", "==", OTHER)])), FALSE),
        (OWNER, ListedQuery(where=Either(filters=[where("owner", "==", "alice"), where("a", "==", 1)])), UNDEFINED),
        (OWNER, listing(where("owner", "==", "alice"), where("score", ">", 1)), ALLOWED),
        (MEMBER, listing(where("members", "array-contains", "alice")), ALLOWED),
        (MEMBER, listing(where("members", "array-contains-any", ["alice"])), ALLOWED),
        (MEMBER, listing(where("members", "array-contains", OTHER)), ERROR),
        (MEMBER, listing(where("members", "array-contains-any", ["alice", OTHER])), ERROR),
        (MEMBER, listing(where("members", "==", ["alice", OTHER])), ALLOWED),
        ("resource.data.value != null", listing(where("value", "!=", None)), ALLOWED),
        ("!(resource.data.value == null)", listing(where("value", ">", 1)), ERROR),
        ("!(resource.data.value == 'x')", listing(where("value", ">", 1)), ERROR),
        ("!('a' in resource.data.value)", listing(where("value", ">", 1)), ERROR),
        ("resource.data.value != 'x'", listing(where("value", "!=", "x")), ALLOWED),
        ("resource.data.value != 'x'", listing(where("value", "not-in", ["x", "y"])), ALLOWED),
        ("resource.data.value != 'z'", listing(where("value", "not-in", ["x", "y"])), ERROR),
        ("resource.data.value != 'x'", listing(where("value", "!=", "y")), ERROR),
        ("resource.data.value != 5", listing(where("value", ">=", 5)), ERROR),
        ("resource.data.value == 'y'", listing(where("value", "!=", "x")), ERROR),
        ("!(resource.data.value == 'x')", listing(where("value", "!=", "x")), ERROR),
        ("resource != null", None, ALLOWED),
        ("!('secret' in resource.data)", None, ALLOWED),
        ("!('secret' in resource.data)", listing(where("secret", ">", 1)), FALSE),
        ("resource.data.a.b == 1", listing(where("a.b", "==", 1)), ALLOWED),
        ("resource.data.a.c == 1", listing(where("a.b", "==", 1)), UNDEFINED),
        ("resource.data.a == {'b': 1}", listing(where("a", "==", {"b": 1}), where("a.c", ">", 1)), ALLOWED),
        ("id == 'x'", None, "Query error. The query leaves a value open"),
        ("resource.id == 'x'", None, "Query error. The query leaves a value open"),
        ("[id] == ['x']", None, "Query error. The query leaves a value open"),
        ("id in ['x']", None, "Unsupported operation error. Received: list.in(constraint)."),
        ("id == 'x' || true", None, ALLOWED),
        ("resource.data.value is string", listing(where("value", ">", "a")), "Unsupported operation error."),
        (
            "['a'].hasAny(resource.data.value)",
            listing(where("value", "array-contains", "a")),
            "Unsupported operation error. Received: list.hasAny(constraint). Expected: list.hasAny(list).",
        ),
        (
            "get(resource.data.value) == null",
            listing(where("value", ">", "a")),
            "Unsupported operation error. Received: get(constraint). Expected: get(path).",
        ),
    ],
)
def test_filters_prove_conditions(condition: str, query: ListedQuery | None, outcome: str) -> None:
    """A comparison of a filtered field is true where it follows from the filters, else an error, never false."""
    assert denied_or_allowed(condition, query).startswith(outcome)


@pytest.mark.parametrize(
    ("condition", "query", "outcome"),
    [
        ("request.query.limit <= 10", listing(limit=10), ALLOWED),
        ("request.query.limit <= 10", listing(limit=11), FALSE),
        ("request.query.limit <= 10", listing(), "Null value error."),
        ("request.query.limit == null", listing(), ALLOWED),
        ("request.query.offset == 0", listing(), ALLOWED),
        ("request.query.offset == 0", listing(offset=5), FALSE),
        ("request.query.orderBy.created == 'DESC'", listing(order_by={"created": "DESC"}), ALLOWED),
        ("request.query.orderBy.created == 'DESC'", listing(order_by={"created": "ASC"}), FALSE),
        ("request.query.orderBy.created == 'DESC'", listing(), UNDEFINED),
    ],
)
def test_the_query_itself_can_be_asked(condition: str, query: ListedQuery, outcome: str) -> None:
    """`request.query` has limit (null when absent), offset (0 when absent) and orderBy."""
    assert denied_or_allowed(condition, query).startswith(outcome)


def test_nested_alternatives_are_all_tried() -> None:
    """OR inside AND inside OR: each combination is a case of its own."""
    query = ListedQuery(
        where=Both(
            filters=[
                where("owner", "==", "alice"),
                Either(filters=[where("score", "in", [5, 6]), Both(filters=[where("score", ">", 10)])]),
            ]
        )
    )
    assert denied_or_allowed(f"{OWNER} && {SCORE}", query) == "allowed"
    assert denied_or_allowed(f"{OWNER} && resource.data.score < 10", query) == ERROR + (
        " The filters on [score] do not imply the comparison [<]."
    )


def test_too_many_cases_are_denied_in_bounded_time() -> None:
    """Filters that multiply without end are denied instead of expanded; so are nests without end."""
    many = Both(filters=[where(f"f{number}", "in", list(range(10))) for number in range(10)])
    ruleset = firestore_rules("match /docs/{id} { allow list; }")
    assert "too many disjuncts" in ask(ruleset, "list", "docs", query=ListedQuery(where=many)).denial_message
    nested: Any = where("a", "==", 1)
    for _ in range(10_000):
        nested = Either(filters=[nested])
    assert not ask(ruleset, "list", "docs", query=ListedQuery(where=nested)).allowed


def test_a_query_without_any_case_is_denied() -> None:
    """An empty `in` has no case that could be allowed, so nothing is."""
    assert not ask(
        firestore_rules("match /docs/{id} { allow list; }"), "list", "docs", query=listing(where("a", "in", []))
    ).allowed


def test_collection_groups_need_a_recursive_wildcard_and_version_2() -> None:
    """A query over all collections of an id is only covered by a match that covers them all."""
    group = ListedQuery(all_descendants=True)
    covering = "match /{path=**}/posts/{id} { allow list; }"
    assert ask(firestore_rules(covering), "list", "posts", query=group).allowed
    assert ask(firestore_rules("match /{path=**} { allow list; }"), "list", "posts", query=group).allowed
    assert ask(firestore_rules(covering), "list", "users/a/posts", query=group).allowed
    for body, version in [
        ("match /posts/{id} { allow list; }", 2),
        ("match /{a}/posts/{id} { allow list; }", 2),
        ("match /users/{u}/posts/{id} { allow list; }", 2),
        ("match /{path=**} { allow list; }", 1),
    ]:
        denied = ask(firestore_rules(body, version=version), "list", "posts", query=group)
        assert denied.denial_message == "No matching allow statements"


def test_parents_are_known_and_the_document_is_not() -> None:
    """In `list` the wildcards of parents have their values; the document's own wildcard is open."""
    ruleset = firestore_rules("match /users/{uid}/posts/{id} { allow list: if uid == request.auth.uid; }")
    assert ask(ruleset, "list", "users/alice/posts", auth=ALICE).allowed
    assert not ask(ruleset, "list", "users/bob/posts", auth=ALICE).allowed


def test_look_ups_work_on_what_is_known() -> None:
    """Fixed paths and equated fields can be looked up; a path with the open wildcard is an error that `||` absorbs."""
    at = "/databases/$(database)/documents"
    ruleset = firestore_rules(
        f"match /a/{{id}} {{ allow list: if exists({at}/teams/$(resource.data.team)); }}"
        f"match /b/{{id}} {{ allow list: if exists({at}/b/$(id)); }}"
        f"match /c/{{id}} {{ allow list: if exists({at}/b/$(id)) || exists({at}/teams/red); }}"
    )
    lookup = CountingLookup({"teams/red": {}})
    assert ask(ruleset, "list", "a", lookup, query=listing(where("team", "==", "red"))).allowed
    assert not ask(ruleset, "list", "a", lookup, query=listing(where("team", "==", "blue"))).allowed
    assert ask(ruleset, "list", "b", lookup).reasons[0].startswith("Service call error.")
    assert ask(ruleset, "list", "c", lookup).allowed
    assert set(lookup.reads) == {"teams/red", "teams/blue"}


def test_a_denied_query_names_its_reason() -> None:
    """The denial of a query has the entries of the case that failed."""
    ruleset = firestore_rules("match /docs/{id} {\nallow list: if resource.data.open == true; }")
    assert ask(ruleset, "list", "docs", MemoryLookup()).denial_message == (
        "\nProperty open is undefined on object. for 'list' @ L5"
    )
