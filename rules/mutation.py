"""The mutation run: every small change to the rules must be noticed by some case, the likeliest cases asked first.

A case can notice a change only if it evaluates what was changed; so one traced run says whom to ask. What no case
notices must be explained in survivors.txt, one line each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afterimage_emulator.rules_language import Coverage, Ruleset
from afterimage_emulator.rules_language.syntax.syntax_tree import Expression, Match, walk
from afterimage_emulator.rules_testing import InProcessDriver, RuleCase
from afterimage_emulator.rules_testing.comparing.mutants import Mutant, mutants_of
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
    refused, passing = _cases_by_place(ruleset, cases)
    noticed: dict[int, int] = {}
    survivors: list[Survivor] = []
    total = 0
    for mutant in mutants_of(ruleset):
        total += 1
        driver = InProcessDriver(Ruleset(mutant.rules, source=ruleset.source))
        place = (mutant.line, mutant.column)
        known = sorted(noticed, key=lambda index: -noticed[index])
        order = dict.fromkeys([*refused.get(place, []), *passing.get(place, []), *known, *range(len(cases))])
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


_Place = tuple[int, int]
_ByPlace = dict[_Place, list[int]]


def _cases_by_place(ruleset: Ruleset, cases: Sequence[RuleCase]) -> tuple[_ByPlace, _ByPlace]:
    """By line and column: the cases that are refused there, which notice most, and those that pass through."""
    refused: _ByPlace = {}
    passing: _ByPlace = {}
    places = _places(ruleset)
    for index, case in enumerate(cases):
        coverage = Coverage(ruleset)
        ruleset.decide(case.request, case.lookup, coverage=coverage)
        for node, values in coverage.counts.items():
            is_refusal = any(value is False or (isinstance(value, tuple) and "error" in value[0]) for value in values)
            for place in places.get(node, ()):
                found = (refused if is_refusal else passing).setdefault(place, [])
                if not found or found[-1] != index:
                    found.append(index)
    return refused, passing


def _places(ruleset: Ruleset) -> dict[int, set[_Place]]:
    """By an expression's identity: where it stands, and for a whole condition where its allow statement stands."""
    found: dict[int, set[_Place]] = {}

    def note(root: Expression, *more: int) -> None:
        for node in walk(root):
            for start in (node.span.start, *(more if node is root else ())):
                position = ruleset.source.position(start)
                found.setdefault(id(node), set()).add((position.line, position.column))

    functions = list(ruleset.rules.functions)
    waiting: list[Match] = []
    for service in ruleset.rules.services:
        functions += service.functions
        waiting += service.matches
    while waiting:
        match = waiting.pop()
        waiting += match.matches
        functions += match.functions
        for allow in match.allows:
            if allow.condition is not None:
                note(allow.condition, allow.span.start)
    for function in functions:
        for part in (*(let.value for let in function.lets), function.result):
            note(part)
    return found


def _survivor(assembled: Assembled, mutant: Mutant) -> Survivor:
    line = assembled.text.split("\n")[mutant.line - 1].strip()
    return Survivor(place=assembled.origin(mutant.line), line=line, change=mutant.change)
