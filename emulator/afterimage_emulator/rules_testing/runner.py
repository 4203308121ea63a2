"""Runs cases against rules through a driver, and says of each whether the rules gave the expected verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from afterimage_emulator.rules_language import Coverage, Decision, Ruleset
from afterimage_emulator.rules_testing.cases import RuleCase


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the rules said: allowed or not, the denial's text, and, where it is at hand, why."""

    is_allowed: bool
    message: str = ""
    reasons: tuple[str, ...] = ()
    explanation: str = ""


class Driver(Protocol):
    """Puts a case before the rules: in process, or over the wire to a running suite."""

    def decide(self, case: RuleCase) -> Verdict: ...


class InProcessDriver:
    """Asks the engine directly."""

    def __init__(self, ruleset: Ruleset, *, coverage: Coverage | None = None) -> None:
        self._ruleset = ruleset
        self._coverage = coverage

    def decision(self, case: RuleCase) -> Decision:
        return self._ruleset.decide(case.request, case.lookup, coverage=self._coverage)

    def decide(self, case: RuleCase) -> Verdict:
        decision = self.decision(case)
        return Verdict(
            is_allowed=decision.allowed,
            message=decision.denial_message,
            reasons=decision.reasons,
            explanation=str(decision.explain()),
        )

    def passes(self, case: RuleCase) -> bool:
        """Whether a case gets its expected verdict, without the cost of explaining it."""
        decision = self.decision(case)
        if decision.allowed != case.is_allowed:
            return False
        return case.because is None or _gives(case.because, decision.denial_message, decision.reasons)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseResult:
    """A case, its verdict, and what is wrong with it, if anything."""

    case: RuleCase
    verdict: Verdict
    problem: str | None

    @property
    def passed(self) -> bool:
        return self.problem is None


def run_cases(cases: Iterable[RuleCase], driver: Driver) -> list[CaseResult]:
    """Every case's result, in order."""
    return [judge(case, driver.decide(case)) for case in cases]


def judge(case: RuleCase, verdict: Verdict) -> CaseResult:
    problem: str | None = None
    if verdict.is_allowed != case.is_allowed:
        wanted, got = _word(case.is_allowed), _word(verdict.is_allowed)
        problem = f"expected {wanted}, but it was {got}"
    elif case.because is not None and not _gives(case.because, verdict.message, verdict.reasons):
        problem = f"expected to be denied because of `{case.because}`, but the reason was `{verdict.message.strip()}`"
    return CaseResult(case=case, verdict=verdict, problem=problem)


def _gives(because: str, message: str, reasons: tuple[str, ...]) -> bool:
    return because in message or any(because in reason for reason in reasons)


def _word(is_allowed: bool) -> str:
    return "allowed" if is_allowed else "denied"
