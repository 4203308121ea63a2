"""Runs an official SDK's own system tests against the suite and compares the outcome with the reasons on record.

The tests come from the SDK's source distribution of the pinned version; they run where they are unpacked.
"""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

REASONS = Path(__file__).parent / "reasons"
TIMEOUT_SECONDS = 1500
TEST_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one of the SDK's tests ended."""

    test: str
    outcome: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why tests that match do not pass here."""

    tests: tuple[str, ...]
    reason: str

    def explains(self, test: str) -> bool:
        return any(fnmatch.fnmatchcase(test, pattern) for pattern in self.tests)


def unpack(distribution: str, folder: Path) -> Path:
    """Downloads the source distribution of the installed version and answers with its folder."""
    wanted = f"{distribution}=={version(distribution)}"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--no-binary", ":all:", "--dest", str(folder), wanted],
        check=True,
    )  # fmt: skip
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as unpacked:
        unpacked.extractall(folder, filter="data")
    [root] = [path for path in folder.iterdir() if path.is_dir()]
    return root


def run_system_tests(
    root: Path, tests: Sequence[str], environment: Mapping[str, str], extra: Sequence[str] = ()
) -> list[Outcome]:
    """Runs the tests in a process of their own and reads what became of each."""
    report = root / "outcomes.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "asyncio_mode=auto",
         "-o", "asyncio_default_fixture_loop_scope=module", "-o", "asyncio_default_test_loop_scope=module",
         "--timeout", str(TEST_TIMEOUT_SECONDS), "--rootdir", str(root), f"--junitxml={report}", *extra, *tests],
        cwd=root, env=os.environ | dict(environment), timeout=TIMEOUT_SECONDS, check=False,
        stdout=(root / "output.txt").open("w"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    if not report.exists():
        raise AssertionError("the SDK's tests did not run:\n" + (root / "output.txt").read_text()[-3000:])
    return [_outcome(case) for case in ElementTree.parse(report).iter("testcase")]


def _outcome(case: ElementTree.Element) -> Outcome:
    test = f"{case.get('classname', '')}.{case.get('name', '')}".lstrip(".")
    for tag, outcome in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            return Outcome(test, outcome, (found.get("message") or "").strip())
    return Outcome(test, "passed")


def reasons_of(name: str) -> list[Reason]:
    with (REASONS / f"{name}.toml").open("rb") as file:
        entries = tomllib.load(file).get("difference", [])
    return [Reason(tuple(_listed(entry["tests"])), entry["reason"]) for entry in entries]


def left_out_of(name: str) -> list[tuple[str, str]]:
    """Whole modules that are not run, with the reason."""
    with (REASONS / f"{name}.toml").open("rb") as file:
        return [(entry["tests"], entry["reason"]) for entry in tomllib.load(file).get("left_out", [])]


def _listed(tests: str | list[str]) -> list[str]:
    return [tests] if isinstance(tests, str) else tests


def check(name: str, outcomes: Sequence[Outcome]) -> str:
    """The table for docs/conformance.md; raises where a test fails without a reason, or a reason explains nothing."""
    reasons = reasons_of(name)
    used: Counter[str] = Counter()
    unexplained = []
    for outcome in outcomes:
        if outcome.outcome == "passed":
            continue
        reason = next((reason for reason in reasons if reason.explains(outcome.test)), None)
        if reason is not None:
            used[reason.reason] += 1
        elif outcome.outcome == "skipped":
            used[f"skipped by the SDK: {outcome.message}"] += 1
        else:
            unexplained.append(f"{outcome.test}: {outcome.message[:300]}")
    counts = Counter(outcome.outcome for outcome in outcomes)
    table = _table(name, counts, reasons, used)
    stale = [reason.reason for reason in reasons if not used[reason.reason]]
    assert outcomes, f"{name}: no test ran"
    assert not unexplained, f"{table}\n\n{len(unexplained)} without a reason on record:\n" + "\n".join(unexplained)
    assert not stale, f"{name}: these reasons explain nothing any more, so take them out: {stale}"
    return table


def _table(name: str, counts: Mapping[str, int], reasons: Sequence[Reason], used: Mapping[str, int]) -> str:
    lines = [
        f"### {name}",
        "",
        f"{counts.get('passed', 0)} passed, {counts.get('failed', 0)} failed, {counts.get('skipped', 0)} skipped.",
        "",
        "| why tests do not pass here | how many |",
        "|---|---|",
    ]
    lines += [f"| {reason.reason} | {used[reason.reason]} |" for reason in reasons if used[reason.reason]]
    lines += [f"| {text} | {count} |" for text, count in used.items() if text.startswith("skipped by the SDK")]
    lines += [f"| not run: `{module}`: {reason} | |" for module, reason in left_out_of(name)]
    return "\n".join(lines)
