"""Security rules under test: cases as data, an environment for Python, and what the cases leave unproven.

afterimage-emulator rules test cases/*.yaml      the verdict of every case, and why it is not the expected one
assert_allowed(RulesEnvironment(source).as_user("alice").get("notes/n1"))    from Python; see `environment`
"""

from afterimage_emulator.rules_testing.answers import Answer, WireAnswer, assert_allowed, assert_denied
from afterimage_emulator.rules_testing.cases import CaseFile, CaseFileError, RuleCase, read_case_file
from afterimage_emulator.rules_testing.environment import DELETED, SERVER_TIME, RulesEnvironment
from afterimage_emulator.rules_testing.runner import CaseResult, Driver, InProcessDriver, Verdict, run_cases
from afterimage_emulator.rules_testing.storage_environment import StorageRulesEnvironment

__all__ = [
    "DELETED",
    "SERVER_TIME",
    "Answer",
    "CaseFile",
    "CaseFileError",
    "CaseResult",
    "Driver",
    "InProcessDriver",
    "RuleCase",
    "RulesEnvironment",
    "StorageRulesEnvironment",
    "Verdict",
    "WireAnswer",
    "assert_allowed",
    "assert_denied",
    "read_case_file",
    "run_cases",
]
