"""Knows who can stand for a Protocol: a class that has all that the Protocol names, inherited members included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.structure.import_graph import Graph, Module, dotted_name

Members = Mapping[str, frozenset[str]]
"""Each member of a class, with the names of its parameters; attributes and properties have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSeen:
    """One class as it is written: its bases by their last names, and what it has of its own."""

    name: str
    where: str
    room: str
    bases: tuple[str, ...]
    members: Members

    @property
    def is_protocol(self) -> bool:
        return "Protocol" in self.bases


def protocols(graph: Graph, rooms: tuple[str, ...]) -> Iterator[tuple[ClassSeen, list[ClassSeen]]]:
    """Every Protocol of the rooms, each with the classes, those of the tests too, that can stand for it.

    A Protocol of one call is left out: functions stand for it.
    """
    seen = [found for module in graph.in_room(*rooms, "tests") for found in _classes(graph, module)]
    by_name = {found.name: found for found in seen}
    whole = {found.where: _with_inherited(found, by_name) for found in seen}
    for protocol in seen:
        wanted = whole[protocol.where]
        if protocol.is_protocol and protocol.room in rooms and "__call__" not in wanted:
            yield protocol, [one for one in seen if not one.is_protocol and _has_all(whole[one.where], wanted)]


def _has_all(members: Members, wanted: Members) -> bool:
    return all(name in members and parameters <= members[name] for name, parameters in wanted.items())


def _with_inherited(found: ClassSeen, by_name: Mapping[str, ClassSeen], depth: int = 0) -> Members:
    members: dict[str, frozenset[str]] = {}
    for base in found.bases:
        if base in by_name and depth < 5:
            members.update(_with_inherited(by_name[base], by_name, depth + 1))
    return {**members, **found.members}


def _classes(graph: Graph, module: Module) -> Iterator[ClassSeen]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).split("[")[0] for base in node.bases]
            yield ClassSeen(
                name=node.name,
                where=f"{graph.where(module)}:{node.lineno}",
                room=module.room,
                bases=tuple(base.rpartition(".")[2] for base in bases if base != "asyncio.Protocol"),
                members=dict(_members(node)),
            )


def _members(node: ast.ClassDef) -> Iterator[tuple[str, frozenset[str]]]:
    for part in node.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in _set_on_self(part):
                yield name, frozenset()
            parameters = (*part.args.posonlyargs, *part.args.args, *part.args.kwonlyargs)
            if part.name != "__init__":
                yield part.name, frozenset(parameter.arg for parameter in parameters) - {"self"}
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            yield part.target.id, frozenset()
        elif isinstance(part, ast.Assign):
            yield from ((target.id, frozenset()) for target in part.targets if isinstance(target, ast.Name))


def _set_on_self(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and dotted_name(node.value) == "self":
            yield node.attr
