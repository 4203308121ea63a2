"""Measures the law by processor time: all cases in process and over the wire, the full mutation run, and a diff."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.rules_testing.drivers.wire_driver import NotOverTheWireError, WireDriver
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, Spent, show, spent_on, takes_no_options
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
    in_process = spent_on(lambda: subprocess.run(command, cwd=ROOT, check=True))
    bare = spent_on(lambda: subprocess.run([sys.executable, "-c", "pass"], cwd=ROOT, check=True))
    in_one_process = spent_on(lambda: prove(law))
    asked: list[str] = []
    over_the_wire = spent_on(lambda: _over_the_wire(law, asked))
    mutation = spent_on(mutate)
    diff = spent_on(lambda: _diff(law))
    interpreter = f"the interpreter alone: {bare.processor_seconds:.2f} s"
    show(
        f"the law: {cases} cases, {mutants} mutants; processor seconds, which a busy machine leaves as they are",
        [
            _figure("all cases, start-up included", in_process, note=interpreter),
            _figure("1,000 cases, start-up included", in_process, of=cases, goal=2.0),
            _figure("all cases and coverage, started", in_one_process),
            _figure("1,000 cases over the wire", over_the_wire, of=len(asked), goal=15.0, note=f"{len(asked)} asked"),
            _figure("full mutation run", mutation, goal=60.0),
            _figure("diff of one changed rule", diff, goal=5.0, note="all cases and 4,000 made-up requests"),
        ],
    )
    return 0


def _figure(name: str, spent: Spent, *, of: int = 1000, goal: float | None = None, note: str = "") -> Figure:
    """For a thousand of the cases that it was spent on; the floor column is the goal."""
    share = 1000 / of
    notes = [f"by the clock {spent.clock_seconds * share:.1f} s", *([note] if note else [])]
    return Figure(name, spent.processor_seconds * share, "s", goal, "; ".join(notes))


def _over_the_wire(law: Law, asked: list[str]) -> None:
    """Every case through real sockets, the suite's start included; `asked` gets the names of those that can be."""
    configuration = load_configuration(ROOT / "firebase.json", project_id=PROJECT)
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True)) as suite:
        addresses = suite.suite.addresses()
        firestore = WireDriver(addresses["firestore"].host, addresses["firestore"].port, project=PROJECT)
        for case in law.cases("firestore"):
            try:
                firestore.decide(case)
            except NotOverTheWireError:
                continue
            asked.append(case.name)
        storage = addresses["storage"]
        with closing(StorageWireDriver(storage.host, storage.port)) as driver:
            for case in law.cases("storage"):
                driver.decide(case)
                asked.append(case.name)


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
