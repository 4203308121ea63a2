"""What is wrong with the source of the law is named with file and line, and then nothing is assembled."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.__main__ import main
from tests.rules.conftest import ROOT

NOTES = """\
match /notes/{id} {
  allow get: if request.auth != null;
}
"""
CASES = """\
rules: ../../../firestore.rules
cases:
  - {as: alice, get: notes/n1, expect: allowed}
  - {as: nobody, get: notes/n1, expect: denied}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A law of one area for each service."""
    folder = tmp_path / "rules"
    write(folder / "firestore/notes/v1.rules", NOTES)
    write(folder / "firestore/notes/v1.cases.yaml", CASES)
    write(folder / "storage/files/v1.rules", "match /{name} {\n  allow get: if request.auth != null;\n}\n")
    write(
        folder / "storage/files/v1.cases.yaml",
        "service: firebase.storage\ncases:\n  - {as: alice, get: a.txt, expect: allowed}\n"
        "  - {as: nobody, get: a.txt, expect: denied}\n",
    )
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def refusal(source: Path, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What `assemble` says; it must write nothing."""
    assert main(["--rules", str(source), *(command or ("assemble",))]) == 2
    assert not (source.parent / "firestore.rules").exists()
    assert not (source.parent / "storage.rules").exists()
    return capsys.readouterr().err


def test_a_sound_law_is_assembled_the_same_every_time(source: Path) -> None:
    """The root files depend on nothing but the areas: no date, no machine, no order of reading."""
    assert main(["--rules", str(source), "assemble"]) == 0
    first = (source.parent / "firestore.rules").read_bytes()
    assert main(["--rules", str(source), "assemble"]) == 0
    assert (source.parent / "firestore.rules").read_bytes() == first
    assert main(["--rules", str(source), "assemble", "--check"]) == 0


def test_an_edited_root_file_is_found(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who edits the assembled file by hand hears of it before it is deployed, with the line."""
    assert main(["--rules", str(source), "assemble"]) == 0
    root_file = source.parent / "firestore.rules"
    text = root_file.read_text().replace("!= null", "== null")
    root_file.write_text(text)
    assert main(["--rules", str(source), "assemble", "--check"]) == 1
    line = next(number for number, row in enumerate(text.split("\n"), 1) if "== null" in row)
    assert f"{root_file}:{line}:" in capsys.readouterr().err


def test_a_syntax_error_is_placed_in_its_area(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The author sees the line they wrote, not one of the assembled file."""
    path = source / "firestore/notes/v1.rules"
    path.write_text(NOTES.replace("!= null", "!= "))
    assert f"{path}:2: " in refusal(source, capsys)


def test_a_warning_is_as_good_as_an_error(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function called with too few arguments would be an error in every request: it does not get that far."""
    path = source / "firestore/notes/v1.rules"
    path.write_text(
        "function isUser(uid) {\n  return uid == 'x';\n}\n" + NOTES.replace("request.auth != null", "isUser()")
    )
    assert f"{path}:5: " in refusal(source, capsys)


def test_two_areas_cannot_claim_one_path(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both places are named; an overlap that is meant says so in the area."""
    path = source / "firestore/all/v1.rules"
    write(path, "match /{any}/n1 {\n  allow get: if true;\n}\n")
    write(
        path.with_name("v1.cases.yaml"),
        CASES.replace("notes", "other").replace("nobody", "bob").replace("denied", "allowed"),
    )
    told = refusal(source, capsys)
    assert f"{source / 'firestore/notes/v1.rules'}:1: " in told
    assert f"{path}:1" in told
    path.write_text("// overlaps: notes\n" + path.read_text())
    assert main(["--rules", str(source), "assemble"]) == 0


def test_an_area_cannot_break_out_of_its_place(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A brace too many would put what follows outside the documents, where its path means something else."""
    path = source / "firestore/notes/v1.rules"
    path.write_text(NOTES + "}\nmatch /else/{id=**} {\n")
    assert f"{path}:5: " in refusal(source, capsys)


@pytest.mark.parametrize(
    ("cases", "line", "words"),
    [
        ("cases: []\n", 1, "no case in this file"),
        (CASES + "  - {as: alice, get: notes/n1, expect: allowed}\n", 5, "the case of line 3 again"),
        (CASES + "  - {as: alice, get: note/n1, expect: denied}\n", 5, "no rule covers it"),
        (CASES + "  - {as: bob, get: notes/n1}\n", 5, "neither `allowed` nor `denied`"),
        (
            CASES + "  - {as: nobody, get: notes/n2, expect: denied, because: No matching allow statements}\n",
            5,
            "is covered by a rule",
        ),
    ],
)
def test_a_case_that_tests_nothing_is_named(
    source: Path, capsys: pytest.CaptureFixture[str], cases: str, line: int, words: str
) -> None:
    """Empty, repeated, or about a path that no rule covers: each would pass for ever, whatever the rules say."""
    path = source / "firestore/notes/v1.cases.yaml"
    path.write_text(cases)
    told = refusal(source, capsys)
    assert f"{path}:{line}: " in told
    assert words in told


def test_an_area_without_cases_is_named(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules that nobody asked anything are not part of the law."""
    (source / "firestore/notes/v1.cases.yaml").unlink()
    assert f"{source / 'firestore/notes/v1.rules'}:1: no cases" in refusal(source, capsys)


@pytest.mark.parametrize("name", ["v2.cases.yaml", "v3.rules", "notes.txt"])
def test_files_that_belong_to_no_version_are_named(source: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A misnamed file would be left out in silence, and its rules or cases with it."""
    path = source / "firestore/notes" / name
    path.write_text(CASES if name.endswith("yaml") else NOTES)
    assert f"{path}:1: " in refusal(source, capsys)


def test_the_source_of_this_project_is_where_the_command_looks() -> None:
    """Without options it works on the rules folder it stands in."""
    assert main(["assemble", "--check"]) == 0
    assert (ROOT / "rules" / "firestore").is_dir()
