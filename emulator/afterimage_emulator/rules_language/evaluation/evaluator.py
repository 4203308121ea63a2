"""Plans expressions: each becomes a closure over its operands, made once and evaluated often.

A closure takes the request's `Context` and the locals of the function it stands in. An error travels as an exception
and becomes a value again where the language says so: in `&&` and `||`, in arguments and in `let`. Evaluated expressions
are counted by blocks: each straight piece of code charges all of its expressions when it begins. Where nobody watches,
common shapes have quicker plans: see `shortcuts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.builtin_functions import FUNCTIONS, NAMESPACES
from afterimage_emulator.rules_language.evaluation.builtin_methods import METHODS
from afterimage_emulator.rules_language.evaluation.context import (
    MAXIMUM_EXPRESSIONS,
    Context,
    DocumentWithheldError,
    ExpressionLimitError,
)
from afterimage_emulator.rules_language.evaluation.counting import count_error, count_value
from afterimage_emulator.rules_language.evaluation.operators import (
    BINARY_OPERATORS,
    is_of_type,
    negate,
    property_of,
    slice_of,
    subscript,
)
from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError, Path, kind_of
from afterimage_emulator.rules_language.evaluation.shortcuts import (
    asked_for_keys,
    constant_list,
    equality,
    keys_test,
    membership,
    method_call,
    request_member,
    set_test,
    type_test,
    wanted_texts,
)
from afterimage_emulator.rules_language.evaluation.signatures import Builtin, call_method, function_not_found
from afterimage_emulator.rules_language.evaluation.trace import TraceNode
from afterimage_emulator.rules_language.scopes import Scope
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    Binary,
    CallExpression,
    Conditional,
    Expression,
    Function,
    Index,
    ListLiteral,
    Literal,
    Logical,
    MapLiteral,
    Member,
    PathLiteral,
    Range,
    TypeTest,
    Unary,
    Variable,
    walk,
)

Locals = list[Any]
Evaluate = Callable[[Context, Locals], Any]
Watch = Callable[[Expression, Evaluate], Evaluate]

DOCUMENT_FUNCTIONS: Final = {
    "get": (False, False),
    "exists": (True, False),
    "getAfter": (False, True),
    "existsAfter": (True, True),
}  # name → (asks only for existence, looks at the pending commit)
STORAGE_DOCUMENT_FUNCTIONS: Final = ("get", "exists")

_UNSET: Final = object()


class _Failed:
    """An error bound to a name."""

    __slots__ = ("error",)

    def __init__(self, error: EvaluationError) -> None:
        self.error = error


def not_boolean(value: object) -> EvaluationError:
    return EvaluationError(f"Type error. Received: [{kind_of(value)}] Expected: [bool].")


class _Names:
    """What names mean inside one function or condition."""

    __slots__ = ("lets", "parameters", "scope")

    def __init__(self, scope: Scope, parameters: dict[str, int], lets: dict[str, tuple[int, Evaluate]]) -> None:
        self.scope = scope
        self.parameters = parameters
        self.lets = lets


class Planner:
    """Plans the conditions and functions of one ruleset; `watch` wraps every expression, to count or trace it."""

    def __init__(self, *, service: str, watch: Watch | None = None) -> None:
        self._is_storage = service == "firebase.storage"
        self._watch = watch
        self._functions: dict[tuple[int, int], tuple[Evaluate, int, int]] = {}

    def condition(self, expression: Expression, scope: Scope) -> Evaluate:
        self._plan_callees(expression, scope)
        return self._block(expression, _Names(scope, {}, {}))

    def _plan_callees(self, expression: Expression, scope: Scope) -> None:
        """Plans the functions that a condition reaches, callees first, so that planning never nests in planning."""
        waiting = [(callee, False) for callee in _callees((expression,), scope)]
        while waiting:
            (function, inner), callees_are_planned = waiting.pop()
            if (id(function), id(inner)) in self._functions:
                continue
            if callees_are_planned:
                self._function(function, inner)
                continue
            waiting.append(((function, inner), True))
            parts = (*(let.value for let in function.lets), function.result)
            waiting.extend((callee, False) for callee in _callees(parts, inner))

    # -- blocks and tracing

    def _block(self, expression: Expression, names: _Names) -> Evaluate:
        """An expression that is evaluated or skipped as one: it charges what it costs when it begins."""
        return _charging(*self._plan(expression, names))

    def _plan(self, node: Expression, names: _Names) -> tuple[Evaluate, int]:
        """The closure of an expression, and how many expressions it always evaluates."""
        evaluate, cost = _PLANS[type(node)](self, node, names)
        if self._watch is not None:
            evaluate = self._watch(node, evaluate)
        return evaluate, cost

    def _plan_all(self, nodes: Sequence[Expression], names: _Names) -> tuple[list[Evaluate], int]:
        planned = [self._plan(node, names) for node in nodes]
        return [evaluate for evaluate, _ in planned], sum(cost for _, cost in planned)

    # -- leaves

    def _literal(self, node: Literal, names: _Names) -> tuple[Evaluate, int]:
        value = node.value
        return (lambda c, values: value), 0

    def _variable(self, node: Variable, names: _Names) -> tuple[Evaluate, int]:
        name = node.name
        if name in names.lets:
            return _let_reader(*names.lets[name]), 0
        if name in names.parameters:
            return _parameter_reader(names.parameters[name]), 0
        slot = names.scope.capture(name)
        if slot is not None:
            return (lambda c, values: c.captures[slot]), 0
        if name == "request":
            return (lambda c, values: c.request), 0
        if name == "resource":
            return _stored_resource, 0
        return _raiser(lambda: EvaluationError(f"Variable not found error: Name: [{name}].")), 0

    # -- access

    def _member(self, node: Member, names: _Names) -> tuple[Evaluate, int]:
        is_of_request = isinstance(node.target, Variable) and node.target.name == "request"
        if self._watch is None and is_of_request and not _is_bound("request", names):
            return request_member(node.name), 1
        target, cost = self._plan(node.target, names)
        name = node.name

        def member(c: Context, values: Locals) -> object:
            value = target(c, values)
            if value.__class__ is dict and name in value:
                return value[name]
            return property_of(value, name)

        return member, cost + 1

    def _index(self, node: Index, names: _Names) -> tuple[Evaluate, int]:
        (target, index), cost = self._plan_all((node.target, node.index), names)
        return (lambda c, values: subscript(target(c, values), index(c, values))), cost + 1

    def _range(self, node: Range, names: _Names) -> tuple[Evaluate, int]:
        (target, start, end), cost = self._plan_all((node.target, node.start, node.end), names)
        return (lambda c, values: slice_of(target(c, values), start(c, values), end(c, values))), cost + 1

    # -- operators

    def _unary(self, node: Unary, names: _Names) -> tuple[Evaluate, int]:
        operand, cost = self._plan(node.operand, names)
        if node.operator == "-":
            return (lambda c, values: negate(operand(c, values))), cost + 1

        def negation(c: Context, values: Locals) -> bool:
            value = operand(c, values)
            if value is True:
                return False
            if value is False:
                return True
            raise not_boolean(value)

        return negation, cost + 1

    def _binary(self, node: Binary, names: _Names) -> tuple[Evaluate, int]:
        (left, right), cost = self._plan_all((node.left, node.right), names)
        operate = BINARY_OPERATORS[node.operator]
        if self._watch is None and node.operator in ("==", "!="):
            return equality(node.operator, left, right, node.right), cost + 1
        if self._watch is None and node.operator == "in":
            return membership(left, node.left, right), cost + 1
        return (lambda c, values: operate(left(c, values), right(c, values))), cost + 1

    def _type_test(self, node: TypeTest, names: _Names) -> tuple[Evaluate, int]:
        operand, cost = self._plan(node.operand, names)
        type_name = node.type_name
        if self._watch is None:
            return type_test(operand, type_name), cost + 1
        return (lambda c, values: is_of_type(operand(c, values), type_name)), cost + 1

    def _logical(self, node: Logical, names: _Names) -> tuple[Evaluate, int]:
        first, cost = self._plan(node.operands[0], names)
        others = [self._plan(operand, names) for operand in node.operands[1:]]
        operands = ((first, 0), *others)  # what the first one costs is charged by the block around
        decisive = node.operator == "||"
        otherwise = not decisive

        def logical(c: Context, values: Locals) -> bool:
            error: EvaluationError | None = None
            for operand, operand_cost in operands:
                c.spent += operand_cost
                if operand_cost and c.spent > MAXIMUM_EXPRESSIONS:
                    raise ExpressionLimitError
                try:
                    value = operand(c, values)
                except EvaluationError as raised:
                    # what the second pass may still find out weighs more than any other error
                    if error is None or raised.__class__ is DocumentWithheldError:
                        error = raised
                    continue
                if value is decisive:
                    return not otherwise
                if value is not True and value is not False and error is None:
                    error = not_boolean(value)
            if error is not None:
                raise error
            return otherwise

        return logical, cost + 1

    def _conditional(self, node: Conditional, names: _Names) -> tuple[Evaluate, int]:
        condition, cost = self._plan(node.condition, names)
        then, otherwise = self._block(node.then, names), self._block(node.otherwise, names)

        def conditional(c: Context, values: Locals) -> object:
            chosen = condition(c, values)
            if chosen is True:
                return then(c, values)
            if chosen is False:
                return otherwise(c, values)
            raise not_boolean(chosen)

        return conditional, cost + 1

    # -- literals of lists, maps and paths

    def _list(self, node: ListLiteral, names: _Names) -> tuple[Evaluate, int]:
        items, cost = self._plan_all(node.items, names)
        constant = constant_list(node) if self._watch is None else None
        if constant is not None:
            return (lambda c, values: constant), cost + 1
        return (lambda c, values: [item(c, values) for item in items]), cost + 1

    def _map(self, node: MapLiteral, names: _Names) -> tuple[Evaluate, int]:
        keys, key_cost = self._plan_all([key for key, _ in node.entries], names)
        contents, content_cost = self._plan_all([value for _, value in node.entries], names)

        def map_literal(c: Context, values: Locals) -> dict[str, object]:
            entries: dict[str, Any] = {}
            for key, content in zip(keys, contents, strict=True):
                name = key(c, values)
                if kind_of(name) != "string":
                    raise EvaluationError(f"Type error. Received: [{kind_of(name)}] Expected: [string].")
                entries[name] = content(c, values)
            return entries

        return map_literal, key_cost + content_cost + 1

    def _path(self, node: PathLiteral, names: _Names) -> tuple[Evaluate, int]:
        cost = 1
        parts: list[str | Evaluate] = []
        for segment in node.segments:
            if isinstance(segment, str):
                parts.append(segment)
            else:
                evaluate, segment_cost = self._plan(segment, names)
                parts.append(evaluate)
                cost += segment_cost

        def path(c: Context, values: Locals) -> Path:
            segments: list[Any] = []
            for part in parts:
                if isinstance(part, str):
                    segments.append(part)
                else:
                    segments.extend(_interpolated(part(c, values)))
            return Path(tuple(segments))

        return path, cost

    # -- calls

    def _call(self, node: CallExpression, names: _Names) -> tuple[Evaluate, int]:
        arguments, cost = self._plan_all(node.arguments, names)
        if node.receiver is not None:
            return self._receiver_call(node, arguments, cost + 1, names)
        found = names.scope.function(node.name)
        if found is not None:
            return self._function_call(found[0], found[1], arguments, cost + 1)
        if node.name in DOCUMENT_FUNCTIONS and not self._is_storage:
            return _document_call(node.name, node.name, arguments), cost + 1
        builtin = FUNCTIONS.get(node.name) if "." not in node.name else None
        if node.name == "debug" and builtin is not None:
            return _debug_call(builtin, arguments), cost + 1
        return _builtin_call(node.name, builtin, arguments), cost + 1

    def _receiver_call(
        self, node: CallExpression, arguments: list[Evaluate], cost: int, names: _Names
    ) -> tuple[Evaluate, int]:
        receiver = node.receiver
        name = node.name
        if isinstance(receiver, Variable) and receiver.name in NAMESPACES:
            qualified = f"{receiver.name}.{name}"
            return _builtin_call(qualified, FUNCTIONS.get(qualified), arguments), cost
        if self._reads_firestore(node, names):
            return _document_call(name, f"firestore.{name}", arguments), cost
        assert receiver is not None
        wanted = wanted_texts(node) if self._watch is None else None
        keyed_node = None if wanted is None else asked_for_keys(receiver)
        if wanted is not None and keyed_node is not None:
            keyed, keyed_cost = self._plan(keyed_node, names)
            return keys_test(name, wanted, keyed), cost + keyed_cost + 1
        target, target_cost = self._plan(receiver, names)
        if wanted is not None:
            return set_test(name, wanted, target), cost + target_cost
        if self._watch is None:
            return method_call(name, target, arguments), cost + target_cost
        methods = METHODS.named(name)

        def plain_call(c: Context, values: Locals) -> object:
            value = target(c, values)
            return call_method(methods, name, value, [argument(c, values) for argument in arguments])

        return plain_call, cost + target_cost

    def _reads_firestore(self, node: CallExpression, names: _Names) -> bool:
        """Whether a call is Storage's `firestore.get` or `firestore.exists`."""
        receiver = node.receiver
        return (
            self._is_storage
            and isinstance(receiver, Variable)
            and receiver.name == "firestore"
            and node.name in STORAGE_DOCUMENT_FUNCTIONS
            and not _is_bound(receiver.name, names)
        )

    def _function_call(
        self, function: Function, scope: Scope, arguments: list[Evaluate], cost: int
    ) -> tuple[Evaluate, int]:
        if len(arguments) != len(function.parameters):
            shown = f"{function.name}({', '.join(parameter.name for parameter in function.parameters)})"
            text = f"Incorrect number of arguments. Received: {len(arguments)}. Expected: {shown}."
            return _raiser(lambda: EvaluationError(text)), cost
        body, body_cost, let_count = self._function(function, scope)
        unset = [_UNSET] * let_count

        def function_call(c: Context, values: Locals) -> object:
            frame: Locals = []
            for argument in arguments:
                try:
                    frame.append(argument(c, values))
                except EvaluationError as error:
                    frame.append(_Failed(error))
            c.spent += body_cost
            if body_cost and c.spent > MAXIMUM_EXPRESSIONS:
                raise ExpressionLimitError
            return body(c, frame + unset if unset else frame)

        return function_call, cost

    def _function(self, function: Function, scope: Scope) -> tuple[Evaluate, int, int]:
        """A function's body, planned once: its closure, what it always costs, and how many `let` it has."""
        key = (id(function), id(scope))
        if key not in self._functions:
            parameters = {parameter.name: slot for slot, parameter in enumerate(function.parameters)}
            names = _Names(scope, parameters, {})
            for slot, let in enumerate(function.lets, start=len(parameters)):
                names.lets[let.name] = (slot, self._block(let.value, names))
            self._functions[key] = (*self._plan(function.result, names), len(function.lets))
        return self._functions[key]


def _charging(evaluate: Evaluate, cost: int) -> Evaluate:
    if cost == 0:
        return evaluate

    def charged(c: Context, values: Locals) -> object:
        c.spent += cost
        if c.spent > MAXIMUM_EXPRESSIONS:
            raise ExpressionLimitError
        return evaluate(c, values)

    return charged


def _callees(expressions: Sequence[Expression], scope: Scope) -> list[tuple[Function, Scope]]:
    """The rules' own functions that some expressions call, each with the scope of its body."""
    names = {
        node.name
        for expression in expressions
        for node in walk(expression)
        if isinstance(node, CallExpression) and node.receiver is None
    }
    return [found for name in sorted(names) if (found := scope.function(name)) is not None]


def _is_bound(name: str, names: _Names) -> bool:
    return name in names.lets or name in names.parameters or names.scope.capture(name) is not None


def counted(node: Expression, evaluate: Evaluate) -> Evaluate:
    """Watches an expression by counting its values."""
    node_id = id(node)

    def count(c: Context, values: Locals) -> Any:
        try:
            value = evaluate(c, values)
        except EvaluationError as error:
            count_error(c.counts, node_id, error)
            raise
        count_value(c.counts, node_id, value)
        return value

    return count


def traced(node: Expression, evaluate: Evaluate) -> Evaluate:
    """Watches an expression by growing a tree of all that is evaluated."""

    def trace(c: Context, values: Locals) -> object:
        parent = c.trace
        here = c.trace = TraceNode(node, parent)
        if parent is not None:
            parent.children.append(here)
        try:
            here.value = evaluate(c, values)
        except EvaluationError as error:
            here.error = error
            raise
        finally:
            c.trace = parent or here
        return here.value

    return trace


def _let_reader(slot: int, evaluate: Evaluate) -> Evaluate:
    """Evaluates the `let` when it is first needed, and keeps its value or error."""

    def read(c: Context, values: Locals) -> object:
        value = values[slot]
        if value is _UNSET:
            try:
                value = evaluate(c, values)
            except EvaluationError as error:
                value = _Failed(error)
            values[slot] = value
        if value.__class__ is _Failed:
            raise value.error
        return value

    return read


def _parameter_reader(slot: int) -> Evaluate:
    def read(c: Context, values: Locals) -> object:
        value = values[slot]
        if value.__class__ is _Failed:
            raise value.error
        return value

    return read


def _stored_resource(c: Context, values: Locals) -> object:
    if c.withheld and c.request["method"] != "list":
        raise DocumentWithheldError("a stored document is needed")
    return c.resource


def _raiser(make: Callable[[], EvaluationError]) -> Evaluate:
    def raise_it(c: Context, values: Locals) -> object:
        raise make()

    return raise_it


def _builtin_call(name: str, builtin: Builtin | None, arguments: list[Evaluate]) -> Evaluate:
    if builtin is None:
        return _raiser(lambda: function_not_found(name))
    call = builtin.call
    return lambda c, values: call([argument(c, values) for argument in arguments])


def _debug_call(builtin: Builtin, arguments: list[Evaluate]) -> Evaluate:
    def debug(c: Context, values: Locals) -> object:
        value = builtin.call([argument(c, values) for argument in arguments])
        c.debugged.append(value)
        return value

    return debug


def _document_call(name: str, shown: str, arguments: list[Evaluate]) -> Evaluate:
    only_existence, after = DOCUMENT_FUNCTIONS[name]
    if len(arguments) != 1:
        text = f"Incorrect number of arguments. Received: {len(arguments)}. Expected: {shown}(path)."
        return _raiser(lambda: EvaluationError(text))
    argument = arguments[0]

    def lookup(c: Context, values: Locals) -> object:
        document = c.document(name, argument(c, values), after=after)
        return document is not None if only_existence else document

    return lookup


def _interpolated(value: Any) -> Sequence[Any]:
    """The segments that `$(value)` stands for; one that a query leaves open stays open."""
    kind = kind_of(value)
    if kind == "string":
        return value.strip("/").split("/") if "/" in value else (value,)
    if kind == "path":
        segments: Sequence[Any] = value.segments
        return segments
    if kind == "constraint":
        return (value,)
    if kind == "null":
        raise EvaluationError("Null value error.")
    raise EvaluationError(f"Type error. Received: [{kind}] Expected: [string,path].")


_PLANS: Final[dict[type, Callable[..., tuple[Evaluate, int]]]] = {
    Literal: Planner._literal,
    Variable: Planner._variable,
    Member: Planner._member,
    Index: Planner._index,
    Range: Planner._range,
    CallExpression: Planner._call,
    Unary: Planner._unary,
    Binary: Planner._binary,
    TypeTest: Planner._type_test,
    Logical: Planner._logical,
    Conditional: Planner._conditional,
    ListLiteral: Planner._list,
    MapLiteral: Planner._map,
    PathLiteral: Planner._path,
}
