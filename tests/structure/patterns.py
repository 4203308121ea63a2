"""Owns the survey of patterns: each regular expression of the rooms, how it is used, and what makes it work most."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.structure.import_graph import Module

# Python's own reader of patterns, which has no public name.
kinds: Any = importlib.import_module("re._constants")
parser: Any = importlib.import_module("re._parser")

USES: Final = frozenset({"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "scanner"})
MANY: Final = 2_000
"""A repetition of more than these is taken for endless."""
_MAY_USE: Final = re.compile(r"\bre\.|\.(?:" + "|".join(USES) + r")\(")
_REPEATS: Final = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT)


@dataclass(frozen=True, kw_only=True, order=True)
class Pattern:
    """One regular expression where it is written."""

    module: str
    text: str
    flags: int
    is_bytes: bool
    uses: tuple[str, ...]

    @property
    def compiled(self) -> re.Pattern[Any]:
        return re.compile(self.text.encode("latin-1") if self.is_bytes else self.text, self.flags)

    @property
    def parsed(self) -> Any:
        return parser.parse(self.text.encode("latin-1") if self.is_bytes else self.text, self.flags)


def patterns_of(modules: Sequence[Module], root: Path) -> list[Pattern]:
    """Every pattern that is a text where it is written; those that are made of others' texts are RE2's."""
    # The others neither hold patterns nor use them.
    concerned = [module for module in modules if _MAY_USE.search(module.text)]
    public = _uses_in(*(module.tree for module in concerned))
    found = set[Pattern]()
    for module in concerned:
        # A private name is used in its own module alone.
        own = {name: used for name, used in public.items() if name[:1] != "_"} | _uses_in(module.tree)
        found |= set(_patterns_in(module.path.relative_to(root).as_posix(), module.tree, own))
    return sorted(found)


def _uses_in(*trees: ast.Module) -> dict[str, set[str]]:
    uses: dict[str, set[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in USES:
                uses.setdefault(_last_name(node.value), set()).add(node.attr)
    return uses


def _patterns_in(module: str, tree: ast.Module, uses: dict[str, set[str]]) -> Iterator[Pattern]:
    names: dict[str, str | bytes] = {}
    named: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                named[id(node.value)] = target.id
                if (text := _text(node.value, names)) is not None:
                    names[target.id] = text
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        if _last_name(node.func.value) != "re" or node.func.attr not in USES | {"compile"}:
            continue
        text = _text(node.args[0], names)
        if text is None:
            continue
        used = {node.func.attr} if node.func.attr in USES else uses.get(named.get(id(node), ""), {"fullmatch"})
        others = (*node.args[1:], *(keyword.value for keyword in node.keywords))
        flags = [part for argument in others for part in ast.walk(argument)]
        value = 0
        for part in flags:
            if isinstance(part, ast.Attribute) and _last_name(part.value) == "re":
                value |= int(getattr(re, part.attr))
        yield Pattern(
            module=module,
            text=text.decode("latin-1") if isinstance(text, bytes) else text,
            flags=value,
            is_bytes=isinstance(text, bytes),
            uses=tuple(sorted(used)),
        )


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr, names: dict[str, str | bytes]) -> Any:
    match node:
        case ast.Constant(value=str() | bytes()):
            return node.value
        case ast.Name():
            return names.get(node.id)
        case ast.BinOp(op=ast.Add()):
            left, right = _text(node.left, names), _text(node.right, names)
            return None if left is None or right is None else left + right
        case ast.JoinedStr():
            parts = [_text(each.value if isinstance(each, ast.FormattedValue) else each, names) for each in node.values]
            return None if None in parts else "".join(parts)
    return None


# -- what it could do


def nested(pattern: Pattern) -> bool:
    """Whether an endless repetition that may give back stands within another one."""
    return any(_repeats_within(body) for _, body in _endless(pattern.parsed))


def _endless(tree: Any) -> Iterator[tuple[Any, Any]]:
    for kind, value in tree:
        for inside in _inner(kind, value):
            yield from _endless(inside)
        if kind in _REPEATS and value[1] >= MANY and kind is not kinds.POSSESSIVE_REPEAT:
            yield kind, value[2]


def _repeats_within(tree: Any) -> bool:
    return next(_endless(tree), None) is not None


def _inner(kind: Any, value: Any) -> list[Any]:
    if kind in _REPEATS:
        return [value[2]]
    if kind is kinds.SUBPATTERN:
        return [value[3]]
    if kind is kinds.BRANCH:
        return list(value[1])
    if kind is kinds.ATOMIC_GROUP:
        return [value]
    if kind in {kinds.ASSERT, kinds.ASSERT_NOT}:
        return [value[1]]
    return []


# -- what makes it work most


def worst_texts(pattern: Pattern, size: int) -> Iterator[str | bytes]:
    """Each endless repetition in turn, repeated as far as `size`, and then something that it cannot end with."""
    tree = pattern.parsed
    for number in range(sum(1 for _ in _all_repeats(tree))):
        for choice in (0, 1):
            written = _Writer(number, choice, size).text(tree)
            for tail in ("", "\x00", "!", " ", "\n\x00", "}"):
                yield (written + tail).encode("latin-1", "replace") if pattern.is_bytes else written + tail


def _all_repeats(tree: Any) -> Iterator[Any]:
    for kind, value in tree:
        if kind in _REPEATS and value[1] >= MANY:
            yield value
        for inside in _inner(kind, value):
            yield from _all_repeats(inside)


class _Writer:
    """Writes the shortest text that matches up to one repetition, that one as often as there is room, and no more."""

    def __init__(self, number: int, choice: int, size: int) -> None:
        self._number, self._choice, self._size = number, choice, size
        self._seen = -1
        self._is_done = False

    def text(self, tree: Any) -> str:
        out = ""
        for kind, value in tree:
            if self._is_done:
                break
            out += self._one(kind, value)
        return out

    def _one(self, kind: Any, value: Any) -> str:
        if kind in _REPEATS:
            low, high, body = value
            if high >= MANY:
                self._seen += 1
                if self._seen == self._number:
                    piece = self.text(body) or "a"
                    if not self._is_done:
                        self._is_done = True
                        return piece * (self._size // len(piece) + 1)
                    return piece
            count = max(low, 1 if self._seen < self._number and _repeats_within(body) else 0)
            return "".join(self.text(body) for _ in range(min(count, 300)))
        if kind is kinds.SUBPATTERN:
            return self.text(value[3])
        if kind is kinds.ATOMIC_GROUP:
            return self.text(value)
        if kind is kinds.BRANCH:
            branches = value[1]
            return self.text(branches[min(self._choice, len(branches) - 1)])
        if kind is kinds.LITERAL:
            return chr(value)
        if kind is kinds.NOT_LITERAL:
            return "a" if value != ord("a") else "b"
        if kind is kinds.ANY:
            return "a" if not self._choice else " "
        if kind is kinds.IN:
            return self._of_set(value)
        return ""

    def _of_set(self, items: Any) -> str:
        compiled = re.compile(_set_text(items), re.DOTALL)
        order = "a1 _-.\\/\"'=:;,A@%~\t\n" if not self._choice else " 1\ta\\-_./A=:;,"
        for character in order:
            if compiled.fullmatch(character):
                return character
        return next((chr(code) for code in range(1, 0x3000) if compiled.fullmatch(chr(code))), "a")


def _set_text(items: Any) -> str:
    categories = {
        kinds.CATEGORY_DIGIT: r"\d", kinds.CATEGORY_NOT_DIGIT: r"\D", kinds.CATEGORY_SPACE: r"\s",
        kinds.CATEGORY_NOT_SPACE: r"\S", kinds.CATEGORY_WORD: r"\w", kinds.CATEGORY_NOT_WORD: r"\W",
    }  # fmt: skip
    out = ""
    for kind, value in items:
        if kind is kinds.NEGATE:
            out += "^"
        elif kind is kinds.LITERAL:
            out += re.escape(chr(value))
        elif kind is kinds.RANGE:
            out += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        elif kind is kinds.CATEGORY:
            out += categories[value]
    return f"[{out}]"
