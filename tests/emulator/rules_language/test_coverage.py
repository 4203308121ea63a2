"""Coverage: what every expression was worth, as text, LCOV and the official report."""

from __future__ import annotations

import html
import re

from afterimage_emulator.rules_language import Coverage, FirestoreRequest, Ruleset
from afterimage_emulator.rules_language.reporting.coverage_page import CoveredFile, LineNote, coverage_page
from tests.emulator.rules_language.rules_world import ALICE, NOW, firestore_rules

RULES = (
    "function isOwner() { return request.auth.uid == resource.data.owner; }\n"
    "match /docs/{id} {\n"
    "  allow get: if request.auth != null && isOwner();\n"
    "  allow update: if resource.data.open;\n"
    "  allow delete;\n"
    "}"
)


def covered(ruleset: Ruleset, *requests: FirestoreRequest) -> Coverage:
    coverage = Coverage(ruleset)
    for request in requests:
        ruleset.decide(request, coverage=coverage)
    return coverage


def get(owner: str, *, signed_in: bool = True) -> FirestoreRequest:
    auth = ALICE if signed_in else None
    return FirestoreRequest(method="get", path="docs/d", time=NOW, auth=auth, resource={"owner": owner})


def test_values_are_counted_for_each_expression() -> None:
    """Each expression has its values and how often it had them; errors count as values."""
    coverage = covered(firestore_rules(RULES), get("alice"), get("bob"), get("bob"), get("x", signed_in=False))
    counts = {entry.text: entry.values for entry in coverage.expressions()}
    assert counts["request.auth.uid == resource.data.owner"] == {"true": 1, "false": 2}
    assert counts["request.auth != null"] == {"true": 3, "false": 1}
    assert counts["isOwner()"] == {"true": 1, "false": 2}
    assert counts["resource.data.open"] == {}


def test_text_names_what_is_missing() -> None:
    """What never ran is one line, a condition that was never true or false another, and the figures end it."""
    text = covered(firestore_rules(RULES), get("alice")).to_text()
    assert text.splitlines() == [
        "test.rules:4:29: never false: request.auth.uid == resource.data.owner",
        "test.rules:6:17: never false: request.auth != null",
        "test.rules:7:20: never evaluated: resource.data.open",
        "expressions 80.0 %, branches 50.0 %",
    ]


def test_full_coverage_is_a_hundred_percent() -> None:
    """With every expression evaluated and every condition both ways nothing is missing."""
    update = FirestoreRequest(method="update", path="docs/d", time=NOW, resource={"open": True}, request_resource={})
    coverage = covered(firestore_rules(RULES), get("alice"), get("bob"), get("x", signed_in=False), update)
    assert (coverage.percent, coverage.branch_percent) == (100.0, 100.0)
    assert coverage.to_text() == "expressions 100.0 %, branches 100.0 %"


def test_lcov_has_lines_and_branches() -> None:
    """The LCOV record counts lines by their expressions, and each condition as a branch of two."""
    delete = FirestoreRequest(method="delete", path="docs/d", time=NOW, resource={})
    record = covered(firestore_rules(RULES), get("alice"), delete, delete).to_lcov().splitlines()
    assert record[:2] == ["TN:", "SF:test.rules"]
    assert {"DA:4,1", "DA:6,1", "DA:7,0", "DA:8,2", "LF:4", "LH:3", "BRF:4", "BRH:2"} <= set(record)
    assert sum(line.startswith("BRDA:6,") for line in record) == 2
    assert record[-1] == "end_of_record"


def test_the_official_report_has_positions_values_and_children() -> None:
    """The report of the coverage URL is a tree with the place, values and counts of each expression."""
    report = covered(firestore_rules(RULES), get("alice")).to_json()
    condition = report["report"][0]
    assert report["rules"]["files"][0]["content"].startswith("rules_version")
    assert condition["sourcePosition"]["line"] == 6
    assert condition["values"] == [{"value": {"boolValue": True}, "count": 1}]
    assert [child["values"][0]["value"] for child in condition["children"]] == [{"boolValue": True}] * 2


def test_values_without_end_are_counted_together() -> None:
    """An expression with ever new values keeps a bounded number of them."""
    ruleset = firestore_rules("match /docs/{id} { allow get: if resource.data.n == -1; }")
    requests = [FirestoreRequest(method="get", path="docs/d", time=NOW, resource={"n": n}) for n in range(100)]
    entry = next(e for e in covered(ruleset, *requests).expressions() if e.text == "resource.data.n")
    assert entry.count == 100
    assert len(entry.values) == 21


def test_the_page_shows_the_rules_coloured() -> None:
    """The page is the whole text of the rules, escaped, each expression with its colour and values."""
    ruleset = firestore_rules("match /docs/{id} { allow get: if resource.data.n < 5 && id != '<b>'; }")
    coverage = covered(ruleset, FirestoreRequest(method="get", path="docs/d", time=NOW, resource={"n": 9}))
    page = coverage_page([CoveredFile(coverage=coverage)])
    assert shown_text(page) == ruleset.source.text.split("\n")
    assert re.search(r'<span class="full" title="[^"]*1 × 9">', page)
    assert re.search(r'<span class="partly" title="[^"]*1 × false">', page)
    assert 'class="never" title="never evaluated"' in page
    assert '<div class="line" id="f1-L4"><a href="#f1-L4">4</a><b>1×</b>' in page


def shown_text(page: str) -> list[str]:
    """The lines of the rules as a reader of the page sees them."""
    lines = re.findall(r'<div class="line" id="[^"]*"><a [^>]*>[0-9]+</a><b>[^<]*</b>(.*?)\n</div>', page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", line)) for line in lines]


def test_an_expression_over_several_lines_is_coloured_on_each() -> None:
    """Every line of the page is whole by itself, also where an expression goes on in the next one."""
    ruleset = firestore_rules("match /docs/{id} { allow get: if resource.data.n <\n  5\n  && id == 'a'; allow list; }")
    request = FirestoreRequest(method="get", path="docs/a", time=NOW, resource={"n": 1})
    page = coverage_page([CoveredFile(coverage=covered(ruleset, request))])
    assert shown_text(page) == ruleset.source.text.split("\n")
    assert page.count("<span") == page.count("</span>")
    for line in re.findall(r"<div class=.line.*?</div>", page, re.DOTALL):
        assert line.count("<span") == line.count("</span>")


def test_a_note_stands_below_its_line_and_is_linked() -> None:
    """What is said of a line is listed above with a link to it; the second file's lines have names of their own."""
    ruleset = firestore_rules("match /docs/{id} { allow get; }")
    noted = CoveredFile(coverage=Coverage(ruleset), notes=[LineNote(line=4, text="a <change>")])
    page = coverage_page([CoveredFile(coverage=Coverage(ruleset)), noted])
    assert '<li><a href="#f2-L4">line 4</a>: a &lt;change&gt;' in page
    below = page.partition('id="f2-L4"')[2].partition('id="f2-L5"')[0]
    assert '<div class="note">a &lt;change&gt;</div>' in below
    assert len(re.findall(r'id="([^"]*)"', page)) == len(set(re.findall(r'id="([^"]*)"', page)))
