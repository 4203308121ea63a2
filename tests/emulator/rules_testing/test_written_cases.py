"""A request that rules judged, written down as a case, is decided again as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterimage_emulator.rules_language import FirestoreRequest, Timestamp, compile_ruleset
from afterimage_emulator.rules_testing import InProcessDriver
from afterimage_emulator.rules_testing.cases import read_case_file
from afterimage_emulator.rules_testing.written_cases import UnwritableCaseError, written_case
from rules.law import read_law

ROOT = Path(__file__).resolve().parents[3]


def test_every_case_of_this_project_survives_being_written_down(tmp_path: Path) -> None:
    """Its verdict, its `allow` and its reasons are the same; what case files have no words for is rare, and named."""
    law = read_law(ROOT / "rules")
    written = unwritable = 0
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        driver = InProcessDriver(ruleset)
        for case in law.cases(assembled.service)[::7]:
            decision = driver.decision(case)
            try:
                text = written_case(case.request, decision)
            except UnwritableCaseError:
                unwritable += 1
                continue
            file = tmp_path / "written.yaml"
            file.write_text(text)
            [again] = read_case_file(file).cases
            repeated = driver.decision(again)
            assert again.is_allowed == decision.allowed, text
            assert (repeated.allowed, repeated.denial_message) == (decision.allowed, decision.denial_message), text
            written += 1
    assert written > 200
    assert unwritable * 20 < written


def test_what_cannot_be_written_is_named() -> None:
    """A value that YAML and its tags have no form for is no silent loss."""
    ruleset = compile_ruleset("service cloud.firestore { match /databases/{d}/documents { } }")
    request = FirestoreRequest(
        method="create", path="a/b", time=Timestamp(0), request_resource={"x": {"$now": "a field of that name"}}
    )
    with pytest.raises(UnwritableCaseError, match=r"begins with `\$`"):
        written_case(request, ruleset.decide(request))
