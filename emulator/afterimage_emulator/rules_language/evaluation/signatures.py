"""How built-in functions and methods are declared and called: their overloads, checked, with the official texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from afterimage_emulator.rules_language.evaluation.operators import NULL_ERROR, unsupported
from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError, kind_of

ANY = "value"


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function or method by its shown name, the kinds each overload takes, and what computes it."""

    shown: str
    overloads: tuple[tuple[str, ...], ...]
    compute: Callable[..., object]

    @property
    def expected(self) -> str:
        return ", ".join(f"{self.shown}({', '.join(kinds)})" for kinds in self.overloads)

    def for_kinds(self, kinds: tuple[str, ...]) -> Callable[..., object] | None:
        """What computes the answer for arguments of these kinds, if there is an overload for them."""
        for overload in self.overloads:
            if overload == kinds or (
                len(overload) == len(kinds)
                and all(wanted in (kind, ANY) for wanted, kind in zip(overload, kinds, strict=True))
            ):
                return self.compute
        return None

    def call(self, arguments: Sequence[Any], *, receiver: tuple[Any, ...] = ()) -> Any:
        kinds = tuple(map(kind_of, arguments))
        compute = self.for_kinds(kinds)
        if compute is not None:
            return compute(*receiver, *arguments)
        if not any(len(overload) == len(kinds) for overload in self.overloads):
            raise EvaluationError(f"Incorrect number of arguments. Received: {len(kinds)}. Expected: {self.expected}.")
        raise unsupported(f"{self.shown}({', '.join(kinds)})", self.expected)


def function_not_found(name: str) -> EvaluationError:
    return EvaluationError(f"Function not found error: Name: [{name}].")


class MethodTable:
    """The methods of all kinds, by name and then by the receiver's kind."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[str, Builtin]] = {}

    def add(self, kind: str, name: str, *overloads: tuple[str, ...], compute: Callable[..., Any]) -> None:
        self._by_name.setdefault(name, {})[kind] = Builtin(f"{kind}.{name}", overloads or ((),), compute)

    def named(self, name: str) -> dict[str, Builtin]:
        return self._by_name.get(name, {})

    def names(self) -> list[tuple[str, str]]:
        """Every (kind, name) there is, for tests that must cover them all."""
        return sorted((kind, name) for name, kinds in self._by_name.items() for kind in kinds)


def call_method(methods: dict[str, Builtin], name: str, receiver: object, arguments: Sequence[object]) -> object:
    kind = kind_of(receiver)
    method = methods.get(kind)
    if method is None:
        raise EvaluationError(NULL_ERROR) if kind == "null" else function_not_found(name)
    return method.call(arguments, receiver=(receiver,))
