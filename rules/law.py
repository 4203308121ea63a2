"""The whole law at once: its areas read, checked, assembled and tested; nothing is written here but what passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage_emulator.rules_language import Coverage, Ruleset
from afterimage_emulator.rules_testing import CaseFile, InProcessDriver, RuleCase, run_cases
from rules.areas import SERVICES, AreaError, AreaVersion, case_problems, read_areas, read_cases
from rules.assembly import Assembled, assemble, overlap_problems, stray_problems
from rules.releases import History, chosen_versions, frozen_problems, read_history

RELEASES_FILE: Final = "releases.json"
UNCOVERED: Final = {"firestore": "No matching allow statements", "storage": "Permission denied."}
"""The `because` by which a case says that no rule is to cover its request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """What is to be in force: the versions chosen, and the two root files made of them."""

    history: History
    versions: tuple[AreaVersion, ...]
    files: tuple[Assembled, ...]
    rulesets: tuple[Ruleset, ...]
    case_files: Mapping[Path, CaseFile]

    def cases(self, service: str) -> list[RuleCase]:
        """The cases of the chosen versions of one service's areas."""
        paths = [path for version in self.versions if version.service == service for path in version.case_paths]
        return [case for path in paths for case in self.case_files[path].cases]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What running all cases came to."""

    cases: int
    failures: tuple[str, ...]
    coverage_percent: float
    uncovered: str


def read_law(root: Path, *, newest: bool = False, release: int | None = None) -> Law:
    """Reads and checks everything; raises `AreaError` with every problem, and then nothing is assembled."""
    history = read_history(root / RELEASES_FILE)
    areas = read_areas(root)
    versions = chosen_versions(areas, history, newest=newest)
    problems = frozen_problems(areas, history)
    if problems:
        raise AreaError(problems)
    files: list[Assembled] = []
    rulesets: list[Ruleset] = []
    for service in SERVICES:
        own = [version for version in versions if version.service == service]
        assembled = assemble(service, own, release=history.number if release is None else release)
        try:
            ruleset = assembled.compiled()
        except AreaError as error:
            problems += error.problems
            continue
        problems += stray_problems(assembled, ruleset) or overlap_problems(assembled, ruleset)
        files.append(assembled)
        rulesets.append(ruleset)
    case_files = read_cases(versions, problems)
    problems += case_problems(versions, case_files)
    if problems:
        raise AreaError(problems)
    law = Law(
        history=history,
        versions=tuple(versions),
        files=tuple(files),
        rulesets=tuple(rulesets),
        case_files=case_files,
    )
    strays = list(_cases_beside_the_point(law))
    if strays:
        raise AreaError(strays)
    return law


def prove(law: Law) -> Proof:
    """Runs every case of the chosen versions, and measures what they evaluate."""
    failures: list[str] = []
    uncovered: list[str] = []
    covered = total = count = 0
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        coverage = Coverage(ruleset)
        cases = law.cases(assembled.service)
        results = run_cases(cases, InProcessDriver(ruleset, coverage=coverage))
        count += len(cases)
        failures += [f"{result.case.title}: {result.problem}" for result in results if result.problem]
        entries = coverage.expressions()
        total += len(entries)
        covered += sum(1 for entry in entries if entry.count)
        uncovered.append(coverage.to_text())
    return Proof(
        cases=count,
        failures=tuple(failures),
        coverage_percent=100.0 * covered / total if total else 100.0,
        uncovered="\n".join(uncovered),
    )


def _cases_beside_the_point(law: Law) -> Iterator[str]:
    """Denials that no allow was asked for, unless the case says so: a misspelt path would be denied for ever."""
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        said = UNCOVERED[assembled.service]
        for case in law.cases(assembled.service):
            if case.is_allowed:
                continue
            decision = ruleset.decide(case.request, case.lookup)
            is_uncovered = not decision.allowed and not decision.reasons
            if is_uncovered and case.because != said:
                yield (
                    f"{case.file}:{case.line}: `{case.name}` tests nothing: no rule covers it; if that is the point, "
                    f"say `because: {said}`"
                )
            elif not is_uncovered and case.because == said:
                yield f"{case.file}:{case.line}: `{case.name}` is covered by a rule, and says `because: {said}`"


def out_of_date(law: Law, folder: Path) -> Sequence[str]:
    """Root files that are not what the areas say."""
    problems: list[str] = []
    for assembled in law.files:
        path = folder / assembled.file_name
        if not path.exists():
            problems.append(f"{path}:1: is not there; run `python -m rules assemble`")
        elif path.read_text(encoding="utf-8") != assembled.text:
            there, wanted = path.read_text(encoding="utf-8").split("\n"), assembled.text.split("\n")
            line = next((i for i, pair in enumerate(zip(there, wanted, strict=False), 1) if pair[0] != pair[1]), 1)
            problems.append(f"{path}:{line}: is not what rules/ says; run `python -m rules assemble`")
    return problems
