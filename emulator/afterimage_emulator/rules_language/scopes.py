"""Which names mean what, where: captures by their slot, functions by the scope that declared them."""

from __future__ import annotations

from collections.abc import Iterable

from afterimage_emulator.rules_language.syntax.syntax_tree import Function, Segment


class Scope:
    """What one file, service or match block declares, on top of what surrounds it.

    Captures are numbered along the chain of blocks, so a function of an outer block finds its own captures in the same
    slots whichever inner block calls it.
    """

    __slots__ = ("_captures", "_functions", "capture_count", "parent")

    def __init__(
        self,
        parent: Scope | None,
        *,
        functions: Iterable[Function] = (),
        captures: Iterable[Segment] = (),
    ) -> None:
        self.parent = parent
        self._functions = {function.name: function for function in functions}
        self.capture_count: int = parent.capture_count if parent else 0
        self._captures: dict[str, int] = {}
        for segment in captures:
            self._captures[segment.text] = self.capture_count
            self.capture_count += 1

    def capture(self, name: str) -> int | None:
        """The slot of a capture that is visible here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope._captures:
                return scope._captures[name]
            scope = scope.parent
        return None

    def function(self, name: str) -> tuple[Function, Scope] | None:
        """The innermost function of a name, and the scope its body is written in."""
        scope: Scope | None = self
        while scope is not None:
            function = scope._functions.get(name)
            if function is not None:
                return function, scope
            scope = scope.parent
        return None
