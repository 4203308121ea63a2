"""The shape of the house, held by a test: who may import whom, how large a room may be, what each module owns."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("emulator", "functions", "rules", "client", "demo", "bench", "tests")
MODULE_LINES = 600
FUNCTION_LINES = 80
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

# The services stand beside each other; only these may know more than one of them.
COMPOSERS = {"emulator/suite.py"}
SERVICES = {"firestore", "storage", "auth", "pubsub", "functions"}
RULES_GATES = re.compile(r"emulator/(firestore|storage)/rules_gate\w*\.py")


def sources(*rooms: str) -> list[Path]:
    found = [
        path
        for room in rooms
        for path in sorted((ROOT / room).rglob("*.py"))
        if not {"node_modules", "venv", ".venv", "codebases"} & set(path.parts)
    ]
    assert found, f"no sources in {rooms}: the test looks in the wrong place"
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def existing(*rooms: str) -> tuple[str, ...]:
    return tuple(room for room in rooms if any((ROOT / room).rglob("*.py")))


ALL = sources(*existing(*ROOMS))


def test_what_is_deployed_knows_nothing_of_the_local_suite() -> None:
    """functions/ and client/ meet the suite over the wire alone, and do not import each other."""
    for room, others in (("functions", ("emulator", "client")), ("client", ("emulator", "functions", "afterimage"))):
        for path in sources(*existing(room)) if existing(room) else []:
            met = [name for name in imports(path) if name.split(".")[0] in {*others, "tests", "bench", "rules", "demo"}]
            assert not met, f"{name_of(path)} imports {met[0]}: it must not know that room"


def test_the_suite_knows_nothing_of_afterimage() -> None:
    """emulator/ would serve any project as well: it never names this one's paths, rules or functions."""
    for path in sources("emulator"):
        met = [
            name
            for name in imports(path)
            if name.split(".")[0] in {"afterimage", "client", "tests", "bench", "rules", "demo"}
        ]
        assert not met, f"{name_of(path)} imports {met[0]}"
        assert "ai_outputs" not in path.read_text(), f"{name_of(path)} names a path of Afterimage's own"


def test_services_do_not_import_each_other() -> None:
    """A service may be read, tested and started alone; what they share lies beside them, not in one of them."""
    shared_of_auth = {"emulator.auth.id_tokens", "emulator.auth.app_check"}
    for path in sources("emulator"):
        own = path.relative_to(ROOT / "emulator").parts[0]
        if name_of(path) in COMPOSERS:
            continue
        for name in imports(path):
            parts = name.split(".")
            if (
                parts[0] == "emulator"
                and len(parts) > 1
                and parts[1] in SERVICES - {own}
                and name not in shared_of_auth
            ):
                raise AssertionError(f"{name_of(path)} imports {name}: services do not know each other")


def test_the_rules_language_stands_alone() -> None:
    """Anyone can use it in a project of their own: it imports the standard library, RE2 and itself."""
    import sys

    for path in sources("emulator/rules_language"):
        for name in imports(path):
            top = name.split(".")[0]
            own = name.startswith("emulator.rules_language")
            assert own or top in sys.stdlib_module_names or top == "re2", f"{name_of(path)} imports {name}"


def test_only_rules_gates_reach_from_a_service_into_the_rules_language() -> None:
    """Stores decide nothing about permission; one module per service asks the engine."""
    for path in sources("emulator/firestore", "emulator/storage"):
        reaches = any(name.startswith("emulator.rules_language") for name in imports(path))
        assert not reaches or RULES_GATES.fullmatch(name_of(path)), f"{name_of(path)} imports the rules language"


def test_cloud_client_packages_stay_out_of_the_suite() -> None:
    """Importing them costs half the start-up budget; the suite speaks the wire with messages of its own pool."""
    allowed = {"emulator/protos/collect.py"}
    for path in sources("emulator"):
        if name_of(path) in allowed or "functions" in path.parts:  # workers import what the user's codebase imports
            continue
        for name in imports(path):
            assert not name.startswith(("google.cloud", "firebase_", "grpc")), f"{name_of(path)} imports {name}"


def imports_when_loaded(path: Path) -> Iterator[str]:
    """What importing the module imports at once: not what functions import later, nor what only types need."""

    def walk(nodes: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            yield node
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from walk([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)])

    for node in walk(ast.parse(path.read_text()).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_run_in_no_circles() -> None:
    """Any module can be read after those it imports, and never needs one that needs it."""
    modules = {
        name_of(path).removeprefix("functions/").removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in sources("emulator", "functions", "rules")
        if "host" not in path.parts  # runs in another interpreter, and imports by relative names
    }
    graph = {name: {met for met in imports_when_loaded(path) if met in modules and met != name}
             for name, path in modules.items()}  # fmt: skip
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_every_module_says_what_it_owns_and_has_room_for_it(path: Path) -> None:
    """The first line is a docstring; neither module nor function outgrows a reader; the name says something."""
    text = path.read_text()
    tree = ast.parse(text)
    if path.name != "__init__.py" or text.strip():
        assert ast.get_docstring(tree), f"{name_of(path)}: begin with a docstring that says what this module owns"
    assert not FORBIDDEN_NAMES & {path.stem, *path.relative_to(ROOT).parts}, f"{name_of(path)}: say what is in it"
    lines = text.count("\n")
    assert lines <= MODULE_LINES, f"{name_of(path)} has {lines} lines: give part of it a module of its own"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{name_of(path)}:{node.lineno} `{node.name}` has {length} lines"


@pytest.mark.parametrize("path", [p for p in ALL if p.name.startswith("test_")], ids=name_of)
def test_every_test_states_the_promise_it_keeps(path: Path) -> None:
    """A failing test is read by somebody who did not write it."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            assert ast.get_docstring(node), f"{name_of(path)}:{node.lineno} `{node.name}` states no promise"


def test_no_test_sleeps_for_the_wall_clock() -> None:
    """Tests wait for what happens, never for time to pass."""
    for path in sources("tests"):
        for node in ast.walk(ast.parse(path.read_text())):
            slept = isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
            assert not slept, f"{name_of(path)}:{getattr(node, 'lineno', 0)} sleeps"
