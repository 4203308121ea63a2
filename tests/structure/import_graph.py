"""Who imports whom, resolved as Python resolves names: relative ones, `from package import module`, names in strings.

Nothing is imported to find out: the sources are read as text, so that a module which cannot run here counts as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_NOT_OURS = {"node_modules", "venv", ".venv", "codebases", "build", "generated"}
_PLACE = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")
"""`package.module:function`, by which a function is imported when it is first needed."""


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports, and whether merely importing the module imports it."""

    name: str
    line: int
    at_once: bool


@dataclass(frozen=True, slots=True)
class Module:
    """A module of this repository: its dotted name, the room it stands in, what it imports."""

    name: str
    room: str
    path: Path
    text: str
    tree: ast.Module
    imports: tuple[Import, ...]


class Graph:
    """All modules of the rooms, by the names under which Python finds them."""

    def __init__(self, modules: Mapping[str, Module], root: Path) -> None:
        self.modules = modules
        self.root = root

    def within(self, *packages: str) -> list[Module]:
        """The modules of these packages; nobody rules over an empty one without noticing."""
        found = [module for name, module in self.modules.items() if any(is_within(name, each) for each in packages)]
        if not found:
            raise EmptyGraphError(f"no module in `{'`, `'.join(packages)}`: the rule looks in the wrong place")
        return found

    def in_room(self, *rooms: str) -> list[Module]:
        """The modules of these rooms, likewise."""
        found = [module for module in self.modules.values() if module.room in rooms]
        if not found:
            raise EmptyGraphError(f"no module in room `{'`, `'.join(rooms)}`: the rule looks in the wrong place")
        return found

    def where(self, module: Module) -> str:
        return module.path.relative_to(self.root).as_posix()

    def target(self, name: str) -> str | None:
        """The module of ours that an imported name leads to: itself, or the module that holds it."""
        while name:
            if name in self.modules:
                return name
            name = name.rpartition(".")[0]
        return None


class EmptyGraphError(AssertionError):
    """A rule found nothing to judge, so its silence means nothing."""


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def read_graph(root: Path, rooms: Mapping[str, str]) -> Graph:
    """The graph of the rooms below `root`; `rooms` says for each the folder from which its modules are named."""
    sources: dict[str, tuple[str, Path]] = {}
    for room, named_from in rooms.items():
        for path in sorted((root / room).rglob("*.py")):
            if not _NOT_OURS & set(path.relative_to(root).parts):
                sources[_module_name(path.relative_to(root), Path(named_from))] = (room, path)
    modules = {}
    for name, (room, path) in sources.items():
        text = path.read_text()
        tree = ast.parse(text)
        found = tuple(_imports(tree, name if path.name == "__init__.py" else name.rpartition(".")[0], sources))
        modules[name] = Module(name=name, room=room, path=path, text=text, tree=tree, imports=found)
    return Graph(modules, root)


def _module_name(path: Path, named_from: Path) -> str:
    parts = (path.relative_to(named_from) if path.is_relative_to(named_from) else path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, package: str, known: Mapping[str, object]) -> Iterator[Import]:
    for node, at_once in _walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(alias.name, node.lineno, at_once)
            case ast.ImportFrom(module=module, names=names, level=level):
                origin = _absolute(module or "", level, package)
                if origin:
                    yield Import(origin, node.lineno, at_once)
                for alias in names:
                    member = f"{origin}.{alias.name}".lstrip(".")
                    if member in known or not module:
                        yield Import(member, node.lineno, at_once)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _loads(func):
                yield Import(name, node.lineno, at_once)
            case ast.Constant(value=str(text)) if (place := _PLACE.fullmatch(text)) and place[1] in known:
                yield Import(place[1], node.lineno, at_once=False)


def _absolute(module: str, level: int, package: str) -> str:
    if level == 0:
        return module
    base = package.split(".")
    return ".".join([*base[: len(base) - level + 1], *filter(None, [module])])


def _loads(func: ast.expr) -> bool:
    return dotted_name(func) in {"importlib.import_module", "import_module", "__import__"}


def dotted_name(node: ast.expr) -> str:
    """What a name or an attribute of one is called in the source; nothing for any other expression."""
    if isinstance(node, ast.Attribute):
        owner = dotted_name(node.value)
        return owner and f"{owner}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, with whether it runs when the module is imported: not what functions do, nor what only types need."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, at_once = waiting.pop()
        for child in ast.iter_child_nodes(node):
            inside = at_once and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.If) and dotted_name(child.test).rpartition(".")[2] == "TYPE_CHECKING":
                inside = False
            yield child, inside
            waiting.append((child, inside))
