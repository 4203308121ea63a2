"""Finds blocks of equal lines that stand in two places: what could be one piece of code, read and mended once."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

EQUAL_LINES = 6
"""So many lines that say something make a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines that stand in two places, from the first line of each."""

    first: tuple[str, int]
    second: tuple[str, int]
    lines: int

    def __str__(self) -> str:
        return f"{self.lines} equal lines at {self.first[0]}:{self.first[1]} and {self.second[0]}:{self.second[1]}"


def equal_blocks(texts: Iterable[tuple[str, str]]) -> Iterator[Block]:
    """Every longest block of equal lines among named texts, each pair of places once."""
    lines = {name: list(telling_lines(text)) for name, text in texts}
    places: dict[tuple[str, ...], list[tuple[str, int]]] = {}
    for name, told in lines.items():
        for start in range(len(told) - EQUAL_LINES + 1):
            window = tuple(line for _, line in told[start : start + EQUAL_LINES])
            places.setdefault(window, []).append((name, start))
    covered: set[tuple[str, int, str, int]] = set()
    for found in places.values():
        for index, (name, start) in enumerate(found):
            for other, other_start in found[index + 1 :]:
                if (name, start - 1, other, other_start - 1) in covered:
                    covered.add((name, start, other, other_start))
                    continue
                covered.add((name, start, other, other_start))
                yield _block(lines, (name, start), (other, other_start))


def _block(lines: dict[str, list[tuple[int, str]]], first: tuple[str, int], second: tuple[str, int]) -> Block:
    one, two = lines[first[0]][first[1] :], lines[second[0]][second[1] :]
    length = next(
        (at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a[1] != b[1]), min(len(one), len(two))
    )
    return Block(first=(first[0], one[0][0]), second=(second[0], two[0][0]), lines=length)


def telling_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, but for those that say nothing of their own.

    Passed over are imports, comments, blank lines and lone brackets; and signatures, which a port and what fulfils it
    have in common.
    """
    passed_over = _imports_and_signatures(ast.parse(text))
    for number, line in enumerate(text.splitlines(), start=1):
        told = " ".join(line.split("  #")[0].split())
        if number not in passed_over and not told.startswith("#") and any(sign.isalnum() for sign in told):
            yield number, told


def _imports_and_signatures(tree: ast.Module) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.update(range(node.lineno, node.body[0].lineno))
    return found
