"""Finds the match blocks that cover a path, and what their captures bind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.evaluator import Evaluate, Planner
from afterimage_emulator.rules_language.evaluation.rule_values import Path, UnknownValue
from afterimage_emulator.rules_language.scopes import Scope
from afterimage_emulator.rules_language.syntax.source_span import SourceText
from afterimage_emulator.rules_language.syntax.syntax_tree import AllowStatement, Match, Segment

MAXIMUM_MATCH_STEPS: Final = 20_000
_METHOD_GROUPS: Final = {"read": ("get", "list"), "write": ("create", "update", "delete")}

UNKNOWN_DOCUMENT: Final = UnknownValue("any document of the query")
ANY_PARENT: Final = UnknownValue("any parent of the collection group")


class MatchComplexityError(Exception):
    """The globs of nested match blocks can cover this path in too many ways."""


class AllowPlan:
    """One allow statement, planned when it is first tried."""

    __slots__ = ("_evaluate", "_watched", "block", "column", "line", "methods", "scope", "statement")

    def __init__(self, statement: AllowStatement, block: MatchBlock, scope: Scope, source: SourceText) -> None:
        self.statement = statement
        self.block = block
        self.scope = scope
        self.methods = frozenset(m for method in statement.methods for m in _METHOD_GROUPS.get(method, (method,)))
        place = statement.span if statement.condition is None else statement.condition.span
        self.line, self.column = source.position(place.start)
        self._evaluate: Evaluate | None = None
        self._watched: dict[Planner, Evaluate] = {}

    def evaluator(self, planner: Planner) -> Evaluate:
        if self._evaluate is None:
            self._evaluate = self._plan(planner)
        return self._evaluate

    def watched_evaluator(self, planner: Planner) -> Evaluate:
        if planner not in self._watched:
            self._watched[planner] = self._plan(planner)
        return self._watched[planner]

    def _plan(self, planner: Planner) -> Evaluate:
        if self.statement.condition is None:
            return lambda c, values: True
        return planner.condition(self.statement.condition, self.scope)


class MatchBlock:
    """One match block: its pattern, its allows, and the blocks inside."""

    __slots__ = (
        "_glob", "_minimum", "_pattern", "allows", "around", "children", "full_path", "line",
        "match", "starts_with",
    )  # fmt: skip

    def __init__(
        self, match: Match, outer: Scope, source: SourceText, version: int, around: MatchBlock | None = None
    ) -> None:
        scope = Scope(outer, functions=match.functions, captures=[s for s in match.segments if s.is_capture])
        self.match = match
        self.line = source.position(match.span.start).line
        self.around = around
        self.full_path: str = (around.full_path if around else "") + "".join(
            f"/{_shown(segment)}" for segment in match.segments
        )
        self._pattern = tuple(None if segment.is_capture else segment.text for segment in match.segments)
        self._glob = next((at for at, segment in enumerate(match.segments) if segment.is_glob), None)
        self._minimum = 1 if version == 1 else 0
        first = match.segments[0]
        self.starts_with = None if first.is_capture else first.text
        self.allows = tuple(AllowPlan(statement, self, scope, source) for statement in match.allows)
        self.children = MatchIndex([MatchBlock(inner, scope, source, version, self) for inner in match.matches])

    def lineage(self) -> list[MatchBlock]:
        """The blocks around this one, outermost first, and itself."""
        return [*(self.around.lineage() if self.around else ()), self]

    def covers(self, path: Sequence[object], at: int) -> Iterable[tuple[int, tuple[object, ...]]]:
        """Where this pattern can end in a path that it enters at `at`, with what it captures on the way."""
        if self._glob is not None:
            return self._glob_covers(path, at, self._glob)
        captured = _fits(self._pattern, path, at)
        return () if captured is None else ((at + len(self._pattern), captured),)

    def _glob_covers(self, path: Sequence[object], at: int, glob: int) -> Iterator[tuple[int, tuple[object, ...]]]:
        before, after = self._pattern[:glob], self._pattern[glob + 1 :]
        captured = _fits(before, path, at)
        if captured is None:
            return
        start = at + len(before)
        ends_here = not after and not self.children
        first = max(start + self._minimum, len(path) if ends_here else 0)
        for stop in range(first, len(path) - len(after) + 1):
            behind = _fits(after, path, stop)
            if behind is None or (self._minimum and ANY_PARENT in path[start:stop]):
                continue
            yield stop + len(after), (*captured, Path(tuple(path[start:stop])), *behind)


def _fits(pattern: Sequence[str | None], path: Sequence[object], at: int) -> tuple[object, ...] | None:
    """What the pattern's single segments (None: any) capture; None where the path is shorter or differs."""
    if at + len(pattern) > len(path):
        return None
    captured: list[object] = []
    for text, given in zip(pattern, path[at : at + len(pattern)], strict=True):
        if text is not None:
            if text != given:
                return None
        elif given is ANY_PARENT:
            return None
        else:
            captured.append(given)
    return tuple(captured)


def _shown(segment: Segment) -> str:
    if segment.is_glob:
        return f"{{{segment.text}=**}}"
    return f"{{{segment.text}}}" if segment.is_capture else segment.text


class MatchIndex:
    """Sibling match blocks, found by the fixed segment they begin with."""

    __slots__ = ("_blocks", "_by_start", "_open")

    def __init__(self, blocks: Sequence[MatchBlock]) -> None:
        self._blocks = blocks
        self._open = tuple(block for block in blocks if block.starts_with is None)
        by_start: dict[str, list[MatchBlock]] = {}
        for block in blocks:
            if block.starts_with is not None:
                by_start.setdefault(block.starts_with, []).append(block)
        self._by_start: dict[object, tuple[MatchBlock, ...]] = {
            text: (*fixed, *self._open) for text, fixed in by_start.items()
        }

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def __iter__(self) -> Iterator[MatchBlock]:
        return iter(self._blocks)

    def covering(self, path: Sequence[object]) -> list[tuple[MatchBlock, tuple[object, ...]]]:
        """Every block that covers the whole path, in the order of the text, once for each way it does."""
        found: list[tuple[MatchBlock, tuple[Any, ...]]] = []
        self._collect(path, 0, (), found, [0])
        if len(found) > 1:
            found.sort(key=lambda entry: entry[0].match.span.start)
        return found

    def _collect(
        self,
        path: Sequence[object],
        at: int,
        captures: tuple[object, ...],
        found: list[tuple[MatchBlock, tuple[object, ...]]],
        steps: list[int],
    ) -> None:
        candidates = self._open if at >= len(path) else self._by_start.get(path[at], self._open)
        for block in candidates:
            for end, captured in block.covers(path, at):
                steps[0] += 1
                if steps[0] > MAXIMUM_MATCH_STEPS:
                    raise MatchComplexityError
                bound = captures + captured
                if end == len(path) and block.allows:
                    found.append((block, bound))
                if block.children:
                    block.children._collect(path, end, bound, found, steps)
