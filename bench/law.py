"""Measures the law: the whole rules suite in process and over the wire, the full mutation run, and a diff."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.rules_testing.drivers.wire_driver import NotOverTheWireError, WireDriver
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, show, takes_no_options
from rules.law import Law, prove, read_law
from rules.mutation import run_mutants
from tests.rules.storage_wire import StorageWireDriver

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "demo-law-bench"


def main() -> int:
    law = read_law(ROOT / "rules")
    cases = len(law.cases("firestore")) + len(law.cases("storage"))
    mutants = 0

    def mutate() -> None:
        nonlocal mutants
        for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
            mutants += run_mutants(assembled, ruleset, law.cases(assembled.service)).total

    proof = "import pathlib; from rules.law import prove, read_law; prove(read_law(pathlib.Path('rules')))"
    command = [sys.executable, "-c", proof]
    in_process = _seconds(lambda: subprocess.run(command, cwd=ROOT, check=True))
    bare = _seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], cwd=ROOT, check=True))
    in_one_process = _seconds(lambda: prove(law))
    over_the_wire, asked = _over_the_wire(law)
    mutation = _seconds(mutate)
    diff = _seconds(lambda: _diff(law))
    per_thousand = 1000 / cases
    show(
        f"the law: {cases} cases, {mutants} mutants",
        [
            Figure("all cases, start-up included", in_process, "s", note="the interpreter alone: " + f"{bare:.2f} s"),
            Figure("1,000 cases, start-up included", in_process * per_thousand, "s", 2.0, "floor column: the goal"),
            Figure("all cases and coverage, started", in_one_process, "s"),
            Figure("1,000 cases over the wire", over_the_wire * 1000 / asked, "s", 15.0, f"{asked} asked; the goal"),
            Figure("full mutation run", mutation, "s", 60.0, "the goal"),
            Figure("diff of one changed rule", diff, "s", 5.0, "all cases and 4,000 made-up requests; the goal"),
        ],
    )
    return 0


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _over_the_wire(law: Law) -> tuple[float, int]:
    """Every case through real sockets, the suite's start included; and how many could be asked so."""
    started = time.perf_counter()
    asked = 0
    configuration = load_configuration(ROOT / "firebase.json", project_id=PROJECT)
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as suite:
        addresses = suite.suite.addresses()
        firestore = WireDriver(addresses["firestore"].host, addresses["firestore"].port, project=PROJECT)
        for case in law.cases("firestore"):
            try:
                firestore.decide(case)
                asked += 1
            except NotOverTheWireError:
                continue
        storage = addresses["storage"]
        with closing(StorageWireDriver(storage.host, storage.port)) as driver:
            for case in law.cases("storage"):
                driver.decide(case)
                asked += 1
    return time.perf_counter() - started, asked


def _diff(law: Law) -> None:
    """The command as CI runs it, with one rule changed."""
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / "firestore.rules"
        changed.write_text(law.files[0].text.replace("== before + 1", "== before + 2"), encoding="utf-8")
        cases = [str(path) for path in law.case_files if "/firestore/" in str(path)]
        command = [
            sys.executable,
            "-m",
            "afterimage_emulator",
            "rules",
            "diff",
            "firestore.rules",
            str(changed),
            *cases,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert "allowed → denied" in done.stdout


if __name__ == "__main__":
    takes_no_options(__doc__)
    sys.exit(main())
