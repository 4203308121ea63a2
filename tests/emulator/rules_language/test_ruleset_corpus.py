"""The corpus of rules texts: what must be refused is, at the right place and in the right words; the rest compiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterimage_emulator.rules_language import RulesetRejected, compile_ruleset
from afterimage_emulator.rules_language.syntax.diagnostics import IssueList
from afterimage_emulator.rules_language.syntax.parser import parse
from afterimage_emulator.rules_language.syntax.printer import print_rules
from afterimage_emulator.rules_language.syntax.source_span import SourceText

CORPUS = Path(__file__).parents[2] / "rules_corpus"
_BEFORE_BODY = (
    "rules_version = '2';\nservice cloud.firestore { match /databases/{database}/documents { match /things/{id} {"
)
FRAMES = {
    "condition": (_BEFORE_BODY + "\nallow read: if\n", ";\n} } }"),
    "body": (_BEFORE_BODY + "\n", "} } }"),
    "service": ("rules_version = '2';\nservice cloud.firestore {\n", "\n}"),
    "file": ("", ""),
}


def read_cases(name: str) -> list[tuple[int, str, str, str]]:
    """(line of the corpus, kind, source, expected)"""
    cases = []
    for number, line in enumerate((CORPUS / name).read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            written, _, expected = line.rpartition("=> ")
            kind, _, source = written.partition(":")
            cases.append((number, kind, source.strip().replace("¶", "\n"), expected))
    return cases


def framed(kind: str, source: str) -> tuple[str, int]:
    """The whole text of a case, and how many lines stand before what the case wrote."""
    before, after = FRAMES[kind]
    return before + source + after, before.count("\n")


ACCEPTED = read_cases("accepted.txt")
REJECTED = read_cases("rejected.txt")


@pytest.mark.parametrize(("line", "kind", "source", "expected"), REJECTED, ids=[f"line {c[0]}" for c in REJECTED])
def test_rejected_rules_are_refused_where_they_are_wrong(line: int, kind: str, source: str, expected: str) -> None:
    """Refused rules raise, and their first error has the place and text that the corpus says."""
    text, lines_before = framed(kind, source)
    with pytest.raises(RulesetRejected) as caught:
        compile_ruleset(text, file_name="corpus")
    first = next(issue for issue in caught.value.issues if issue.severity == "ERROR")
    place, _, description = expected.partition(" ")
    assert first.description.startswith(description.removesuffix("."))
    assert f"{first.line - lines_before}:{first.column}" == place
    assert first.excerpt == text.split("\n")[first.line - 1]


@pytest.mark.parametrize(("line", "kind", "source", "expected"), ACCEPTED, ids=[f"line {c[0]}" for c in ACCEPTED])
def test_accepted_rules_compile_with_their_warnings(line: int, kind: str, source: str, expected: str) -> None:
    """Accepted rules compile, with exactly the warnings the corpus says."""
    ruleset = compile_ruleset(framed(kind, source)[0], file_name="corpus")
    warnings = [issue.description for issue in ruleset.issues]
    assert warnings == ([] if expected == "ok" else expected.split(" ;; "))
    assert all(issue.severity == "WARNING" for issue in ruleset.issues)


@pytest.mark.parametrize(("line", "kind", "source", "expected"), ACCEPTED, ids=[f"line {c[0]}" for c in ACCEPTED])
def test_printed_rules_read_back_the_same(line: int, kind: str, source: str, expected: str) -> None:
    """Printing an accepted ruleset and reading it again changes nothing: the second printing is the first."""
    printed = _printed(framed(kind, source)[0])
    assert _printed(printed) == printed


def _printed(text: str) -> str:
    source = SourceText(text, file_name="corpus")
    issues = IssueList(source)
    rules = parse(source, issues)
    assert not issues.has_errors
    return print_rules(rules)


def test_corpora_are_large() -> None:
    """Both corpora are really read: an empty or cut file cannot pass unseen."""
    assert len(ACCEPTED) > 170
    assert len(REJECTED) > 170
