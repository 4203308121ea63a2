"""The law keeps its promises: every case passes, every expression is evaluated, every change is noticed."""

from __future__ import annotations

from afterimage_emulator.rules_language import Ruleset
from afterimage_emulator.rules_language.syntax.syntax_tree import AllowStatement, Match
from afterimage_emulator.rules_testing import InProcessDriver
from rules.areas import SERVICES
from rules.law import Law, out_of_date, prove
from rules.mutation import SURVIVORS_FILE, read_survivors, run_mutants
from tests.rules.conftest import ROOT


def test_every_case_passes_and_every_expression_is_evaluated(law: Law) -> None:
    """What the areas promise in their cases is what the assembled rules decide, and no rule stands untested."""
    proof = prove(law)
    assert not proof.failures, "\n".join(proof.failures)
    assert proof.coverage_percent == 100.0, proof.uncovered
    assert proof.cases >= 1000, "the cases were not found"


def test_every_allow_grants_in_one_case_and_refuses_in_another(law: Law) -> None:
    """For each method of each allow statement some case is allowed by it, and some other is asked of it in vain."""
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        wanted = {
            (ruleset.source.position(allow.span.start).line, method)
            for allow in _allows(ruleset.rules.services[0].matches)
            for method in _methods(allow)
        }
        granted: set[tuple[int, str]] = set()
        refused: set[tuple[int, str]] = set()
        driver = InProcessDriver(ruleset)
        for case in law.cases(assembled.service):
            decision = driver.decision(case)
            method = case.request.method
            if decision.granted_by is not None:
                granted.add((decision.granted_by.line, method))
            else:
                refused.update((attempt.line, method) for attempt in decision.explain().tried)
        for found, verb in ((granted, "granted"), (refused, "refused")):
            missing = sorted(wanted - found)
            assert not missing, f"{assembled.origin(missing[0][0])}: `{missing[0][1]}` is never {verb}"


def test_no_change_to_the_rules_goes_unnoticed(law: Law) -> None:
    """Each small change to a rule makes some case fail, or survivors.txt says in a line why none can."""
    explained = read_survivors(ROOT / "rules" / SURVIVORS_FILE)
    met: set[str] = set()
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        run = run_mutants(assembled, ruleset, law.cases(assembled.service))
        assert run.total > 100
        for survivor in run.survivors:
            assert survivor.key in explained, f"{survivor.place}: no case notices: {survivor.key}"
            met.add(survivor.key)
    assert met == set(explained), f"explained, but noticed: {sorted(set(explained) - met)}"


def test_the_root_files_are_what_the_areas_say(law: Law) -> None:
    """firestore.rules and storage.rules are assembled, never edited: the Firebase CLI deploys what was tested."""
    assert not out_of_date(law, ROOT)
    assert {assembled.service for assembled in law.files} == set(SERVICES)


def _allows(matches: tuple[Match, ...]) -> list[AllowStatement]:
    return [allow for match in matches for allow in (*match.allows, *_allows(match.matches))]


def _methods(allow: AllowStatement) -> list[str]:
    groups = {"read": ["get", "list"], "write": ["create", "update", "delete"]}
    return [method for named in allow.methods for method in groups.get(named, [named])]


def _line(ruleset: Ruleset, statement: AllowStatement) -> int:
    return ruleset.source.position(statement.span.start).line
