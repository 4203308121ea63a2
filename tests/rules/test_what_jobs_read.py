"""What jobs read: nobody but functions writes there, at any depth and with any claim."""

from __future__ import annotations

import pytest

from afterimage_emulator.rules_testing import RulesEnvironment, assert_allowed, assert_denied
from rules.law import Law

ROOTS = ("users", "usage", "mediaObjects", "operations", "_events", "_jobs")
GROUPS = ("objects", "buckets", "records", "days", "published", "repairs", "totals")


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_nobody_writes_beneath_the_roots_that_jobs_read(law: Law, root: str, depth: int) -> None:
    """Jobs trust a path: whatever is beneath one of these roots was written by functions, or by an operator's hand."""
    environment = RulesEnvironment(law.files[0].text)
    everybody = [
        environment.as_user("alice"),
        environment.as_user("alice", admin=True, editor=True),
        environment.as_nobody(),
    ]
    for group in GROUPS:
        path = f"{root}/alice" + f"/{group}/x" * depth
        environment.seed({path: {"a": 1}})
        for anybody in everybody:
            assert_denied(anybody.set(f"{path}-new", {"a": 1}))
            assert_denied(anybody.update(path, {"a": 2}))
            assert_denied(anybody.delete(path))


def test_players_do_write_collections_of_those_names(law: Law) -> None:
    """Which is why no job may ask for a collection of that name wherever it is."""
    alice = RulesEnvironment(law.files[0].text).as_user("alice")
    for group in GROUPS:
        assert_allowed(alice.set(f"players/alice/{group}/x", {"source": {"bucket": "b", "name": "n"}}))
        assert_allowed(alice.set(f"players/alice/users/bob/{group}/x", {}))


def test_nobody_but_a_worker_says_what_becomes_of_a_generation(law: Law) -> None:
    """The expiry trusts generations and their signs of life; an owner may delete a generation, which only ends it."""
    environment = RulesEnvironment(law.files[0].text)
    generation, beat = "generations/alice/files/f1", "generations/alice/files/f1/worker/beat"
    environment.seed({generation: {"status": "processing"}, beat: {"run": "r"}})
    for anybody in (environment.as_user("alice"), environment.as_user("alice", admin=True), environment.as_nobody()):
        for path in (generation, beat):
            assert_denied(anybody.update(path, {"status": "completed"}))
            assert_denied(anybody.set(f"{path}-new", {"files": []}))
        assert_denied(anybody.delete(beat))
        assert_denied(anybody.get(beat))
    assert_allowed(environment.as_user("alice").delete(generation))
