"""`diff` on rules alone: made-up requests reach both sides of each bound, field, claim and path that rules mention."""

from __future__ import annotations

import pytest

from afterimage_emulator.rules_language import Ruleset, compile_ruleset
from afterimage_emulator.rules_testing.comparison import compare
from afterimage_emulator.rules_testing.generated_requests import generated_requests

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
