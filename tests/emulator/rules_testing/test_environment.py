"""Rules tests in Python: an environment to seed, actors to act, and assertions that explain themselves."""

from __future__ import annotations

import pytest

from afterimage_emulator.rules_language import RulesetRejected
from afterimage_emulator.rules_testing import RulesEnvironment, assert_allowed, assert_denied
from afterimage_emulator.rules_testing.environment import DELETED, SERVER_TIME
from tests.emulator.rules_testing.notes_rules import RULES


def test_actors_act_under_the_rules() -> None:
    """Users with claims and nobody get, list, create, update and delete; the rules say who may."""
    environment = RulesEnvironment(RULES)
    environment.seed({"notes/n1": {"owner": "alice", "text": "hi"}})
    alice, root = environment.as_user("alice"), environment.as_user("root", admin=True)
    assert_allowed(alice.get("notes/n1"), alice.list("notes", ("owner", "==", "alice")))
    assert_allowed(alice.create("notes/n2", {"owner": "alice", "text": "x"}), root.delete("notes/n2"))
    assert_denied(alice.list("notes"), reason="Property owner is undefined on object.")
    assert_denied(environment.as_nobody().get("notes/n1"), root.get("notes/n1"), reason="false for 'get'")
    assert_denied(alice.delete("notes/n1"), reason="Property admin is undefined on object.")


def test_allowed_writes_take_effect_and_denied_ones_do_not() -> None:
    """What follows sees allowed writes only."""
    environment = RulesEnvironment(RULES, documents={"notes/n1": {"owner": "alice", "text": "hi"}})
    alice = environment.as_user("alice")
    assert_allowed(alice.update("notes/n1", {"text": "ho"}))
    assert_denied(alice.update("notes/n1", {"owner": "bob"}))
    assert environment.documents == {"notes/n1": {"owner": "alice", "text": "ho"}}
    assert_allowed(environment.as_user("r", admin=True).delete("notes/n1"))
    assert environment.documents == {}


def test_a_commit_is_all_or_nothing_and_sees_itself() -> None:
    """getAfter sees every write of a commit; one denial stops them all."""
    at = "/databases/$(database)/documents"
    environment = RulesEnvironment(
        "service cloud.firestore { match /databases/{database}/documents {"
        f" match /posts/{{id}} {{ allow create: if getAfter({at}/counts/$(id)).data.n == 1"
        f" && !exists({at}/counts/$(id)); }}"
        " match /counts/{id} { allow write; } } }"
    )
    user = environment.as_user("u")
    assert_denied(user.create("posts/p", {}))
    refused = user.commit([("create", "posts/p", {}), ("create", "counts/p", {"n": 2})])
    assert [decision.allowed for decision in refused] == [False, True]
    assert environment.documents == {}
    assert_allowed(*user.commit([("create", "posts/p", {}), ("create", "counts/p", {"n": 1})]))
    assert set(environment.documents) == {"posts/p", "counts/p"}


def test_server_times_and_deleted_fields() -> None:
    """`SERVER_TIME` is the time of the request, `DELETED` takes a field away, `set` replaces."""
    environment = RulesEnvironment(
        "service cloud.firestore { match /databases/{d}/documents/a/{id} {"
        " allow write: if request.resource.data.get('at', request.time) == request.time; } }"
    )
    user = environment.as_user("u")
    assert_allowed(user.set("a/b", {"at": SERVER_TIME, "x": 1}), user.update("a/b", {"x": DELETED}))
    assert environment.documents["a/b"] == {"at": environment.now}
    assert_allowed(user.set("a/b", {"y": 1}))
    assert environment.documents["a/b"] == {"y": 1}


def test_failed_assertions_say_why() -> None:
    """The message of a failed assertion has the explanation."""
    environment = RulesEnvironment(RULES, documents={"notes/n1": {"owner": "alice"}})
    with pytest.raises(AssertionError, match=r"(?s)the rules deny it.*resource.data.owner is 'alice'"):
        assert_allowed(environment.as_user("bob").get("notes/n1"))
    with pytest.raises(AssertionError, match=r"(?s)the rules allow it.*by uid 'alice'"):
        assert_denied(environment.as_user("alice").get("notes/n1"))
    with pytest.raises(AssertionError, match="because of `Null`, but the reason was `"):
        assert_denied(environment.as_user("bob").get("notes/n1"), reason="Null")


def test_rules_that_do_not_compile_raise() -> None:
    """An environment without working rules would deny everything and prove nothing."""
    with pytest.raises(RulesetRejected):
        RulesEnvironment("nonsense")
