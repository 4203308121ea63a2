"""`rules check|test|coverage|explain|mutate|diff`: what they print, and the exit codes that CI relies on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from afterimage_emulator.rules_testing.command_line import FAILURE, SUCCESS, UNUSABLE, rules_main

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    code = rules_main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_check_reports_problems_with_their_place(folder: Path, capsys: Capture) -> None:
    """Good rules pass; bad ones fail with every issue; `--strict` fails on warnings."""
    assert run(capsys, "check", folder / "notes.rules")[:2] == (SUCCESS, "0 errors, 0 warnings in 1 files\n")
    bad = folder / "bad.rules"
    bad.write_text("service cloud.firestore { match /a { allow read: if ; allow reed; } }")
    code, out, _ = run(capsys, "check", bad)
    assert code == FAILURE
    assert "bad.rules:1:53: error: Missing conditional expression after 'if'." in out
    assert out.endswith("2 errors, 0 warnings in 1 files\n")
    assert len(json.loads(run(capsys, "check", bad, "--json")[1])["issues"]) == 2
    bad.write_text("service cloud.firestore { function unused() { return 1; } }")
    assert run(capsys, "check", bad)[0] == SUCCESS
    assert run(capsys, "check", bad, "--strict")[0] == FAILURE


def test_test_runs_cases_and_fails_with_the_why(folder: Path, write_cases: Write, capsys: Capture) -> None:
    """All cases as expected: 0. One verdict or reason that differs: 1, with the explanation."""
    assert run(capsys, "test", folder / "notes.yaml")[:2] == (SUCCESS, "8 passed, 0 failed\n")
    wrong = write_cases(
        "rules: notes.rules\ndocuments: {notes/n1: {owner: alice}}\n"
        "cases:\n - {as: bob, get: notes/n1, expect: allowed}\n"
        " - {get: notes/n1, expect: denied, because: Divide by zero}"
    )
    code, out, _ = run(capsys, "test", wrong)
    assert code == FAILURE
    assert "FAILED more.yaml:4 get notes/n1 (as bob): expected allowed, but it was denied" in out
    assert "request.auth.uid is 'bob'" in out
    assert "expected to be denied because of `Divide by zero`, but the reason was `false for 'get' @ L6`" in out
    assert out.endswith("0 passed, 2 failed\n")
    report = json.loads(run(capsys, "test", wrong, "--json")[1])
    assert (report["failed"], report["cases"][0]["verdict"]) == (2, "denied")


def test_coverage_has_a_threshold_and_writes_lcov(folder: Path, capsys: Capture) -> None:
    """Below the minimum the run fails; the LCOV file is written beside the text."""
    code, out, _ = run(capsys, "coverage", folder / "notes.yaml", "--lcov", folder / "out.lcov", "--minimum", 50)
    assert code == SUCCESS
    assert out.splitlines()[-1].startswith("expressions 100.0 %")
    assert "end_of_record" in (folder / "out.lcov").read_text()
    code, _, err = run(capsys, "coverage", folder / "notes.yaml", "--minimum-branches", 100)
    assert (code, err) == (FAILURE, "the coverage is below its minimum\n")
    assert json.loads(run(capsys, "coverage", folder / "notes.yaml", "--json")[1])[0]["report"]


def test_explain_shows_why(folder: Path, capsys: Capture) -> None:
    """Every case, or those whose title holds a text, is explained."""
    code, out, _ = run(capsys, "explain", folder / "notes.yaml", "--only", "as root")
    assert code == SUCCESS
    assert out.count("by uid 'root'") == 2
    assert len(json.loads(run(capsys, "explain", folder / "notes.yaml", "--json")[1])) == 8
    assert run(capsys, "explain", folder / "notes.yaml", "--only", "no such case")[0] == UNUSABLE


def test_mutate_reports_what_no_case_notices(folder: Path, write_cases: Write, capsys: Capture) -> None:
    """The bound of the text's length is not tested until a case stands on each side of it."""
    code, out, _ = run(capsys, "mutate", folder / "notes.yaml", "--minimum", 99)
    assert code == FAILURE
    assert "if '10' becomes '11'" in out
    assert "match /databases/{database}/documents/notes/{id}, allow create: no case notices" in out
    assert "notes.rules:8: && request.resource.data.text.size() <= 10;\n    if " in out
    assert "mutants noticed" in out.splitlines()[0]
    more = write_cases(
        "rules: notes.rules\ncases:\n"
        " - {as: a, create: notes/n, with: {owner: a, text: ten letter}, expect: allowed}\n"
        " - {as: a, create: notes/n, with: {owner: a, text: and eleven.}, expect: denied}\n"
    )
    code, out, _ = run(capsys, "mutate", folder / "notes.yaml", more)
    assert code == SUCCESS
    assert "'10' becomes" not in out
    report = json.loads(run(capsys, "mutate", folder / "notes.yaml", "--json")[1])
    (found,) = report.values()
    assert found["total"] > len(found["survivors"]) > 0
    assert any(survivor["rule"].endswith(", allow update") for survivor in found["survivors"])


def test_coverage_and_mutate_write_a_page(folder: Path, capsys: Capture) -> None:
    """The page shows the annotated rules; that of `mutate` links to the line of each change that no case notices."""
    assert run(capsys, "coverage", folder / "notes.yaml", "--html", folder / "page.html")[0] == SUCCESS
    page = (folder / "page.html").read_text()
    assert 'id="f1-L6"' in page
    assert "<li>" not in page
    assert run(capsys, "mutate", folder / "notes.yaml", "--html", folder / "mutants.html")[0] == SUCCESS
    page = (folder / "mutants.html").read_text()
    assert '<a href="#f1-L8">line 8</a>: no case notices if &#x27;10&#x27; becomes &#x27;11&#x27;' in page


def test_the_help_teaches(folder: Path, capsys: Capture) -> None:
    """The case file that `rules --help` shows works as it stands, and each of its steps is a command."""
    with pytest.raises(SystemExit):
        rules_main(["--help"])
    text = capsys.readouterr().out
    shown = text.partition("cases.yaml:\n\n")[2].partition("\n\n")[0]
    (folder / "taught.yaml").write_text("\n".join(line[4:] for line in shown.splitlines()))
    (folder / "firestore.rules").write_text((folder / "notes.rules").read_text().replace("['text']", "['text', 'at']"))
    assert run(capsys, "test", folder / "taught.yaml")[:2] == (SUCCESS, "5 passed, 0 failed\n")
    for command in ("check", "test", "explain", "coverage", "mutate", "diff"):
        assert f"rules {command} " in text


def test_mutate_needs_passing_cases(write_cases: Write, capsys: Capture) -> None:
    """On failing cases every mutant would look noticed, so the command refuses."""
    wrong = write_cases("rules: notes.rules\ncases: [{get: notes/n1, expect: allowed}]")
    code, _, err = run(capsys, "mutate", wrong)
    assert code == UNUSABLE
    assert "fails on the rules as they are; mend that first" in err


def test_diff_finds_what_new_rules_decide_differently(folder: Path, capsys: Capture) -> None:
    """Equal rules have no difference; a loosened field list and a moved bound are found on made-up requests."""
    old, new = folder / "notes.rules", folder / "new.rules"
    assert run(capsys, "diff", old, old, folder / "notes.yaml")[:2] == (SUCCESS, "0 of 4008 verdicts changed\n")
    new.write_text(old.read_text().replace("hasOnly(['text'])", "hasOnly(['text', 'color'])").replace("<= 10", "<= 11"))
    code, out, _ = run(capsys, "diff", old, new, folder / "notes.yaml")
    assert code == FAILURE
    assert "denied → allowed: update" in out
    assert "denied → allowed: create" in out
    report = json.loads(run(capsys, "diff", old, new, folder / "notes.yaml", "--json")[1])
    assert {change["request"].split()[0] for change in report["changes"]} == {"update", "create"}


def test_diff_names_the_cases_that_change(folder: Path, capsys: Capture) -> None:
    """A case whose verdict changes is named by its title, even without any made-up request."""
    new = folder / "new.rules"
    new.write_text((folder / "notes.rules").read_text().replace("allow get, list", "allow list"))
    code, out, _ = run(capsys, "diff", folder / "notes.rules", new, folder / "notes.yaml", "--generated", 0)
    assert code == FAILURE
    assert out.splitlines()[:4] == [
        "changed, by path:",
        "  /notes/{id} get: 1 newly denied",
        "",
        "allowed → denied: case notes.yaml:8 owners read (as alice)",
    ]
    assert out.endswith("1 of 8 verdicts changed\n")


@pytest.mark.parametrize("command", ["test", "coverage", "explain", "mutate"])
def test_files_that_cannot_be_used_are_named(folder: Path, write_cases: Write, capsys: Capture, command: str) -> None:
    """A missing file, a file without rules, rules that do not compile, and no case at all: exit code 2 and a reason."""
    assert run(capsys, command, folder / "none.yaml")[0] == UNUSABLE
    code, _, err = run(capsys, command, write_cases("cases: [{get: a/b, expect: denied}]"))
    assert code == UNUSABLE
    assert "name the rules the cases are for" in err
    code, _, err = run(capsys, command, write_cases("rules: notes.rules\ncases: []"))
    assert code == UNUSABLE
    assert "proves nothing" in err
    (folder / "notes.rules").write_text("not rules")
    code, _, err = run(capsys, command, folder / "notes.yaml")
    assert code == UNUSABLE
    assert "error: Unexpected 'not'." in err


def test_check_without_files_needs_some(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names the usual rules files beside the user are checked; without those it says so."""
    monkeypatch.chdir(folder)
    assert run(capsys, "check")[0] == UNUSABLE
    (folder / "firestore.rules").write_text("service cloud.firestore { }")
    assert run(capsys, "check")[:2] == (SUCCESS, "0 errors, 0 warnings in 1 files\n")
