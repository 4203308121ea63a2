"""`diff` on rules alone: made-up requests reach both sides of each bound, field, claim and path that rules mention."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import re2

from afterimage_emulator.rules_language import Ruleset, compile_ruleset
from afterimage_emulator.rules_testing.comparing.comparison import compare
from afterimage_emulator.rules_testing.comparing.generated_requests import generated_requests
from afterimage_emulator.rules_testing.comparing.matching_texts import UnknownSyntaxError, matching_text
from afterimage_emulator.rules_testing.comparing.satisfying import goals_of, satisfying_requests

ROOT = Path(__file__).parents[3]
FIRESTORE = "rules_version = '2'; service cloud.firestore {{ match /databases/{{database}}/documents {{ {} }} }}".format
STORAGE = "rules_version = '2'; service firebase.storage {{ match /b/{{bucket}}/o {{ {} }} }}".format


REQUESTS = 1200


def guarded(condition: str, methods: str = "read, write") -> Ruleset:
    return compile_ruleset(FIRESTORE(f"match /docs/{{id}} {{ allow {methods}: if {condition}; }}"), file_name="x")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("request.auth != null", "true"),
        ("request.auth.uid == id", "request.auth != null"),
        ("request.auth.token.admin == true", "request.auth.token.admin != null"),
        ("resource.data.level > 3", "resource.data.level >= 3"),
        ("resource.data.level < 100", "resource.data.level < 101"),
        ("request.resource.data.title.size() <= 40", "request.resource.data.title.size() <= 41"),
        ("request.resource.data.tags.size() < 10", "request.resource.data.tags.size() <= 10"),
        ("request.resource.data.state in ['new', 'open']", "request.resource.data.state in ['new', 'open', 'done']"),
        ("request.resource.data.n is int", "request.resource.data.n is number"),
        ("request.resource.data.at == request.time", "request.resource.data.at <= request.time"),
        ("request.resource.data.keys().hasOnly(['a'])", "request.resource.data.keys().hasOnly(['a', 'b'])"),
        ("request.resource.data.rev == resource.data.rev + 1", "request.resource.data.rev > resource.data.rev"),
        ("resource.data.get('open', false)", "resource.data.get('open', true)"),
        ("request.auth.uid in resource.data.members", "resource.data.members != null"),
        (
            "exists(/databases/$(database)/documents/admins/$(request.auth.uid))",
            "request.auth != null",
        ),
        ("request.query.limit <= 10", "request.query.limit <= 100"),
    ],
)
def test_loosened_conditions_are_found(old: str, new: str) -> None:
    """Each pair of conditions differs for some made-up request; every difference found is a loosening, with why."""
    methods = "list" if "query" in old else "read, write"
    comparison = compare(guarded(old, methods), guarded(new, methods), [], generated=REQUESTS)
    assert comparison.changes
    assert any(not change.was_allowed for change in comparison.changes)
    for change in comparison.changes:
        assert change.old_why.startswith("allowed" if change.was_allowed else "denied")
        assert change.new_why.startswith("denied" if change.was_allowed else "allowed")


STRICT = """
  function isText(data, name, most) {{ return data[name] is string && data[name].size() <= most; }}
  function fits(data) {{
    let known = ['title', 'state', 'rev', 'tags', 'code', 'owner', 'at', 'price'];
    return data.keys().hasAll(['title', 'state', 'rev', 'tags', 'code', 'owner', 'at']) && data.keys().hasOnly(known)
      && isText(data, 'title', {title}) && data.state in ['new', 'open'{state}]
      && data.code.matches('{code}') && data.tags is list && data.tags.size() > 0 && data.tags.size() <= 5
      && data.owner == request.auth.uid && data.at == request.time
      && (!('price' in data) || (data.price is {price} && data.price >= 10 && data.price < 1000));
  }}
  match /shops/{{shop}}/items/{{id}} {{
    allow create: if request.auth.token.seller == shop && fits(request.resource.data) && request.resource.data.rev == 0;
    allow update: if request.auth.token.seller == shop && fits(request.resource.data)
      && resource.data.owner == request.auth.uid && request.resource.data.rev == resource.data.rev + 1
      && request.resource.data.diff(resource.data).affectedKeys().hasOnly(['rev', 'at', 'title'{affected}]){open};
    allow delete: if {delete}exists(/databases/$(database)/documents/admins/$(request.auth.uid));
  }}
"""
TIGHT = {
    "title": 40, "state": "", "code": "[A-Z]{2,3}-[0-9]{4}", "price": "int", "affected": "", "open": "", "delete": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "loose", "method"),
    [
        ("title", 41, "create"),
        ("title", 41, "update"),
        ("state", ", 'done'", "create"),
        ("code", "[A-Z]{2,3}-[0-9]{4,5}", "create"),
        ("code", "(?:[A-Z]{2,3}|x+)-[0-9]{4}", "create"),
        ("price", "number", "create"),
        ("affected", ", 'tags'", "update"),
        ("open", " || request.auth.token.root == true", "update"),
        ("delete", "resource.data.owner == request.auth.uid || ", "delete"),
    ],
)
def test_openings_behind_strict_validators_are_found(part: str, loose: object, method: str) -> None:
    """Documents are made to satisfy types, sizes, keys, patterns, ranges and references, so one loosened part shows."""
    old, new = (
        compile_ruleset(FIRESTORE(STRICT.format(**{**TIGHT, part: value})), file_name="x")
        for value in (TIGHT[part], loose)
    )
    comparison = compare(old, new, [], generated=REQUESTS)
    opened = [change for change in comparison.changes if not change.was_allowed]
    assert any(change.method == method for change in opened)
    assert not any(change.was_allowed for change in comparison.changes)
    assert any(line.startswith(f"  /shops/{{shop}}/items/{{id}} {method}: ") for line in comparison.summary())


@pytest.mark.parametrize(
    "pattern",
    [
        "abc",
        "[a-z]{2,5}",
        "^(?:a|bc)+$",
        "\\d{4}-\\w+",
        "[^a-z]+",
        ".*@.+",
        "a?b*c+",
        "(?P<x>[A-Z])\\.",
        "[\\w.-]{1,9}",
    ],
)
def test_texts_are_made_to_match_a_pattern(pattern: str) -> None:
    """Whatever is made matches as RE2 sees it; syntax that is not known is refused, not guessed."""
    for seed in range(20):
        text = matching_text(pattern, random.Random(seed))
        assert re2.fullmatch(pattern, text)
    for unknown in ("(?i)a", "[[:alpha:]]", "\\pL", "a{2", "(a", "a)", "*a"):
        with pytest.raises(UnknownSyntaxError):
            matching_text(unknown, random.Random(1))


def test_every_allow_of_our_own_rules_can_be_satisfied() -> None:
    """For each allow of the two root files and each method but `list`, some request is made that it allows."""
    for name in ("firestore.rules", "storage.rules"):
        ruleset = compile_ruleset((ROOT / name).read_bytes(), file_name=name)
        wanted = {(plan.block.full_path, m) for _, plan in ruleset.allow_plans() for m in plan.methods - {"list"}}
        goals = list(goals_of(ruleset))
        assert {(goal.plan.block.full_path, goal.method) for goal in goals} == wanted
        assert wanted
        for goal in goals:
            made = list(satisfying_requests(ruleset, goal, tries=12, chance=random.Random(0)))
            assert made, f"{goal.method} of {goal.plan.block.full_path}"
            for request, lookup in made:
                assert request.method == goal.method
                assert ruleset.decide(request, lookup).allowed


def test_only_what_differs_is_looked_into() -> None:
    """Where rulesets share most of their allows, all requests that satisfy one go to the others: a needle is found."""
    many = "".join(f"match /c{n}/{{id}} {{ allow read, write: if request.auth.uid == id; }}" for n in range(100))
    old, new = (
        compile_ruleset(FIRESTORE(many + STRICT.format(**{**TIGHT, "title": title})), file_name="x")
        for title in (40, 41)
    )
    assert {change.method for change in compare(old, new, [], generated=REQUESTS).changes} == {"create", "update"}


def test_changed_paths_and_methods_are_found() -> None:
    """A new match block, a wildcard that reaches deeper, and a method added or taken away."""
    base = "match /docs/{id} { allow get; }"
    for changed in (
        base + "match /other/{id} { allow get; }",
        "match /docs/{rest=**} { allow get; }",
        "match /docs/{id} { allow read; }",
        "match /docs/{id} { allow delete; }",
    ):
        comparison = compare(
            compile_ruleset(FIRESTORE(base), file_name="old"),
            compile_ruleset(FIRESTORE(changed), file_name="new"),
            [],
            generated=REQUESTS,
        )
        assert comparison.changes, changed


def test_storage_bounds_are_found() -> None:
    """Sizes and content types of objects are tried on both sides, too."""
    rules = "match /a/{{name}} {{ allow create: if request.resource.size <= {} && {}; }}".format
    image = "request.resource.contentType.matches('image/.*')"
    old = compile_ruleset(STORAGE(rules(5000, image)), file_name="old")
    for changed in (rules(5001, image), rules(5000, "true")):
        assert compare(old, compile_ruleset(STORAGE(changed), file_name="new"), [], generated=REQUESTS).changes


def test_equal_rules_have_no_difference_however_written() -> None:
    """Order, parentheses and functions that change nothing are no change."""
    old = guarded("request.auth != null && resource.data.level > 3")
    new = guarded("(resource.data.level > 3) && !(request.auth == null)")
    assert compare(old, new, [], generated=REQUESTS).changes == ()


def test_the_same_seed_makes_the_same_requests() -> None:
    """A difference that was found once is found again."""
    rules = [guarded("resource.data.level > 3")]
    one, again, other = (
        [made.request for made in generated_requests(rules, count=50, seed=seed)] for seed in (1, 1, 2)
    )
    assert one == again != other
