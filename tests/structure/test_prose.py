"""Sentences stand alone: what begins in the middle of a thought is found, in documents, docstrings and comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.structure.architecture import ROOT
from tests.structure.import_graph import Graph, Module

OPENING_WORDS = r"(Of (?!course)|The same of |All of (?:them|it)\b|Who )"
OPENING = re.compile(rf"(?:^|(?<=[.!?] )|(?<=[.!?]\n)){OPENING_WORDS}", re.MULTILINE)
PERHAPS_IN_A_COMMENT = re.compile(rf"#.*{OPENING_WORDS}")
FENCED = re.compile(r"```.*?```", re.DOTALL)
ROW_OR_BULLET = re.compile(r"^\s*(?:[-*#>]+ |\d+\. |\|\s*)", re.MULTILINE)


def openings(text: str) -> Iterator[str]:
    """Sentences that begin with a word that needs the sentence before."""
    for paragraph in re.split(r"\n\s*\n|\|", ROW_OR_BULLET.sub("\n\n", FENCED.sub("", text))):
        for found in OPENING.finditer(" ".join(paragraph.split())):
            yield found.string[found.start() : found.start() + 80]


def prose_of(module: Module) -> Iterator[str]:
    """What people read of a module: its docstrings and comments."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    if PERHAPS_IN_A_COMMENT.search(module.text) is None:
        return  # reading a module token by token is slow, and few have anything to find
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")


def test_no_sentence_of_a_document_begins_in_the_middle_of_a_thought() -> None:
    """A newcomer meets every sentence alone: in a search result, an editor's hint, a diff."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "emulator/README.md"]
    assert len(documents) > 10
    found = [(path.name, opening) for path in documents for opening in openings(path.read_text())]
    assert not found


def test_no_sentence_of_a_module_begins_in_the_middle_of_a_thought(repository: Graph) -> None:
    """Docstrings and comments are read where an editor shows them: without what stands above."""
    modules = repository.in_room("emulator", "functions", "client", "rules", "bench")
    found = [
        (repository.where(module), opening)
        for module in modules
        for prose in prose_of(module)
        for opening in openings(prose)
    ]
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
