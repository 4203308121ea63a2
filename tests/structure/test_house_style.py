"""How a module looks: it says what it owns, has room for it, and a test states its promise and waits for no clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.structure.architecture import ROOMS
from tests.structure.import_graph import Graph, Module, dotted_name, read_graph

MODULE_LINES = 600
FUNCTION_LINES = 80
FLOOR_MODULES = 15
"""So many modules of a package lie side by side; what begins it, tables of its names and fixtures are not counted."""
ANY_PER_HUNDRED_LINES = 1
ROOMS_IN_FLOORS = ("emulator", "functions", "client", "server", "rules", "demo", "bench", "tests")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
LONGEST_POLL_SECONDS = 0.05


def faults_of_shape(module: Module, graph: Graph) -> Iterator[str]:
    where = graph.where(module)
    if (module.path.name != "__init__.py" or module.text.strip()) and not ast.get_docstring(module.tree):
        yield f"{where}: begin with a docstring that says what this module owns"
    if FORBIDDEN_NAMES & {module.path.stem, *module.path.relative_to(graph.root).parts}:
        yield f"{where}: say what is in it"
    lines = module.text.count("\n")
    if lines > MODULE_LINES:
        yield f"{where} has {lines} lines: give part of it a module of its own"
    for node in _functions(module.tree):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES:
            yield f"{where}:{node.lineno} `{node.name}` has {length} lines"


def places_of_any(graph: Graph) -> Iterator[str]:
    """Where the emulator gives up on types: each `Any` in an annotation or an alias."""
    for module in graph.in_room("emulator"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and node.id == "Any":
                yield f"{graph.where(module)}:{node.lineno}"


def crowded_floors(graph: Graph) -> Iterator[str]:
    floors: dict[Path, int] = {}
    for module in graph.in_room(*ROOMS_IN_FLOORS):
        if module.path.stem not in ("__init__", "__main__", "conftest"):
            floors[module.path.parent] = floors.get(module.path.parent, 0) + 1
    for folder, modules in sorted(floors.items()):
        if modules > FLOOR_MODULES:
            yield f"{folder.relative_to(graph.root).as_posix()} has {modules} modules side by side: give some a room"


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def faults_of_tests(module: Module, graph: Graph) -> Iterator[str]:
    for node in _functions(module.tree) if module.path.name.startswith("test_") else ():
        if node.name.startswith("test_") and not ast.get_docstring(node):
            yield f"{graph.where(module)}:{node.lineno} `{node.name}` states no promise"
    for line in _sleeps(module.tree):
        yield f"{graph.where(module)}:{line} sleeps: wait for what happens"


def _sleeps(tree: ast.Module) -> Iterator[int]:
    """Calls of `time.sleep` or `asyncio.sleep`, under whatever name; giving way and short polls in loops are none."""
    names = {"time.sleep", "asyncio.sleep"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "sleep"}
        if isinstance(node, ast.Import):
            names |= {
                f"{alias.asname}.sleep" for alias in node.names if alias.name in ("time", "asyncio") and alias.asname
            }
    looped = {child for node in ast.walk(tree) if isinstance(node, ast.While) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted_name(node.func) in names:
            pause = node.args[0] if node.args else None
            seconds = pause.value if isinstance(pause, ast.Constant) else None
            gives_way = seconds == 0
            polls = node in looped and isinstance(seconds, int | float) and seconds <= LONGEST_POLL_SECONDS
            if not gives_way and not polls:
                yield node.lineno


def test_every_module_says_what_it_owns_and_has_room_for_it(repository: Graph) -> None:
    """The first line is a docstring; neither module nor function outgrows a reader; the name says something."""
    assert not [fault for module in repository.in_room(*ROOMS) for fault in faults_of_shape(module, repository)]


def test_any_is_rare(repository: Graph) -> None:
    """Strict typing says little about values that may be anything: where a type is known it is stated."""
    lines = sum(module.text.count("\n") for module in repository.in_room("emulator"))
    assert 100 * len(list(places_of_any(repository))) / lines < ANY_PER_HUNDRED_LINES


def test_places_of_any_are_found(tmp_path: Path) -> None:
    """In a parameter, a result, a variable and within other types; not where it is imported."""
    (tmp_path / "emulator").mkdir()
    (tmp_path / "emulator/loose.py").write_text(
        "from typing import Any\n\n\ndef f(one: Any, two: dict[str, Any]) -> Any:\n    three: Any = two\n"
    )
    places = sorted(places_of_any(read_graph(tmp_path, ROOMS)))
    assert places == [f"emulator/loose.py:{line}" for line in (4, 4, 4, 5)]


def test_no_floor_is_crowded(repository: Graph) -> None:
    """Somebody who opens a folder sees at a glance what is in it."""
    assert not list(crowded_floors(repository))


def test_a_crowded_floor_is_seen(tmp_path: Path) -> None:
    """One module more than there is room for, and the folder is named."""
    folder = tmp_path / "emulator/full"
    folder.mkdir(parents=True)
    for number in range(FLOOR_MODULES):
        (folder / f"part{number}.py").write_text('"""Owns a part."""\n')
    assert not list(crowded_floors(read_graph(tmp_path, ROOMS)))
    (folder / "one_more.py").write_text('"""Owns a part."""\n')
    assert list(crowded_floors(read_graph(tmp_path, ROOMS))) == [
        f"emulator/full has {FLOOR_MODULES + 1} modules side by side: give some a room"
    ]


def test_every_test_states_its_promise_and_waits_for_what_happens(repository: Graph) -> None:
    """A failing test is read by somebody who did not write it, and must not depend on how fast a machine is."""
    assert not [fault for module in repository.in_room("tests") for fault in faults_of_tests(module, repository)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tests/silent.py", "x = 1\n"),
        ("tests/utils.py", '"""Owns things."""\n'),
        ("tests/helpers/things.py", '"""Owns things."""\n'),
        ("tests/long.py", '"""Owns much."""\n' + "x = 1\n" * MODULE_LINES),
        ("tests/tall.py", '"""Owns much."""\n\n\ndef tall() -> None:\n' + "    x = 1\n" * FUNCTION_LINES),
        ("tests/test_silent.py", '"""Tests."""\n\n\ndef test_it() -> None:\n    assert True\n'),
        ("tests/sleeps.py", '"""Sleeps."""\nimport time\n\ntime.sleep(0.1)\n'),
        ("tests/sleeps.py", '"""Sleeps."""\nfrom time import sleep as rest\n\nrest(0.1)\n'),
        (
            "tests/sleeps.py",
            '"""Sleeps."""\nimport asyncio as io\n\n\nasync def f() -> None:\n    await io.sleep(0.1)\n',
        ),
        (
            "tests/sleeps.py",
            '"""Sleeps."""\nfrom asyncio import sleep\n\n\nasync def f() -> None:\n    await sleep(1)\n',
        ),
        ("tests/sleeps.py", '"""Polls slowly."""\nimport time\n\nwhile True:\n    time.sleep(1)\n'),
    ],
)
def test_what_breaks_the_style_is_seen(name: str, text: str, tmp_path: Path) -> None:
    """Each of these breaks one rule of style, and is found."""
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    graph = read_graph(tmp_path, ROOMS)
    (module,) = graph.modules.values()
    assert [*faults_of_shape(module, graph), *faults_of_tests(module, graph)]
