"""The one gate: who is never asked about, what is closed, and that several requests stand or fall together."""

from __future__ import annotations

import logging
from typing import NoReturn

import pytest

from afterimage_emulator.front.callers import ADMIN, NOBODY, Caller
from afterimage_emulator.front.rules_gate import Closed, Question, Rules, RulesGate
from afterimage_emulator.rules_language import FirestoreRequest, Timestamp, compile_ruleset
from afterimage_emulator.status import Code, StatusError

RULES = Rules(
    compile_ruleset(
        "rules_version = '2'; service cloud.firestore { match /databases/{d}/documents {"
        " match /open/{id} { allow read; } } }",
        file_name="firestore.rules",
    )
)
PLACES: dict[str, Rules | Closed] = {"guarded": RULES, "closed": Closed("nobody gets in")}


def about_paths(caller: Caller, place: str, *paths: str) -> Question:
    return Question(
        [FirestoreRequest(method="get", path=path, time=Timestamp(0), auth={"uid": caller.uid}) for path in paths]
    )


def never(caller: Caller, place: str) -> NoReturn:
    raise AssertionError("there is nobody to answer this")


@pytest.fixture
def gate() -> RulesGate[str]:
    return RulesGate(lambda place: PLACES.get(place), log=logging.getLogger(__name__))


def test_nothing_is_asked_where_nobody_can_deny(gate: RulesGate[str]) -> None:
    """Admins everywhere, and everybody where no rules are: what a question costs to put together is not paid."""
    for caller, place in ((ADMIN, "guarded"), (ADMIN, "closed"), (NOBODY, "without rules")):
        gate.check(caller, place, never)
        gate.check_admin(caller, place, "This")
        assert gate.is_open_to(caller, place)


def test_a_closed_place_refuses_without_asking(gate: RulesGate[str]) -> None:
    """Rules that did not load guard nothing less than good ones: the refusal says why."""
    assert not gate.is_open_to(NOBODY, "closed")
    with pytest.raises(StatusError, match="nobody gets in") as refused:
        gate.check(NOBODY, "closed", never)
    assert refused.value.code is Code.PERMISSION_DENIED


def test_requests_of_one_question_stand_or_fall_together(gate: RulesGate[str]) -> None:
    """The first that is denied refuses all, wherever it stands among them."""
    gate.check(NOBODY, "guarded", about_paths, "open/a", "open/b")
    for paths in (("shut/a", "open/b"), ("open/a", "shut/b"), ("shut/a", "shut/b")):
        with pytest.raises(StatusError) as refused:
            gate.check(NOBODY, "guarded", about_paths, *paths)
        assert refused.value.code is Code.PERMISSION_DENIED
        assert refused.value.details == ()


def test_the_why_goes_to_those_who_ask(gate: RulesGate[str]) -> None:
    """The explanation comes beside the official text, which is the same for everybody."""
    with pytest.raises(StatusError) as refused:
        gate.check(Caller(uid="ann", wants_explanations=True), "guarded", about_paths, "shut/a")
    (why,) = refused.value.details
    assert b"shut/a" in why


def test_what_no_rule_can_allow_is_for_admins(gate: RulesGate[str]) -> None:
    """Rules are not even asked: the method is named in the refusal."""
    with pytest.raises(StatusError, match="`ListCollectionIds` is for admins only"):
        gate.check_admin(Caller(uid="ann"), "guarded", "ListCollectionIds")
