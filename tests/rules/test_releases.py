"""Releases: what shipped is frozen, what is newer waits beside it, and only what passes ships."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from rules.__main__ import main
from tests.rules.conftest import ROOT
from tests.rules.test_bad_input import CASES, NOTES, source, write

__all__ = ["source"]

IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]


def run(source: Path, *command: str) -> int:
    return main(["--rules", str(source), *command])


def test_a_release_records_what_shipped(source: Path) -> None:
    """Digests, results and a changelog entry: enough to find again what was in force on a day."""
    assert run(source, "release", "the first", "--date", "2026-03-04") == 0
    (release,) = json.loads((source / "releases.json").read_text())["releases"]
    assert (release["number"], release["date"], release["note"]) == (1, "2026-03-04", "the first")
    assert (release["cases"], release["coverage_percent"]) == (4, 100.0)
    assert [area["area"] for area in release["areas"]] == ["firestore/notes", "storage/files"]
    text = (source.parent / "firestore.rules").read_text()
    assert f"// release 1, sha256 {release['firestore']}" in text
    changelog = (source / "CHANGELOG.md").read_text()
    assert "## 1 (2026-03-04)" in changelog
    assert "- firestore/notes v1" in changelog
    assert run(source, "assemble", "--check") == 0


@pytest.mark.parametrize("name", ["v1.rules", "v1.cases.yaml"])
def test_what_shipped_cannot_be_edited(source: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Neither the rules nor the cases that prove them: a change is a new version."""
    assert run(source, "release", "the first") == 0
    path = source / "firestore/notes" / name
    path.write_text(path.read_text() + "\n")
    assert run(source, "assemble") == 2
    told = capsys.readouterr().err
    assert "v1.rules:1: version 1 has shipped" in told
    assert "`v2.rules`" in told


def test_what_shipped_cannot_be_removed(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was in force once can always be read, and put in force again."""
    assert run(source, "release", "the first") == 0
    (source / "firestore/notes/v1.rules").rename(source / "firestore/notes/v2.rules")
    (source / "firestore/notes/v1.cases.yaml").rename(source / "firestore/notes/v2.cases.yaml")
    assert run(source, "assemble") == 2
    assert "without version 1" in capsys.readouterr().err


def test_a_new_version_waits_until_it_ships(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands beside the shipped one, can be tried, and is in force only after its release."""
    assert run(source, "release", "the first") == 0
    before = (source.parent / "firestore.rules").read_text()
    write(source / "firestore/notes/v2.rules", NOTES.replace("get", "get, list"))
    write(source / "firestore/notes/v2.cases.yaml", CASES + "  - {as: alice, list: notes, expect: allowed}\n")
    assert run(source, "assemble") == 0
    assert (source.parent / "firestore.rules").read_text() == before
    trial = source.parent / "trial"
    trial.mkdir()
    assert run(source, "assemble", "--newest", "--to", str(trial)) == 0
    assert "get, list" in (trial / "firestore.rules").read_text()
    capsys.readouterr()
    assert run(source, "status") == 0
    assert "shipped v1, v2 waits" in capsys.readouterr().out
    assert run(source, "release", "lists") == 0
    assert "get, list" in (source.parent / "firestore.rules").read_text()
    newest = (source / "CHANGELOG.md").read_text().split("## ")[1]
    assert "lists" in newest
    assert "- firestore/notes v2" in newest
    assert "storage/files" not in newest


def test_nothing_ships_while_a_case_fails(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A release is a proof: a failing case, or an expression no case evaluates, stops it."""
    path = source / "firestore/notes/v1.cases.yaml"
    path.write_text(CASES + "  - {as: bob, get: notes/n2, expect: denied}\n")
    assert run(source, "release", "hopeful") == 1
    assert "expected denied, but it was allowed" in capsys.readouterr().err
    path.write_text(CASES)
    rules = source / "firestore/notes/v1.rules"
    rules.write_text(NOTES.replace("null;", "null || request.auth.uid == 'x';"))
    path.write_text("cases:\n  - {as: alice, get: notes/n1, expect: allowed}\n")
    assert run(source, "release", "hopeful") == 1
    assert "never evaluated" in capsys.readouterr().err
    assert not (source / "releases.json").exists()


def test_nothing_new_is_no_release(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers mean changes."""
    assert run(source, "release", "the first") == 0
    assert run(source, "release", "the first again") == 1
    assert "nothing is new" in capsys.readouterr().err


def test_a_change_is_shown_by_what_it_decides(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reviews a change of rules reads requests and verdicts, not only conditions."""
    assert run(source, "assemble") == 0
    for command in (["init", "--quiet"], ["add", "."], [*IDENTITY, "commit", "--quiet", "-m", "rules"]):
        subprocess.run(["git", "-C", str(source.parent), *command], check=True)
    capsys.readouterr()
    assert run(source, "diff") == 0
    assert "0 of" in capsys.readouterr().out
    write(source / "firestore/notes/v1.rules", NOTES.replace("!= null", "!= null && id != 'n2'"))
    write(source / "firestore/notes/v1.cases.yaml", CASES + "  - {as: alice, get: notes/n2, expect: denied}\n")
    assert run(source, "diff") == 0
    shown = capsys.readouterr().out
    assert "allowed → denied: case v1.cases.yaml:5 get notes/n2 (as alice)" in shown
    assert run(source, "diff", "no-such-commit") == 0
    assert "nothing to compare with" in capsys.readouterr().out


def test_a_broken_record_is_named(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record of releases decides what is in force: it is never guessed at."""
    write(source / "releases.json", "{\n  nonsense")
    assert run(source, "assemble") == 2
    assert f"{source / 'releases.json'}:2: " in capsys.readouterr().err


def test_the_law_in_force_is_the_one_released() -> None:
    """What the root files say they are is what the record says has shipped."""
    releases = json.loads((ROOT / "rules/releases.json").read_text())["releases"]
    for service in ("firestore", "storage"):
        header = (ROOT / f"{service}.rules").read_text().split("\n")[1]
        assert f"release {releases[-1]['number']}, sha256 {releases[-1][service]}" in header
