"""Requests made to satisfy an allow: a first guess, of which is mended what fails the tests of the condition.

The engine itself evaluates each test on the request as it stands, and in the end decides it, so a guess that does not
work out is merely lost. What is mended: fields of stored and written data, claims, the caller, captured segments and
the documents that the rules look up; by types, sizes, keys, ranges, lists of values and patterns.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from afterimage_emulator.rules_language import FirestoreRequest, MemoryLookup, Ruleset, StorageRequest, Timestamp
from afterimage_emulator.rules_language.bindings import cases_of
from afterimage_emulator.rules_language.evaluation.context import Context, ExpressionLimitError
from afterimage_emulator.rules_language.evaluation.evaluator import Planner
from afterimage_emulator.rules_language.evaluation.lookups import RequestLookups
from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError, Path
from afterimage_emulator.rules_language.matching import AllowPlan
from afterimage_emulator.rules_language.syntax.printer import print_expression
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    Binary,
    CallExpression,
    Expression,
    Index,
    Literal,
    Member,
    PathLiteral,
    Segment,
    TypeTest,
    Variable,
)
from afterimage_emulator.rules_testing.comparing.matching_texts import UnknownSyntaxError, matching_text
from afterimage_emulator.rules_testing.comparing.vocabulary import NOW, SAMPLES, USER
from afterimage_emulator.rules_testing.comparing.ways import Test, TooLargeError, one_way, written_out

ROUNDS: Final = 4
_LARGEST_SIZE: Final = 20_000
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_CONTRARY: Final = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_FAILED: Final = object()

Place = tuple[str, ...]


class RequestInTheMaking:
    """A request in the making. `data` holds all that can be changed, by where rules see it."""

    def __init__(self, service: str, method: str, segments: list[Segment], chance: random.Random) -> None:
        self._service = service
        self._method = method
        self._segments = segments
        self._chance = chance
        is_write = method in ("create", "update")
        self.data: dict[str, Any] = {
            "auth": {"uid": USER, "token": {"sub": USER, "user_id": USER}},
            "old": None if method == "create" else {},
            "new": {} if is_write else None,
            "captures": {segment.text: self._capture(segment) for segment in segments if segment.is_capture},
            "documents": {},
            "gone": {},
        }

    @property
    def is_storage(self) -> bool:
        return self._service == "firebase.storage"

    def _capture(self, segment: Segment) -> object:
        if segment.text == "database":
            return "(default)"
        if not segment.is_glob:
            return USER
        fixed = sum(not other.is_glob for other in self._segments) - 3
        return [f"g{number}" for number in range(2 - fixed % 2)]

    def path(self) -> list[str]:
        """The whole path, with what its captures stand for."""
        found: list[str] = []
        for segment in self._segments:
            value = self.data["captures"][segment.text] if segment.is_capture else segment.text
            found += value if isinstance(value, list) else [value]
        return found

    def captures(self) -> tuple[Any, ...]:
        values = (self.data["captures"][segment.text] for segment in self._segments if segment.is_capture)
        return tuple(Path(tuple(value)) if isinstance(value, list) else value for value in values)

    def request(self) -> FirestoreRequest | StorageRequest:
        path = self.path()
        data = self.data
        if self.is_storage:
            return StorageRequest(
                method=self._method, bucket=path[1], path="/".join(path[3:]), time=NOW, auth=data["auth"],
                resource=data["old"], request_resource=data["new"],
            )  # fmt: skip
        return FirestoreRequest(
            method=self._method, path="/".join(path[3:]), time=NOW, auth=data["auth"], database=path[1],
            resource=data["old"], request_resource=data["new"],
        )  # fmt: skip

    def lookup(self) -> MemoryLookup:
        after = {} if self.is_storage else {**self.data["gone"], "/".join(self.path()[3:]): self.data["new"]}
        return MemoryLookup(self.data["documents"], after=after)


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """One allow and method that shall be satisfied, its condition without calls of functions."""

    service: str
    plan: AllowPlan
    method: str
    condition: Expression

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for goals of two rulesets that ask the same of the same path."""
        return self.plan.block.full_path, self.method, print_expression(self.condition)


def goals_of(ruleset: Ruleset) -> Iterator[Goal]:
    """Every allow and method but `list`, which asks no document; conditions that grow too large are left out."""
    for service, plan in ruleset.allow_plans():
        condition: Expression = plan.statement.condition or Literal(plan.statement.span, True)
        try:
            whole = written_out(condition, plan.scope)
        except TooLargeError:
            continue
        for method in sorted(plan.methods - {"list"}):
            yield Goal(service=service, plan=plan, method=method, condition=whole)


def satisfying_requests(
    ruleset: Ruleset, goal: Goal, *, tries: int, chance: random.Random
) -> Iterator[tuple[FirestoreRequest | StorageRequest, MemoryLookup]]:
    """Requests that a ruleset allows, at most one for each try at the goal."""
    for _ in range(tries):
        attempt = _Solver(goal.service, goal.plan, goal.method, chance).solved(goal.condition)
        request, lookup = attempt.request(), attempt.lookup()
        if ruleset.decide(request, lookup).allowed:
            yield request, lookup


class _Solver:
    """Mends one attempt, for one allow and method."""

    def __init__(self, service: str, plan: AllowPlan, method: str, chance: random.Random) -> None:
        self._plan = plan
        self._chance = chance
        self._planner = Planner(service=service)
        segments = [segment for block in plan.block.lineage() for segment in block.match.segments]
        self._attempt = RequestInTheMaking(service, method, segments, chance)

    def solved(self, condition: Expression) -> RequestInTheMaking:
        tests = one_way(condition, True, self._chance)
        for _ in range(ROUNDS):
            self._mend_all(tests)
        if self._chance.random() < 0.7:  # to the bounds, for there rules differ
            for node, want in tests:
                self._stretch(node, want)
            self._mend_all(tests)
        return self._attempt

    def _mend_all(self, tests: list[Test]) -> None:
        for node, want in tests:
            if self._value(node) is not want:
                self._mend(node, want)

    def _stretch(self, node: Expression, want: bool) -> None:
        """Moves what a test bounds to its bound."""
        if isinstance(node, Binary) and node.operator in ("<", "<=", ">", ">="):
            needed = node.operator if want else _CONTRARY[node.operator]
            if not self._mend_comparison(node.left, needed, node.right, exactly=True):
                self._mend_comparison(node.right, _MIRRORED[needed], node.left, exactly=True)

    def _value(self, node: Expression) -> Any:
        """What an expression is worth on the request as it stands."""
        attempt = self._attempt
        case = cases_of(attempt.request())[0]
        context = Context(
            request=case.request, resource=case.resource, database=case.database,
            lookups=RequestLookups(attempt.lookup(), limit=100),
        )  # fmt: skip
        context.captures = attempt.captures()
        try:
            return self._planner.condition(node, self._plan.scope)(context, [])
        except (EvaluationError, ExpressionLimitError, RecursionError):
            return _FAILED

    # -- places

    def _place(self, node: Expression | None) -> Place | None:
        """Where a value comes from that can be changed; the first name says in which part of the request."""
        match node:
            case Variable(_, name) if name in self._attempt.data["captures"] and name != "database":
                return ("captures", name)
            case Member(_, Variable(_, "request"), "auth"):
                return ("auth",)
            case Member(_, Variable(_, "request"), "resource") if self._attempt.is_storage:
                return ("new",)
            case Variable(_, "resource") if self._attempt.is_storage:
                return ("old",)
            case Member(_, Member(_, Variable(_, "request"), "resource"), "data"):
                return ("new",)
            case Member(_, Variable(_, "resource"), "data"):
                return ("old",)
            case Member(_, CallExpression(_, _, "get" | "getAfter", (PathLiteral() as path,)), "data"):
                found = self._value(path)
                return ("documents", "/".join(found.segments[3:])) if isinstance(found, Path) else None
            case Member(_, target, name):
                return self._inside(target, name)
            case Index(_, target, key):
                return self._inside(target, self._value(key))
            case CallExpression(_, target, "get", (key, _)) if target is not None:
                return self._inside(target, self._value(key))
            case _:
                return None

    def _inside(self, target: Expression, key: object) -> Place | None:
        around = self._place(target)
        names = key if isinstance(key, list) else [key]
        return (*around, *names) if around and all(isinstance(name, str) for name in names) else None

    def _set(self, node: Expression | None, value: Any) -> bool:
        place = self._place(node)
        if place is None or value is _FAILED:
            return False
        if place[0] == "captures" and not (isinstance(value, str) and value and "/" not in value):
            return False
        into = self._attempt.data
        for name in place[:-1]:
            if not isinstance(into.get(name), dict):
                into[name] = {}
            into = into[name]
        into[place[-1]] = copy.deepcopy(value)
        return True

    def _map(self, node: Expression | None) -> dict[str, object] | None:
        """The map at a place, made where there is none."""
        if not isinstance(self._value(node) if node is not None else None, dict) and not self._set(node, {}):
            return None
        place = self._place(node)
        found: Any = self._attempt.data
        for name in place or ("",):
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None

    # -- mending

    def _mend(self, node: Expression, want: bool) -> None:
        match node:
            case Binary(_, "in", item, collection):
                self._mend_membership(item, collection, want)
            case Binary(_, operator, left, right) if operator in _CONTRARY:
                needed = operator if want else _CONTRARY[operator]
                if not self._mend_comparison(left, needed, right):
                    self._mend_comparison(right, _MIRRORED[needed], left)
            case TypeTest(_, operand, type_name) if type_name in SAMPLES:
                others: tuple[object, ...] = ({}, [], "text", 1)
                self._set(operand, self._chance.choice(SAMPLES[type_name] if want else others))
            case CallExpression(_, receiver, "matches", (pattern,)) if want:
                self._set(receiver, self._matching(self._value(pattern)))
            case CallExpression(_, receiver, "hasAll" | "hasAny" | "hasOnly" as name, (given,)):
                self._mend_set_test(receiver, name, self._value(given), want)
            case CallExpression(_, _, "exists" | "existsAfter" as name, (path,)):
                self._mend_existence(self._value(path), want, after=name == "existsAfter")
            case _:
                self._set(node, want)

    def _matching(self, pattern: object) -> object:
        try:
            return matching_text(pattern, self._chance) if isinstance(pattern, str) else _FAILED
        except UnknownSyntaxError:
            return _FAILED

    def _mend_existence(self, path: Any, want: bool, *, after: bool) -> None:
        if isinstance(path, Path):
            name = "/".join(map(str, path.segments[3:]))
            if after and not want:
                self._attempt.data["gone"][name] = None
            elif want:
                self._attempt.data["documents"].setdefault(name, {})
                self._attempt.data["gone"].pop(name, None)
            else:
                self._attempt.data["documents"].pop(name, None)

    def _mend_membership(self, item: Expression, collection: Expression, want: bool) -> None:
        key, values = self._value(item), self._value(collection)
        if isinstance(values, list) and self._place(item) is not None:
            self._set(item, self._chance.choice(values) if want and values else "elsewhere")
        elif isinstance(values, dict) or (isinstance(key, str) and self._is_data(collection)):
            into = self._map(collection)
            if into is not None and isinstance(key, str):
                _put_or_drop(into, key, want)
        elif want:
            self._set(collection, [key])
        elif isinstance(values, list):
            self._set(collection, [value for value in values if value != key])

    def _is_data(self, node: Expression) -> bool:
        place = self._place(node)
        return place in (("new",), ("old",), ("auth", "token")) or (place is not None and place[0] == "documents")

    def _mend_comparison(self, target: Expression, operator: str, other: Expression, *, exactly: bool = False) -> bool:
        """Changes the target so that it compares as needed to what the other side is worth now."""
        bound = self._value(other)
        if bound is _FAILED:
            return False
        if isinstance(target, CallExpression) and target.name == "size" and target.receiver is not None:
            return self._resize(target.receiver, operator, bound, exactly=exactly)
        if isinstance(target, Binary) and target.operator in ("+", "-") and isinstance(target.right, Literal):
            return self._mend_sum(target, operator, bound)
        if isinstance(bound, int) and isinstance(self._value(target), float):
            bound = float(bound)
        if operator == "!=":
            return self._set(target, another(bound))
        return self._set(target, _compared(operator, bound))

    def _mend_sum(self, target: Binary, operator: str, bound: object) -> bool:
        step = self._value(target.right)
        value = _compared(operator, bound)
        if not isinstance(step, int):
            return False
        if not isinstance(value, int):  # neither side is a number yet: this one becomes one, the other follows it
            return self._set(target.left, 1)
        return self._set(target.left, value - step if target.operator == "+" else value + step)

    def _resize(self, receiver: Expression, operator: str, bound: object, *, exactly: bool) -> bool:
        size = _compared(operator if operator != "!=" else ">", bound)
        if operator in ("<", "<=") and isinstance(size, int) and not exactly:
            size = min(size, 1)
        if not isinstance(size, int) or not 0 <= size <= _LARGEST_SIZE:
            return False
        if isinstance(receiver, CallExpression) and receiver.name == "keys":
            receiver = receiver.receiver or receiver
        if isinstance(receiver, CallExpression) and receiver.name == "toUtf8":
            receiver = receiver.receiver or receiver
        value = self._value(receiver)
        if isinstance(value, list):
            return self._set(receiver, (value + ["x"] * size)[:size])
        if isinstance(value, dict):
            names = [*value, *(f"k{number}" for number in range(size))][:size]
            return self._set(receiver, {name: value.get(name, "x") for name in names})
        return self._set(receiver, ((value if isinstance(value, str) else "") + "x" * size)[:size])

    # -- keys

    def _mend_set_test(self, receiver: Expression | None, name: str, given: Any, want: bool) -> None:
        wanted = list(given) if given is not _FAILED else []
        match receiver:
            case CallExpression(_, target, "keys", ()):
                into = self._map(target)
                if into is not None:
                    _mend_keys(into, name, wanted, want, self._chance, partial(_put_or_drop, into))
            case CallExpression(_, CallExpression(_, new, "diff", (old,)), kind, ()):
                self._mend_diff(new, old, kind, name, wanted, want)
            case CallExpression(_, CallExpression(_, target, "keys", ()), "toSet", ()):
                self._mend_set_test(CallExpression(receiver.span, target, "keys", ()), name, given, want)
            case _:
                self._set(receiver, wanted if want else ["elsewhere"])

    def _mend_diff(
        self, new: Expression | None, old: Expression, kind: str, name: str, wanted: list[Any], want: bool
    ) -> None:
        """Changes or gives back the fields that a diff shall, or shall not, show."""
        after, before = self._map(new), self._map(old)
        if after is None or before is None:
            return

        def show(key: str, present: bool) -> None:
            if not present:
                kept, gives = (before, after) if key in after else (after, before)
                kept[key] = copy.deepcopy(gives[key])
            elif kind == "removedKeys":
                after.pop(key, None)
            elif key not in after or after[key] == before.get(key):
                after[key] = another(before.get(key, "x"))

        shown = {key: None for key in {**after, **before} if after.get(key, _FAILED) != before.get(key, _FAILED)}
        _mend_keys(shown, name, wanted, want, self._chance, show)


def _mend_keys(
    present: dict[str, Any], name: str, wanted: list[Any], want: bool, chance: random.Random,
    put: Callable[[str, bool], None],
) -> None:  # fmt: skip
    """Makes a test of keys come out as wanted, by putting keys there or taking them away."""
    keys = [key for key in wanted if isinstance(key, str)]
    if name == "hasOnly":
        if not want:
            put("unexpected", True)
        for key in list(present) if want else ():
            if key not in keys:
                put(key, False)
    elif name == "hasAll" and want:
        for key in keys:
            put(key, True)
    elif keys:
        chosen = [chance.choice(keys)] if name == "hasAll" or want else keys
        for key in chosen:
            put(key, want)


def _put_or_drop(into: dict[str, object], key: str, present: bool) -> None:
    if present:
        into.setdefault(key, "x")
    else:
        into.pop(key, None)


def _compared(operator: str, bound: object) -> object:
    """A value that compares so to the bound, as near to it as can be."""
    if operator in ("==", "<=", ">="):
        return bound
    step = 1 if operator == ">" else -1
    if isinstance(bound, Timestamp):
        return Timestamp(bound.nanos + step)
    if isinstance(bound, (int, float)) and not isinstance(bound, bool):
        return bound + step
    if isinstance(bound, str):
        return bound + "a" if step > 0 else ""
    return _FAILED


def another(value: object) -> object:
    """Some other value, of the same kind where there is one."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "~"
        case Timestamp():
            return Timestamp(value.nanos + 1)
        case None:
            return "x"
        case list():
            return [*value, "x"]
        case dict():
            return {**value, "other": 1}
    return None
