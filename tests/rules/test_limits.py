"""Limits: the largest texts, and how little of what the platform grants a write uses."""

from __future__ import annotations

from typing import Any, Final

import pytest

from afterimage_emulator.rules_language import Coverage
from afterimage_emulator.rules_testing import RulesEnvironment, assert_allowed, assert_denied
from afterimage_emulator.rules_testing.environment import SERVER_TIME, Actor
from rules.law import Law

# The platform evaluates 1,000 expressions for one request.
MOST_EXPRESSIONS: Final = 600
MOST_LOOKUPS: Final = 3
DIALOGUE: Final[dict[str, Any]] = {"interaction_id": "i", "text": "Hello.", "generated_at": SERVER_TIME, "model": "m"}


@pytest.fixture
def environment(law: Law) -> RulesEnvironment:
    return RulesEnvironment(law.files[0].text)


@pytest.mark.parametrize(
    ("path", "field", "most"),
    [("ai_outputs/alice/dialogues/c_i", "text", 900_000), ("ai_outputs/alice/images/c_portrait", "prompt", 100_000)],
)
def test_long_texts_end_where_documents_must(environment: RulesEnvironment, path: str, field: str, most: int) -> None:
    """A document stays under 1,000,000 bytes: measured in bytes, not in letters."""
    alice = environment.as_user("alice")
    document: dict[str, Any] = {"generated_at": SERVER_TIME, "model": "m"}
    if "dialogues" in path:
        document |= {"card_id": "c", "interaction_id": "i"}
    assert_allowed(alice.set(path, {**document, field: "x" * most}))
    assert_denied(alice.set(path, {**document, field: "x" * (most + 1)}))
    assert_denied(alice.set(path, {**document, field: "é" * (most // 2 + 1)}))


def test_a_batch_of_500_outputs_passes(environment: RulesEnvironment) -> None:
    """As many as one commit may hold, and not one look-up among them."""
    alice = environment.as_user("alice")
    writes = [("set", f"ai_outputs/alice/dialogues/c{n}_i", {"card_id": f"c{n}", **DIALOGUE}) for n in range(500)]
    assert_allowed(*alice.commit(writes))


@pytest.mark.parametrize("with_membership", [False, True])
def test_a_batch_of_500_scenes_passes(environment: RulesEnvironment, with_membership: bool) -> None:
    """One campaign's content goes in one commit: its look-ups are the same few, and a batch may make twenty."""
    alice = environment.as_user("alice")
    campaign: dict[str, Any] = {"rev": 0}
    if with_membership:
        environment.seed({"settings/membership": {}})
        campaign["members"] = ["alice"]
    scenes = [("create", f"scenes/s{n}", {"campaignId": "c", "rev": 0}) for n in range(499)]
    assert_allowed(*alice.commit([("create", "campaigns/c", campaign), *scenes]))
    moved = [("update", f"scenes/s{n}", {"name": "Two", "rev": 1}) for n in range(499)]
    assert_allowed(*alice.commit(moved))


def test_one_bad_write_spoils_its_batch(environment: RulesEnvironment) -> None:
    """Nothing of a commit is stored if one of its writes is refused, wherever it hides among the good ones."""
    alice: Actor = environment.as_user("alice")
    good = [("set", f"ai_outputs/alice/dialogues/c{n}_i", {"card_id": f"c{n}", **DIALOGUE}) for n in range(20)]
    for bad in (
        ("set", "ai_outputs/bob/dialogues/c_i", {"card_id": "c", **DIALOGUE}),
        ("set", "usage/alice", {"total_cost_usd": 0}),
        ("set", "users/alice/objects/o", {"status": "ready"}),
        ("delete", "usage/alice/records/r", None),
    ):
        decisions = alice.commit([*good[:10], bad, *good[10:]])
        assert [decision.allowed for decision in decisions].count(False) == 1
        assert not environment.documents


def test_every_request_costs_few_expressions(law: Law) -> None:
    """Well under the platform's thousand, even for an image that uses every field there is."""
    worst = ("", 0)
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        for case in law.cases(assembled.service):
            coverage = Coverage(ruleset)
            ruleset.decide(case.request, case.lookup, coverage=coverage)
            evaluated = sum(sum(values.values()) for values in coverage.counts.values())
            worst = max(worst, (case.title, evaluated), key=lambda found: found[1])
    assert 50 < worst[1] <= MOST_EXPRESSIONS, f"{worst[0]} evaluates {worst[1]} expressions"


def test_every_request_makes_few_look_ups(law: Law) -> None:
    """Each look-up is a billed read, and a batch may make twenty in all."""
    for case in law.cases("firestore"):
        lookup = _Counted(case)
        law.rulesets[0].decide(case.request, lookup)
        assert len(lookup.asked) <= MOST_LOOKUPS, f"{case.title} looks up {sorted(lookup.asked)}"


class _Counted:
    """A case's documents, and which of them were asked for."""

    def __init__(self, case: Any) -> None:
        self._lookup = case.lookup
        self.asked: set[tuple[str, bool]] = set()

    def get(self, path: str, *, database: str) -> Any:
        self.asked.add((path, False))
        return self._lookup.get(path, database=database)

    def get_after(self, path: str, *, database: str) -> Any:
        self.asked.add((path, True))
        return self._lookup.get_after(path, database=database)
