"""What rules talk about: the paths they match, the fields and claims they read, and the values they compare with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_emulator.rules_language import LatLng, Path, Timestamp
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    Binary,
    CallExpression,
    Expression,
    Function,
    ListLiteral,
    Literal,
    Match,
    Member,
    PathLiteral,
    RulesFile,
    Segment,
    TypeTest,
    Variable,
    walk,
)

NOW: Final = Timestamp(1_714_564_800_000_000_000)
USER: Final = "alice"
_LONGEST_SAMPLE: Final = 20_000
SAMPLES: Final[dict[str, tuple[object, ...]]] = {
    "bool": (True,), "bytes": (b"x",), "float": (1.5,), "int": (3,), "latlng": (LatLng(1.0, 2.0),), "list": (["x"],),
    "map": ({"x": 1},), "number": (2, 2.5), "path": (Path(("a", "b")),), "string": ("text",), "timestamp": (NOW,),
}  # fmt: skip


@dataclass(slots=True)
class Vocabulary:
    """Collected from one ruleset or several. `near` has, by field or claim, the values next to which rules decide."""

    patterns: dict[str, list[tuple[Segment, ...]]] = field(default_factory=dict)
    fields: set[str] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)
    near: dict[str, list[object]] = field(default_factory=dict)
    constants: dict[object, object] = field(default_factory=dict)
    looked_up: list[PathLiteral] = field(default_factory=list)

    def learn(self, rules: RulesFile) -> None:
        roots = _function_parts(rules.functions)
        for service in rules.services:
            roots += _function_parts(service.functions)
            for match in service.matches:
                self._learn_match(service.name, match, (), roots)
        for root in roots:
            for node in walk(root):
                self._learn_names(node)
                self._learn_values(node)

    def _learn_match(self, service: str, match: Match, around: tuple[Segment, ...], roots: list[Expression]) -> None:
        pattern = (*around, *match.segments)
        if match.allows:
            known = self.patterns.setdefault(service, [])
            if all(_shape(pattern) != _shape(other) for other in known):
                known.append(pattern)
        roots += _function_parts(match.functions)
        roots += [allow.condition for allow in match.allows if allow.condition is not None]
        for inner in match.matches:
            self._learn_match(service, inner, pattern, roots)

    def _learn_names(self, node: Expression) -> None:
        match node:
            case Member(_, Member(_, Member(_, Variable(_, "request"), "auth"), "token"), name):
                self.claims.add(name)
            case Member(_, Member(_, _, "data"), name) | Member(_, Member(_, _, "metadata"), name):
                self.fields.add(name)
            case CallExpression(_, _, "get", (Literal(_, str(name)), _)):
                self.fields.add(name)
            case Literal(_, value) if not isinstance(value, bool) and value is not None:
                self.constants.setdefault((type(value), value), value)
            case PathLiteral():
                self.looked_up.append(node)

    def _learn_values(self, node: Expression) -> None:
        match node:
            case Binary(_, "in", Literal(_, str(name)), _):
                self.fields.add(name)
            case Binary(_, "in", target, ListLiteral(_, items)):
                for item in items:
                    self._add_near(target, item)
            case Binary(_, "in", item, target):
                self._add_near(target, ListLiteral(item.span, (item,)))
            case Binary(_, _, left, right):
                self._add_near(left, right)
                self._add_near(right, left)
            case TypeTest(_, target, type_name) if type_name in SAMPLES:
                for sample in SAMPLES[type_name]:
                    self._note(_name_of(target), sample)
            case CallExpression(_, _, "hasAll" | "hasAny" | "hasOnly", (ListLiteral(_, items),)):
                self.fields |= {
                    item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str)
                }

    def _add_near(self, target: Expression, compared: Expression) -> None:
        """Notes values on both sides of a comparison's bound."""
        is_size = isinstance(target, CallExpression) and target.name == "size" and target.receiver is not None
        name = _name_of(
            target.receiver if isinstance(target, CallExpression) and target.receiver is not None else target
        )
        for value in _values_of(compared):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            for sample in (value - 1, value, value + 1) if is_number else (value,):
                if not is_size:
                    self._note(name, sample)
                elif isinstance(sample, int) and 0 <= sample <= _LONGEST_SAMPLE:
                    self._note(name, "x" * sample)
                    self._note(name, ["x"] * sample)

    def _note(self, name: str | None, value: object) -> None:
        if name is not None:
            known = self.near.setdefault(name, [])
            if len(known) < 40 and all(type(value) is not type(other) or value != other for other in known):
                known.append(value)


def _function_parts(functions: tuple[Function, ...]) -> list[Expression]:
    return [part for function in functions for part in (*(let.value for let in function.lets), function.result)]


def _shape(pattern: tuple[Segment, ...]) -> list[tuple[str, bool]]:
    return [("" if segment.is_capture else segment.text, segment.is_glob) for segment in pattern]


def _name_of(target: Expression) -> str | None:
    """The field or claim that an expression reads."""
    if isinstance(target, Member):
        return target.name
    if isinstance(target, CallExpression) and target.name == "get" and target.arguments:
        key = target.arguments[0]
        return key.value if isinstance(key, Literal) and isinstance(key.value, str) else None
    return None


def _values_of(compared: Expression) -> list[Any]:
    """What an expression stands for in made-up requests; none where only an evaluation could tell."""
    match compared:
        case Literal(_, value):
            return [value]
        case Member(_, _, "uid"):
            return [USER]
        case Member(_, Variable(_, "request"), "time"):
            return [NOW, Timestamp(NOW.nanos - 1), Timestamp(NOW.nanos + 1)]
        case ListLiteral(_, items):
            return [[value for item in items for value in _values_of(item)]]
        case _:
            return []
