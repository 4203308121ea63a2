"""The command line of the law: `afterimage-emulator rules check|test|coverage|explain|mutate|diff`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.rules_language import Coverage, Issue, Ruleset, RulesetRejected, compile_ruleset
from afterimage_emulator.rules_language.reporting.coverage_page import CoveredFile, LineNote, coverage_page
from afterimage_emulator.rules_testing.cases import CaseFileError, RuleCase, read_case_file
from afterimage_emulator.rules_testing.comparing.comparison import GENERATED_REQUESTS, compare
from afterimage_emulator.rules_testing.comparing.mutants import mutate
from afterimage_emulator.rules_testing.drivers.storage_wire_driver import StorageWireDriver
from afterimage_emulator.rules_testing.drivers.wire_connection import NotOverTheWireError
from afterimage_emulator.rules_testing.drivers.wire_driver import WireDriver
from afterimage_emulator.rules_testing.runner import CaseResult, Driver, InProcessDriver, run_cases

DESCRIPTION: Final = """\
Checks, tests, explains, measures and compares security rules.

Start with a file of cases beside your rules, say cases.yaml:

    rules: firestore.rules
    users:
      root: {admin: true}                  # the claims of a user; others need no line here
    documents:
      notes/n1: {owner: alice, text: hi}   # what is stored
    cases:
      - {as: alice, get: notes/n1, expect: allowed}
      - {as: [bob, nobody], get: notes/n1, expect: denied}
      - {as: alice, update: notes/n1, change: {text: ho, at: {$now: true}}, expect: allowed}
      - {as: alice, list: notes, where: [[owner, ==, alice]], expect: allowed}

Then, step by step:

  1. rules check firestore.rules                  every problem of the text, with its place
  2. rules test cases.yaml                        the verdict of every case; what failed, and why
  3. rules explain cases.yaml --only 'get notes'  why each case is decided as it is
  4. rules coverage cases.yaml --html page.html   what no case evaluates; --minimum 90 and --lcov FILE for CI
  5. rules mutate cases.yaml --minimum 80         small changes to the rules that no case notices
  6. rules diff old.rules new.rules cases.yaml    every verdict that changes, over cases and made-up requests

`change` names fields as the SDKs' updates do (`a.b` is inside the map `a`); {$now: true} is the server's time.
All fields of a case file: the top of afterimage_emulator/rules_testing/cases.py, and docs/rules-language.md.

Exit code 0: all is well; 1: something failed, is below its minimum, or differs; 2: a file cannot be used."""

HTML_HELP: Final = {
    "coverage": "write a page: the rules with counts, coloured, values on hover",
    "mutate": "write that page with a link to each change that no case notices",
}
SUCCESS, FAILURE, UNUSABLE = 0, 1, 2
DEFAULT_RULES: Final = ("firestore.rules", "storage.rules")


class UnusableError(Exception):
    """The command cannot do its work with these files or options; the message says why."""


def rules_main(arguments: list[str]) -> int:
    options = rules_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except (UnusableError, CaseFileError, NotOverTheWireError, RulesetRejected) as error:
        sys.stderr.write(f"{error}\n")
    except ConnectionError as error:
        sys.stderr.write(f"`{options.wire}` does not answer: {error}\n")
    except OSError as error:
        sys.stderr.write(f"`{error.filename}` cannot be read: {error.strerror}\n")
    except UnicodeDecodeError as error:
        sys.stderr.write(f"a file is not UTF-8: {error}\n")
    return UNUSABLE


def rules_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="afterimage-emulator rules", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    checking = commands.add_parser("check", help="report every problem of rules files")
    checking.add_argument("rules", nargs="*", type=Path, metavar="RULES", help="(default: those beside you)")
    checking.add_argument("--strict", action="store_true", help="warnings fail too")
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(run=_check)
    for name, run, text in (
        ("test", _test, "run cases"),
        ("coverage", _coverage, "run cases and report what they evaluate"),
        ("explain", _explain, "say why each case is decided as it is"),
        ("mutate", _mutate, "change the rules in small ways and report what no case notices"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("cases", nargs="+", type=Path, metavar="CASES", help="case files, YAML or JSON")
        command.add_argument("--rules", type=Path, help="these rules instead of those the case files name")
        command.add_argument("--json", action="store_true", help="for programs")
        command.set_defaults(run=run)
        if name == "test":
            command.add_argument("--verbose", action="store_true", help="show the cases that pass, too")
            command.add_argument("--wire", metavar="HOST:PORT", help="ask a running service, which loads the rules")
        if name == "coverage":
            command.add_argument("--lcov", type=Path, metavar="FILE", help="write an LCOV record")
            command.add_argument("--minimum-branches", type=float, metavar="PERCENT", default=0.0)
        if name in ("coverage", "mutate"):
            command.add_argument("--html", type=Path, metavar="FILE", help=HTML_HELP[name])
            command.add_argument("--minimum", type=float, metavar="PERCENT", default=0.0, help="fail below this")
        if name == "explain":
            command.add_argument("--only", metavar="TEXT", help="cases whose title holds this text")
    differing = commands.add_parser("diff", help="report every verdict that new rules change")
    differing.add_argument("old", type=Path)
    differing.add_argument("new", type=Path)
    differing.add_argument("cases", nargs="*", type=Path, metavar="CASES")
    differing.add_argument("--generated", type=int, metavar="COUNT", default=GENERATED_REQUESTS)
    differing.add_argument("--seed", type=int, default=0, help="makes up other requests")
    differing.add_argument("--json", action="store_true")
    differing.set_defaults(run=_diff)
    return parser


# -- reading


def _ruleset(path: Path) -> Ruleset:
    return compile_ruleset(path.read_bytes(), file_name=str(path))


def _cases_by_rules(options: argparse.Namespace) -> list[tuple[Ruleset, list[RuleCase]]]:
    """The cases of all files, by the rules they are for."""
    grouped: dict[Path, list[RuleCase]] = {}
    for path in options.cases:
        found = read_case_file(path)
        rules = options.rules or found.rules
        if rules is None:
            raise UnusableError(f"{path}: no `rules` in the file and no --rules; name the rules the cases are for")
        grouped.setdefault(rules, []).extend(found.cases)
    if not any(grouped.values()):
        raise UnusableError("the case files hold no case; a run without any proves nothing")
    return [(_ruleset(rules), cases) for rules, cases in grouped.items()]


def _write(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


def _write_json(content: object) -> None:
    _write(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True))


# -- commands


def _check(options: argparse.Namespace) -> int:
    paths = options.rules or [Path(name) for name in DEFAULT_RULES if Path(name).exists()]
    if not paths:
        raise UnusableError(f"no rules file given, and none of {', '.join(DEFAULT_RULES)} is here")
    issues: list[Issue] = []
    for path in paths:
        try:
            issues += _ruleset(path).issues
        except RulesetRejected as rejected:
            issues += rejected.issues
    errors = [issue for issue in issues if issue.severity == "ERROR"]
    if options.json:
        _write_json({"issues": [issue.to_json() for issue in issues]})
    else:
        for issue in issues:
            _write(issue.render())
        _write(f"{len(errors)} errors, {len(issues) - len(errors)} warnings in {len(paths)} files")
    return FAILURE if errors or (options.strict and issues) else SUCCESS


def _test(options: argparse.Namespace) -> int:
    results = [
        result for rules, cases in _cases_by_rules(options) for result in run_cases(cases, _driver(options.wire, rules))
    ]
    failed = [result for result in results if not result.passed]
    if options.json:
        _write_json({"passed": len(results) - len(failed), "failed": len(failed), "cases": list(map(_json, results))})
    else:
        for result in results:
            if not result.passed:
                _write(f"FAILED {result.case.title}: {result.problem}")
                _write(_indented(result.verdict.explanation))
            elif options.verbose:
                _write(f"passed {result.case.title}")
        _write(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return FAILURE if failed else SUCCESS


def _driver(address: str | None, rules: Ruleset) -> Driver:
    """The engine itself, or a running Firestore or Storage with these rules in force."""
    if address is None:
        return InProcessDriver(rules)
    driver: WireDriver | StorageWireDriver
    if "firebase.storage" in rules.services:
        # Storage rules look documents up in the default project of the suite, which `exec` names.
        beside, project = os.environ.get("FIRESTORE_EMULATOR_HOST"), os.environ.get("GCLOUD_PROJECT", "demo-rules")
        documents = None if beside is None else WireDriver(*_host_and_port(beside), project=project)
        driver = StorageWireDriver(*_host_and_port(address), documents=documents)
    else:
        driver = WireDriver(*_host_and_port(address))
    driver.load(rules.source.text)
    return driver


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UnusableError(f"`{address}` is no address; write one like `127.0.0.1:8080`")
    return host, int(port)


def _json(result: CaseResult) -> dict[str, Any]:
    return {
        "case": result.case.title,
        "passed": result.passed,
        "problem": result.problem,
        "verdict": "allowed" if result.verdict.is_allowed else "denied",
        "message": result.verdict.message,
    }


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _coverage(options: argparse.Namespace) -> int:
    reports: list[Coverage] = []
    for rules, cases in _cases_by_rules(options):
        coverage = Coverage(rules)
        run_cases(cases, InProcessDriver(rules, coverage=coverage))
        reports.append(coverage)
    if options.lcov:
        options.lcov.write_text("".join(report.to_lcov() for report in reports), encoding="utf-8")
    if options.html:
        _write_page(options.html, [CoveredFile(coverage=report) for report in reports])
    if options.json:
        _write_json([report.to_json() for report in reports])
    else:
        for report in reports:
            _write(report.to_text())
    is_low = any(
        report.percent < options.minimum or report.branch_percent < options.minimum_branches for report in reports
    )
    if is_low:
        sys.stderr.write("the coverage is below its minimum\n")
    return FAILURE if is_low else SUCCESS


def _write_page(path: Path, files: Sequence[CoveredFile]) -> None:
    path.write_text(coverage_page(files), encoding="utf-8")
    sys.stderr.write(f"{path} shows the rules with what was evaluated\n")


def _explain(options: argparse.Namespace) -> int:
    explained: list[object] = []
    for rules, cases in _cases_by_rules(options):
        driver = InProcessDriver(rules)
        for case in cases:
            if not options.only or options.only in case.title:
                explanation = driver.decision(case).explain()
                explained.append({"case": case.title, **explanation.to_json()} if options.json else explanation)
                if not options.json:
                    _write(f"{case.title}\n{_indented(str(explanation))}")
    if not explained:
        raise UnusableError(f"no case has `{options.only}` in its title")
    if options.json:
        _write_json(explained)
    return SUCCESS


def _mutate(options: argparse.Namespace) -> int:
    reports = []
    files: list[CoveredFile] = []
    for rules, cases in _cases_by_rules(options):
        coverage = Coverage(rules)
        failing = [
            result for result in run_cases(cases, InProcessDriver(rules, coverage=coverage)) if not result.passed
        ]
        if failing:
            raise UnusableError(f"{failing[0].case.title} fails on the rules as they are; mend that first")
        report = mutate(rules, cases)
        reports.append((rules.source.file_name, report))
        notes = [LineNote(line=found.line, text=f"no case notices if {found.change}") for found in report.survivors]
        files.append(CoveredFile(coverage=coverage, notes=notes))
    if options.html:
        _write_page(options.html, files)
    if options.json:
        _write_json({name: report.to_json() for name, report in reports})
    else:
        for name, report in reports:
            _write(report.to_text(name))
    return FAILURE if any(report.score_percent < options.minimum for _, report in reports) else SUCCESS


def _diff(options: argparse.Namespace) -> int:
    cases: Sequence[RuleCase] = [case for path in options.cases for case in read_case_file(path).cases]
    comparison = compare(
        _ruleset(options.old), _ruleset(options.new), cases, generated=options.generated, seed=options.seed
    )
    if options.json:
        _write_json(comparison.to_json())
    else:
        _write(comparison.to_text())
    return FAILURE if comparison.changes else SUCCESS
