"""A campaign that was deleted: its owners bring it back, and whoever was not in it does not get in by its id."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.rules_testing import RulesEnvironment, assert_allowed, assert_denied
from afterimage_emulator.rules_testing.environment import Actor
from rules.law import Law
from tests.thoroughness import examples

CAMPAIGN: dict[str, Any] = {"rev": 4, "ownerId": "alice", "members": ["alice", "bob"]}
OWNERS: dict[str, Any] = {"ownerId": "alice", "members": ["alice", "bob"]}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "settings/membership": {},
    "campaigns/c": CAMPAIGN,
    "campaignOwners/c": OWNERS,
    "scenes/s": {"campaignId": "c", "rev": 4},
    "scenes/bobs": {"campaignId": "c", "rev": 4, "ownerId": "bob"},
}
Write = tuple[str, str, Any]


@pytest.fixture
def environment(law: Law) -> RulesEnvironment:
    """Membership is on; alice owns a campaign that bob is a member of, and functions have noted so."""
    environment = RulesEnvironment(law.files[0].text)
    environment.seed(DOCUMENTS)
    return environment


def assert_outside(actor: Actor, scene: str = "scenes/s") -> None:
    """Neither reads, finds, changes, takes out, deletes nor adds."""
    assert_denied(actor.get(scene))
    assert_denied(actor.list("scenes", ("campaignId", "==", "c")))
    assert_denied(actor.update(scene, {"name": "Mine", "rev": 5}))
    assert_denied(actor.set(scene, {"rev": 5}))
    assert_denied(actor.delete(scene))
    assert_denied(actor.create("scenes/added", {"campaignId": "c", "rev": 0}))


STRANGERS_CAMPAIGNS: list[dict[str, Any]] = [
    {"rev": 0, "members": ["mallory"]},
    {"rev": 0, "ownerId": "mallory"},
    {"rev": 0, "ownerId": "mallory", "members": ["alice", "bob", "mallory"]},
    {"rev": 0},
    {"ownerId": "mallory"},
]


@pytest.mark.parametrize("campaign", STRANGERS_CAMPAIGNS)
@pytest.mark.parametrize("with_what", ["alone", "owners", "no owners", "scene", "taken out", "deleted"])
def test_a_stranger_does_not_come_in_by_the_id(
    environment: RulesEnvironment, campaign: dict[str, Any], with_what: str
) -> None:
    """Closed, owned, opened to everyone or as a session: no campaign of a stranger's takes the place of a deleted one,
    not even with something else in the same commit, before the campaign or behind it.
    """
    assert_allowed(environment.as_user("alice").delete("campaigns/c"))
    mallory = environment.as_user("mallory")
    more: dict[str, Write] = {
        "owners": ("set", "campaignOwners/c", {"ownerId": "mallory"}),
        "no owners": ("delete", "campaignOwners/c", None),
        "scene": ("update", "scenes/s", {"rev": 5}),
        "taken out": ("set", "scenes/s", {"rev": 5}),
        "deleted": ("delete", "scenes/s", None),
    }
    created: Write = ("create", "campaigns/c", campaign)
    others = [more[with_what]] if with_what in more else []
    for writes in ([created, *others], [*others, created]):
        assert not all(answer.allowed for answer in mallory.commit(writes))
        assert_outside(mallory)


def test_an_owner_brings_back_what_is_hers(environment: RulesEnvironment) -> None:
    """With one plain write, as clients of old do; then it is as it was, and she may let in whom she likes."""
    alice, bob = environment.as_user("alice"), environment.as_user("bob")
    assert_allowed(alice.delete("campaigns/c"))
    assert_outside(bob)
    assert_allowed(alice.create("campaigns/c", {**CAMPAIGN, "rev": 0}))
    assert_allowed(alice.get("scenes/s"), bob.get("scenes/s"))
    assert_allowed(bob.update("scenes/s", {"name": "Again", "rev": 5}))
    assert_outside(environment.as_user("mallory"))
    assert_allowed(alice.delete("campaigns/c"))
    assert_allowed(alice.create("campaigns/c", {"rev": 0, "ownerId": "alice", "members": ["alice"]}))
    assert_outside(bob)
    assert_allowed(bob.get("scenes/bobs"))


def test_an_owner_who_left_does_not_come_back(environment: RulesEnvironment) -> None:
    """Whoever owned it last decides: what is kept of an earlier owner lets nobody delete it, nor bring it back."""
    alice, bob = environment.as_user("alice"), environment.as_user("bob")
    assert_allowed(alice.update("campaigns/c", {"ownerId": "bob", "rev": 5}))
    assert_allowed(bob.update("campaigns/c", {"members": ["bob"], "rev": 6}))
    assert_denied(alice.delete("campaigns/c"))
    assert_denied(bob.delete("campaigns/c"))
    kept = {"ownerId": "bob", "members": ["bob"]}
    assert_allowed(*bob.commit([("set", "campaignOwners/c", kept), ("delete", "campaigns/c", None)]))
    assert_denied(alice.create("campaigns/c", {"rev": 0, "ownerId": "alice"}))
    assert_outside(alice)
    assert_allowed(bob.create("campaigns/c", {"rev": 0, "ownerId": "bob", "members": ["bob"]}))
    assert_allowed(bob.get("scenes/s"))
    assert_outside(alice)


def test_a_campaign_that_a_server_makes_anew_is_its_new_owners_at_once(environment: RulesEnvironment) -> None:
    """What is kept of the owners before lets none of them in; it only holds a deletion up, until it is brought up to
    date, by functions or with the deletion.
    """
    environment.seed({"campaigns/c": {"rev": 0, "ownerId": "bob", "members": ["bob"]}})
    alice, bob, mallory = (environment.as_user(name) for name in ("alice", "bob", "mallory"))
    for stranger in (alice, mallory):
        assert_outside(stranger)
        assert_denied(stranger.get("campaigns/c"))
        assert_denied(stranger.update("campaigns/c", {"members": ["alice", "mallory"], "rev": 1}))
        assert_denied(stranger.delete("campaigns/c"))
        assert_denied(stranger.set("campaignOwners/c", OWNERS))
    assert_allowed(bob.get("scenes/s"))
    assert_allowed(bob.update("campaigns/c", {"name": "Mine", "rev": 1}))
    assert_denied(bob.delete("campaigns/c"))
    kept = {"ownerId": "bob", "members": ["bob"]}
    assert_allowed(*bob.commit([("set", "campaignOwners/c", kept), ("delete", "campaigns/c", None)]))
    for stranger in (alice, mallory):
        assert_denied(stranger.create("campaigns/c", {"rev": 0, "ownerId": "alice", "members": ["alice"]}))
        assert_outside(stranger)


def test_a_server_that_deletes_what_it_made_anew_too_soon_leaves_the_owner_before(
    environment: RulesEnvironment,
) -> None:
    """No rule holds a server up: it waits until the new owners are kept, or writes them along. No stranger gains."""
    del environment.documents["campaigns/c"]
    mallory, bob, alice = (environment.as_user(name) for name in ("mallory", "bob", "alice"))
    for other in (mallory, bob):
        assert_denied(other.create("campaigns/c", {"rev": 0, "members": ["mallory", "bob"]}))
        assert_outside(other)
    assert_allowed(alice.create("campaigns/c", {"rev": 0, "ownerId": "alice"}))


def test_clients_that_were_offline_lose_nothing_of_their_own(environment: RulesEnvironment) -> None:
    """What they still hold of a deleted campaign does not bring it back; their own scenes they take out."""
    assert_allowed(environment.as_user("alice").delete("campaigns/c"))
    bob = environment.as_user("bob")
    assert_denied(bob.create("campaigns/c", {"rev": 0, "members": ["alice", "bob"]}))
    assert_denied(bob.update("scenes/bobs", {"name": "Late", "rev": 5}))
    assert_denied(bob.create("scenes/late", {"campaignId": "c", "rev": 0}))
    assert_allowed(bob.get("scenes/bobs"))
    assert_allowed(bob.set("scenes/bobs", {"rev": 5, "ownerId": "bob", "name": "Late"}))


def test_members_bring_back_what_nobody_owned(environment: RulesEnvironment) -> None:
    """Each of those who were in it when it was deleted, and nobody who had been taken out before."""
    environment.seed({"campaigns/c": {"rev": 4, "members": ["bob", "carol"]}})
    bob, carol = environment.as_user("bob"), environment.as_user("carol")
    kept = {"members": ["bob", "carol"]}
    assert_allowed(*bob.commit([("delete", "campaigns/c", None), ("set", "campaignOwners/c", kept)]))
    for actor in (environment.as_user("alice"), environment.as_user("mallory")):
        assert_denied(actor.create("campaigns/c", {"rev": 0}))
        assert_outside(actor)
    assert_allowed(carol.create("campaigns/c", {"rev": 0, "members": ["carol"]}))
    assert_allowed(carol.get("scenes/s"))


def test_without_membership_nothing_is_asked(environment: RulesEnvironment) -> None:
    """Clients of old create and delete campaigns as they always did, and nothing is looked up but the switch."""
    del environment.documents["settings/membership"]
    environment.seed({"campaigns/c": {"rev": 4, "ownerId": "alice"}})
    assert_allowed(environment.as_user("alice").delete("campaigns/c"))
    assert_allowed(environment.as_user("bob").create("campaigns/c", {"rev": 0}))
    assert_allowed(environment.as_user("bob").delete("campaigns/c"))


def test_nineteen_campaigns_come_in_one_commit(environment: RulesEnvironment) -> None:
    """Each asks for what is kept of its own id, and a commit may make twenty look-ups, one of them for the switch."""
    alice = environment.as_user("alice")
    writes: list[Write] = [("create", f"campaigns/n{n}", {"rev": 0}) for n in range(19)]
    assert_allowed(*alice.commit(writes))
    del environment.documents["settings/membership"]
    assert_allowed(*alice.commit([("create", f"campaigns/m{n}", {"rev": 0}) for n in range(500)]))


OURS: list[list[Write]] = [
    [("delete", "campaigns/c", None)],
    [("delete", "campaigns/c", None), ("set", "campaignOwners/c", OWNERS)],
    [("delete", "campaigns/c", None), ("set", "campaignOwners/c", {"ownerId": "bob", "members": ["bob"]})],
    [("create", "campaigns/c", {"rev": 0, "ownerId": "alice", "members": ["alice", "bob"]})],
    [("create", "campaigns/c", {"rev": 0, "ownerId": "bob", "members": ["bob"]})],
    [("create", "campaigns/c", {"rev": 0, "members": ["alice", "bob"]})],
    [("create", "scenes/added", {"campaignId": "c", "rev": 0})],
    [("delete", "scenes/bobs", None)],
    [("update", "campaigns/c", {"rev": 5, "ownerId": "bob"})],
    [("update", "campaigns/c", {"rev": 1, "members": ["alice", "bob"]})],
]
"""What alice and bob do to their campaign: whatever it is, they never open it, and never name a third."""
NAMES = st.sampled_from(
    [["mallory"], ["alice", "mallory"], ["alice", "bob", "mallory"], [], "mallory", {"mallory": True}]
)
DATA = st.fixed_dictionaries(
    {"rev": st.sampled_from([0, 1, 5])},
    optional={
        "ownerId": st.sampled_from(["mallory", "alice", "bob", None]),
        "members": NAMES,
        "campaignId": st.sampled_from(["c", "d", "e"]),
    },
)
KEPT = st.fixed_dictionaries({}, optional={"ownerId": st.sampled_from(["mallory", "alice"]), "members": NAMES})
THEIRS: st.SearchStrategy[Write] = st.one_of(
    st.tuples(st.sampled_from(["create", "set", "update"]), st.sampled_from(["campaigns/c", "campaigns/d"]), DATA),
    st.tuples(st.sampled_from(["set", "update"]), st.sampled_from(["scenes/s", "scenes/bobs", "scenes/theirs"]), DATA),
    st.tuples(st.just("set"), st.sampled_from(["campaignOwners/c", "campaignOwners/d", "settings/membership"]), KEPT),
    st.tuples(
        st.just("delete"),
        st.sampled_from(["campaigns/c", "campaigns/d", "campaignOwners/c", "scenes/s", "settings/membership"]),
        st.none(),
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["alice", "bob"]), st.sampled_from(OURS)),
        st.tuples(st.just("mallory"), st.lists(THEIRS, min_size=1, max_size=3)),
    ),
    max_size=12,
)


compiled_once = cache(RulesEnvironment)


@settings(max_examples=examples(300), deadline=None)
@given(steps=STEPS)
def test_however_it_goes_on_a_stranger_stays_outside(law: Law, steps: list[tuple[str, list[Write]]]) -> None:
    """Whatever its own people do with a campaign, and a stranger commits in between: its scenes stay theirs."""
    environment = compiled_once(law.files[0].text)
    environment.clear()
    environment.seed(DOCUMENTS)
    mallory = environment.as_user("mallory")
    for name, writes in steps:
        environment.as_user(name).commit(writes)
        assert_denied(mallory.get("scenes/s"))
        assert_denied(mallory.list("scenes", ("campaignId", "==", "c")))
        assert environment.documents["scenes/s"] == {"campaignId": "c", "rev": 4}
