"""The rules about imports hold for this repository, and each of them is able to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.structure.architecture import PROTOCOLS_OF_ONE, ROOMS, RULES, SUITE, Rule
from tests.structure.import_graph import EmptyGraphError, Graph, read_graph
from tests.structure.protocols import protocols


def named(rule: Rule) -> str:
    return rule.broken_by.__name__


def written(files: dict[str, str], root: Path) -> Graph:
    folder = Path(ROOMS["emulator"], SUITE).as_posix()
    for name, text in files.items():
        path = root / name.replace("{suite}", folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{package}", SUITE))
    return read_graph(root, ROOMS)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_repository_keeps_the_rule(rule: Rule, repository: Graph) -> None:
    """What the rule promises is true of every module here."""
    broken = list(rule.broken_by(repository))
    assert not broken, f"{rule.promise}, but:\n" + "\n".join(broken)


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_rule_sees_what_breaks_it(rule: Rule, tmp_path: Path) -> None:
    """A rule that nothing can break protects nothing: each comes with files that break it."""
    assert list(rule.broken_by(written(dict(rule.example), tmp_path)))


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_the_rule_fails_where_it_has_nothing_to_judge(rule: Rule, tmp_path: Path) -> None:
    """After a move that a rule did not notice, its silence must not look like success."""
    with pytest.raises(EmptyGraphError):
        list(rule.broken_by(read_graph(tmp_path, ROOMS)))


def test_every_reason_for_a_protocol_is_still_needed(repository: Graph) -> None:
    """A reason that outlives its Protocol would excuse the next one of that name."""
    alone = {found.name for found, by in protocols(repository, tuple(set(ROOMS) - {"tests"})) if len(by) < 2}
    assert alone == set(PROTOCOLS_OF_ONE)


@pytest.mark.parametrize(
    ("importer", "text", "imported"),
    [
        ("a/b/c.py", "import a.b.d", "a.b.d"),
        ("a/b/c.py", "import a.b.d as short", "a.b.d"),
        ("a/b/c.py", "from a.b.d import thing", "a.b.d"),
        ("a/b/c.py", "from a.b import d", "a.b.d"),
        ("a/b/c.py", "from . import d", "a.b.d"),
        ("a/b/c.py", "from .d import thing", "a.b.d"),
        ("a/b/c.py", "from .. import e", "a.e"),
        ("a/b/c.py", "from ..b import d", "a.b.d"),
        ("a/b/__init__.py", "from . import d", "a.b.d"),
        ("a/b/__init__.py", "from ..e import thing", "a.e"),
        ("a/b/c.py", "import importlib\nimportlib.import_module('a.b.d')", "a.b.d"),
        ("a/b/c.py", "handler = at('a.b.d:thing')", "a.b.d"),
        ("a/b/c.py", "def late():\n    from .d import thing", "a.b.d"),
    ],
)
def test_names_are_resolved_as_python_does(importer: str, text: str, imported: str, tmp_path: Path) -> None:
    """However a module is written down that is imported, the graph knows it by its one name."""
    for name in ("a/__init__.py", "a/b/__init__.py", "a/b/d.py", "a/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / importer).write_text(text)
    graph = read_graph(tmp_path, {"a": "."})
    module = graph.modules[importer.removesuffix(".py").removesuffix("/__init__").replace("/", ".")]
    assert imported in {found.name for found in module.imports}
