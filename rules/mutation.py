"""The mutation run: every small change to the rules must be noticed by some case, the likeliest cases asked first.

A case can notice a change only if it evaluates what was changed; so one traced run says whom to ask. What no case
notices must be explained in survivors.txt, one line each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.rules_language import Coverage, Ruleset
from emulator.rules_testing import InProcessDriver, RuleCase
from emulator.rules_testing.mutants import Mutant, mutants_of
from rules.areas import AreaError
from rules.assembly import Assembled

SURVIVORS_FILE = "survivors.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Survivor:
    """A change that no case notices: the area's line, what it says there, and the change."""

    place: str
    line: str
    change: str

    @property
    def key(self) -> str:
        """What survivors.txt names it by; it does not depend on line numbers."""
        return f"{self.line} => {self.change}"


@dataclass(frozen=True, kw_only=True, slots=True)
class MutationRun:
    """How many mutants there were, and which survived."""

    total: int
    survivors: tuple[Survivor, ...]


def run_mutants(assembled: Assembled, ruleset: Ruleset, cases: Sequence[RuleCase]) -> MutationRun:
    """Asks of every mutant the cases that evaluate what it changes, then those that noticed others, then the rest."""
    deniers, others = _cases_by_place(ruleset, cases)
    noticed: dict[int, int] = {}
    survivors: list[Survivor] = []
    total = 0
    for mutant in mutants_of(ruleset):
        total += 1
        driver = InProcessDriver(Ruleset(mutant.rules, source=ruleset.source))
        place = (mutant.line, mutant.column)
        known = sorted(noticed, key=lambda index: -noticed[index])
        order = dict.fromkeys([*deniers.get(place, []), *others.get(place, []), *known, *range(len(cases))])
        killer = next((index for index in order if not driver.passes(cases[index])), None)
        if killer is None:
            survivors.append(_survivor(assembled, mutant))
        else:
            noticed[killer] = noticed.get(killer, 0) + 1
    return MutationRun(total=total, survivors=tuple(survivors))


def read_survivors(path: Path) -> dict[str, str]:
    """The explained survivors: `line => change`, and why nothing can or need notice it."""
    found: dict[str, str] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        key, separator, why = text.partition(" :: ")
        if not separator or not why.strip():
            raise AreaError([f"{path}:{number}: no explanation; write `line => change :: why`"])
        found[key.strip()] = why.strip()
    return found


class _Touched(Coverage):
    """Remembers where the expressions stand that the last decision evaluated: to true or a value, and to neither."""

    def __init__(self, ruleset: Ruleset) -> None:
        super().__init__(ruleset)
        self.held: set[int] = set()
        self.refused: set[int] = set()

    def record(self, statement: Any, trace: Any) -> None:
        self.held.add(statement.span.start)
        if trace is not None:
            for node in trace.walk():
                is_refusal = node.error is not None or node.value is False
                (self.refused if is_refusal else self.held).add(node.expression.span.start)


_ByPlace = dict[tuple[int, int], list[int]]


def _cases_by_place(ruleset: Ruleset, cases: Sequence[RuleCase]) -> tuple[_ByPlace, _ByPlace]:
    """By line and column: the cases that are refused there, which notice most, and those that pass through."""
    deniers: _ByPlace = {}
    others: _ByPlace = {}
    places: dict[int, tuple[int, int]] = {}
    touched = _Touched(ruleset)
    for index, case in enumerate(cases):
        touched.held.clear()
        touched.refused.clear()
        ruleset.decide(case.request, case.lookup, coverage=touched)
        for found, starts in ((deniers, touched.refused), (others, touched.held - touched.refused)):
            for start in starts:
                if start not in places:
                    position = ruleset.source.position(start)
                    places[start] = (position.line, position.column)
                found.setdefault(places[start], []).append(index)
    return deniers, others


def _survivor(assembled: Assembled, mutant: Mutant) -> Survivor:
    line = assembled.text.split("\n")[mutant.line - 1].strip()
    return Survivor(place=assembled.origin(mutant.line), line=line, change=mutant.change)
