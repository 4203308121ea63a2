"""Case files as pytest tests: only files that the project's settings name are collected, one test a case.

    # pytest.ini
    [pytest]
    firebase_rules_cases = rules/**/cases.yaml

Installing the package switches it on. Without the setting it collects nothing, and imports nothing of the rules engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from afterimage_emulator.rules_testing.cases import RuleCase
    from afterimage_emulator.rules_testing.runner import InProcessDriver


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "firebase_rules_cases",
        "glob patterns of case files for security rules, from the root",
        type="linelist",
        default=[],
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CaseFileCollector | None:
    root = parent.config.rootpath
    patterns: list[str] = parent.config.getini("firebase_rules_cases")
    if any(file_path in root.glob(pattern) for pattern in patterns):
        collector: CaseFileCollector = CaseFileCollector.from_parent(parent, path=file_path)
        return collector
    return None


class CaseFileCollector(pytest.File):
    """One case file."""

    def collect(self) -> Iterator[CaseItem]:
        from afterimage_emulator.rules_language import compile_ruleset
        from afterimage_emulator.rules_testing.cases import CaseFileError, read_case_file
        from afterimage_emulator.rules_testing.runner import InProcessDriver

        try:
            found = read_case_file(self.path)
        except CaseFileError as error:
            raise self.CollectError(str(error)) from None
        if found.rules is None:
            raise self.CollectError(f"{self.path}: no `rules`; name the rules file the cases are for")
        ruleset = compile_ruleset(found.rules.read_bytes(), file_name=found.rules.name)
        driver = InProcessDriver(ruleset)
        for case in found.cases:
            name = f"{case.line} {case.name} (as {case.user})"
            item: CaseItem = CaseItem.from_parent(self, name=name, case=case, driver=driver)
            yield item


class CaseItem(pytest.Item):
    """One case: it fails with the reason and the explanation."""

    def __init__(self, *, case: RuleCase, driver: InProcessDriver, **details: Any) -> None:
        super().__init__(**details)
        self._case = case
        self._driver = driver

    def runtest(self) -> None:
        from afterimage_emulator.rules_testing.runner import judge

        result = judge(self._case, self._driver.decide(self._case))
        if result.problem is not None:
            raise CaseFailure(f"{result.problem}\n{result.verdict.explanation}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, CaseFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._case.line - 1, self.name


class CaseFailure(Exception):  # noqa: N818  (a verdict, not a fault)
    """The rules did not give the expected verdict."""
