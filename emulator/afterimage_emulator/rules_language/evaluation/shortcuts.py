"""Quicker plans for what most conditions are made of, for evaluations that nobody watches.

Each does what the plain plan does, for values of the usual classes; whatever else comes is left to the plain functions,
which also word every error. A kind follows from a Python class alone, so what was chosen for some classes can be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.builtin_functions import NAMESPACES
from afterimage_emulator.rules_language.evaluation.builtin_methods import METHODS
from afterimage_emulator.rules_language.evaluation.context import Context
from afterimage_emulator.rules_language.evaluation.operators import BINARY_OPERATORS, is_of_type, property_of
from afterimage_emulator.rules_language.evaluation.rule_values import RuleSet, kind_of
from afterimage_emulator.rules_language.evaluation.signatures import call_method
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    CallExpression,
    Expression,
    ListLiteral,
    Literal,
    Variable,
)

Locals = list[Any]
Evaluate = Callable[[Context, Locals], Any]

_MAXIMUM_CLASSES: Final = 64
_NEVER_NULL: Final = frozenset({str, int, bool, float, bytes, list, dict})
_SET_TESTS: Final = ("hasAll", "hasAny", "hasOnly")


# -- operators


def equality(operator: str, left: Evaluate, right: Evaluate, right_node: Expression) -> Evaluate:
    """`==` and `!=`; a constant on the right is known beforehand."""
    operate = BINARY_OPERATORS[operator]
    same = operator == "=="
    if isinstance(right_node, Literal):
        return _equality_with_constant(operate, same, left, right_node.value)

    def compare(c: Context, values: Locals) -> object:
        one, other = left(c, values), right(c, values)
        cls = one.__class__
        if cls is other.__class__ and (cls is str or cls is int):
            return (one == other) is same
        return operate(one, other)

    return compare


def _equality_with_constant(
    operate: Callable[[object, object], object], same: bool, left: Evaluate, constant: bool | int | float | str | None
) -> Evaluate:
    if constant is None:

        def is_null(c: Context, values: Locals) -> object:
            one = left(c, values)
            if one is None:
                return same
            return not same if one.__class__ in _NEVER_NULL else operate(one, None)

        return is_null
    cls = constant.__class__

    def is_constant(c: Context, values: Locals) -> object:
        one = left(c, values)
        return (one == constant) is same if one.__class__ is cls else operate(one, constant)

    return is_constant


def membership(item: Evaluate, item_node: Expression, collection: Evaluate) -> Evaluate:
    """`in`, mostly of a name in a map."""
    operate = BINARY_OPERATORS["in"]
    if not (isinstance(item_node, Literal) and isinstance(item_node.value, str)):
        return lambda c, values: operate(item(c, values), collection(c, values))
    name = item_node.value

    def has_name(c: Context, values: Locals) -> object:
        found = collection(c, values)
        return name in found if found.__class__ is dict else operate(name, found)

    return has_name


def type_test(operand: Evaluate, type_name: str) -> Evaluate:
    """`is`, by the classes whose answer is known."""
    answers: dict[type, bool] = {}

    def test(c: Context, values: Locals) -> bool:
        value = operand(c, values)
        answer = answers.get(value.__class__)
        if answer is None:
            answer = is_of_type(value, type_name)
            if len(answers) < _MAXIMUM_CLASSES:
                answers[value.__class__] = answer
        return answer

    return test


# -- members and methods


def request_member(name: str) -> Evaluate:
    """`request.name`"""

    def member(c: Context, values: Locals) -> object:
        request = c.request
        return request[name] if name in request else property_of(request, name)

    return member


def constant_list(node: ListLiteral) -> list[Any] | None:
    """The value of a list of constants; nothing changes it, so one will do for all evaluations."""
    items = [item.value for item in node.items if isinstance(item, Literal)]
    return items if len(items) == len(node.items) else None


def wanted_texts(node: CallExpression) -> list[object] | None:
    """The constant texts that a `hasAll`, `hasAny` or `hasOnly` asks for; None for all other calls."""
    if node.name not in _SET_TESTS or len(node.arguments) != 1 or not isinstance(node.arguments[0], ListLiteral):
        return None
    wanted = constant_list(node.arguments[0])
    return wanted if wanted is not None and all(isinstance(text, str) for text in wanted) else None


def asked_for_keys(node: Expression | None) -> Expression | None:
    """The map in `map.keys()`; None for any other expression."""
    if not isinstance(node, CallExpression) or node.name != "keys" or node.arguments:
        return None
    is_namespace = isinstance(node.receiver, Variable) and node.receiver.name in NAMESPACES
    return None if is_namespace else node.receiver


def set_test(name: str, wanted: list[Any], target: Evaluate) -> Evaluate:
    """A list or set before constant texts."""
    test = _tests(frozenset(wanted))[name]
    methods, arguments = METHODS.named(name), [wanted]

    def tested(c: Context, values: Locals) -> object:
        value = target(c, values)
        if value.__class__ is RuleSet:
            return test(value.identities())
        if value.__class__ is list:
            try:
                return test(value)
            except TypeError:  # some item cannot be hashed, so it is no text; the plain method has the answer
                return call_method(methods, name, value, arguments)
        return call_method(methods, name, value, arguments)

    return tested


def keys_test(name: str, wanted: list[Any], target: Evaluate) -> Evaluate:
    """The keys of a map before constant texts; their order does not matter, so they are not sorted."""
    test = _tests(frozenset(wanted))[name]
    methods, keys = METHODS.named(name), METHODS.named("keys")

    def tested(c: Context, values: Locals) -> object:
        value = target(c, values)
        if value.__class__ is dict or kind_of(value) == "map":
            return test(value)
        return call_method(methods, name, call_method(keys, "keys", value, ()), [wanted])

    return tested


def _tests(wanted: frozenset[str]) -> dict[str, Callable[[Iterable[object]], bool]]:
    return {
        "hasAll": wanted.issubset,
        "hasAny": lambda values: not wanted.isdisjoint(values),
        "hasOnly": wanted.issuperset,
    }


def method_call(name: str, target: Evaluate, arguments: Sequence[Evaluate]) -> Evaluate:
    """A method, found by the classes of the values."""
    methods = METHODS.named(name)
    known: dict[object, Callable[..., object]] = {}

    def learn(key: object, receiver: object, given: tuple[object, ...]) -> object:
        method = methods.get(kind_of(receiver))
        compute = None if method is None else method.for_kinds(tuple(map(kind_of, given)))
        if compute is None:
            return call_method(methods, name, receiver, given)
        if len(known) < _MAXIMUM_CLASSES:
            known[key] = compute
        return compute(receiver, *given)

    if not arguments:

        def call(c: Context, values: Locals) -> Any:
            receiver = target(c, values)
            compute = known.get(receiver.__class__)
            return learn(receiver.__class__, receiver, ()) if compute is None else compute(receiver)

        return call
    if len(arguments) == 1:
        argument = arguments[0]

        def call_with_one(c: Context, values: Locals) -> object:
            receiver, given = target(c, values), argument(c, values)
            key = receiver.__class__, given.__class__
            compute = known.get(key)
            return learn(key, receiver, (given,)) if compute is None else compute(receiver, given)

        return call_with_one

    def call_with_more(c: Context, values: Locals) -> object:
        receiver, given = target(c, values), tuple([argument(c, values) for argument in arguments])
        key = receiver.__class__, *[one.__class__ for one in given]
        compute = known.get(key)
        return learn(key, receiver, given) if compute is None else compute(receiver, *given)

    return call_with_more
