"""Sentences stand alone: what begins in the middle of a thought is found, in documents, docstrings and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.architecture import ROOMS
from tests.structure.import_graph import read_graph

ROOT = Path(__file__).resolve().parents[2]
OPENING = re.compile(
    r"(?:^|(?<=[.!?] )|(?<=[.!?]\n))(Of (?!course)|The same of |All of (?:them|it)\b|Who )", re.MULTILINE
)
FENCED = re.compile(r"```.*?```", re.DOTALL)
ROW_OR_BULLET = re.compile(r"^\s*(?:[-*#>]+ |\d+\. |\|\s*)", re.MULTILINE)


def openings(text: str) -> Iterator[str]:
    """Sentences that begin with a word that needs the sentence before."""
    for paragraph in re.split(r"\n\s*\n|\|", ROW_OR_BULLET.sub("\n\n", FENCED.sub("", text))):
        for found in OPENING.finditer(" ".join(paragraph.split())):
            yield found.string[found.start() : found.start() + 80]


def prose_of(path: Path) -> Iterator[str]:
    """What people read of a file: a document whole, of a module its docstrings and comments."""
    text = path.read_text()
    if path.suffix == ".md":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def documents() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "emulator/README.md"]
    modules = [module.path for module in read_graph(ROOT, ROOMS).in_room("emulator", "functions", "rules", "bench")]
    assert len(found) > 10
    return [*found, *modules]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_sentence_begins_in_the_middle_of_a_thought(path: Path) -> None:
    """A newcomer meets every sentence alone: in a search result, an editor's hint, a diff."""
    found = [opening for prose in prose_of(path) for opening in openings(prose)]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "Of a record beside which none came: nothing.",
        "It is kept. Who asks gets it.",
        "| a | All of them |",
        "- The same of what was there before.",
        "# Who may enter",
    ],
)
def test_what_begins_so_is_found(text: str) -> None:
    """Each of these would lose its reader."""
    assert list(openings(text))
