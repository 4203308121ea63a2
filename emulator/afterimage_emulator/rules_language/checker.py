"""Checks a parsed ruleset against the language's limits and names, so that whatever passes can be planned and run."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.rules_language.evaluation.builtin_functions import FUNCTIONS, NAMESPACES
from afterimage_emulator.rules_language.evaluation.builtin_methods import METHODS, PATTERN_METHODS, is_pattern
from afterimage_emulator.rules_language.evaluation.evaluator import DOCUMENT_FUNCTIONS
from afterimage_emulator.rules_language.evaluation.operators import TESTABLE_TYPES
from afterimage_emulator.rules_language.evaluation.rule_values import kind_of
from afterimage_emulator.rules_language.scopes import Scope
from afterimage_emulator.rules_language.syntax.diagnostics import IssueList
from afterimage_emulator.rules_language.syntax.source_span import Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    CallExpression,
    Conditional,
    Expression,
    Function,
    ListLiteral,
    Literal,
    Logical,
    MapLiteral,
    Match,
    PathLiteral,
    RulesFile,
    ServiceBlock,
    TypeTest,
    Variable,
    children,
    walk,
)

SERVICES: Final = ("cloud.firestore", "firebase.storage")
MAXIMUM_PARAMETERS: Final = 7
MAXIMUM_LETS: Final = 10
MAXIMUM_PATH_SEGMENTS: Final = 100
MAXIMUM_CAPTURES: Final = 20
MAXIMUM_CALL_DEPTH: Final = 20
MAXIMUM_FRAMES: Final = 600
_FRAMES_A_NODE: Final = 2
_TOO_DEEP: Final = (
    "{} nests too deep when it is evaluated: write parts of it side by side instead of inside each other."
)
_GLOBALS: Final = ("request", "resource")


def check(rules: RulesFile, issues: IssueList) -> None:
    """Lists what is wrong with a tree; after this without errors, planning cannot fail."""
    _Checker(rules, issues).file()


class _Checker:
    def __init__(self, rules: RulesFile, issues: IssueList) -> None:
        self._rules = rules
        self._issues = issues
        self._service = ""
        self._used: set[int] = set()
        self._calls: dict[int, list[Function]] = {}
        self._callees: dict[int, Function] = {}
        self._function_frames: dict[int, int] = {}
        self._conditions: list[Expression] = []
        self._declared: dict[int, Function] = {}

    def file(self) -> None:
        rules = self._rules
        scope = Scope(None, functions=rules.functions)
        self._services(rules.services)
        for service in rules.services:
            self._service = service.name
            self._functions(rules.functions, scope)
            inner = Scope(scope, functions=service.functions)
            self._functions(service.functions, inner)
            for match in service.matches:
                self._match(match, inner)
        self._call_graph()
        for function in self._declared.values():
            if id(function) not in self._used:
                self._issues.warning(function.name_span, f"Unused function: {function.name}.")

    def _services(self, services: tuple[ServiceBlock, ...]) -> None:
        seen: set[str] = set()
        for service in services:
            if service.name not in SERVICES:
                known = " or ".join(SERVICES)
                self._issues.error(service.name_span, f"Unknown service '{service.name}': rules guard {known}.")
            if service.name in seen:
                self._issues.error(service.name_span, f"The service {service.name} is declared twice.")
            seen.add(service.name)

    # -- blocks

    def _match(self, match: Match, outer: Scope) -> None:
        self._match_path(match)
        captures = [segment for segment in match.segments if segment.is_capture]
        scope = Scope(outer, functions=match.functions, captures=captures)
        if scope.capture_count > MAXIMUM_CAPTURES:
            self._issues.error(match.path_span, f"Match paths capture more than {MAXIMUM_CAPTURES} segments.")
        bound: set[str] = set()
        for segment in captures:
            self._bind(segment.text, segment.span, bound)
        self._functions(match.functions, scope)
        for allow in match.allows:
            if allow.condition is not None:
                self._expression(allow.condition, scope, frozenset(), None)
        for inner in match.matches:
            self._match(inner, scope)

    def _match_path(self, match: Match) -> None:
        globs = [segment for segment in match.segments if segment.is_glob]
        if len(match.segments) > MAXIMUM_PATH_SEGMENTS:
            self._issues.error(match.path_span, f"A match path has more than {MAXIMUM_PATH_SEGMENTS} segments.")
        if len(globs) > 1:
            self._issues.error(
                globs[1].span,
                "Invalid glob match expression. Only one glob match is permitted in a match declaration path.",
            )
        elif globs and self._rules.version == 1 and not match.segments[-1].is_glob:
            self._issues.error(
                globs[0].span, "Invalid glob match expression. In rules_version '1' a glob match must be the last one."
            )

    def _bind(self, name: str, span: Span, bound: set[str]) -> None:
        if name in NAMESPACES:
            self._issues.error(span, f"The identifier [{name}] is reserved and cannot be bound.")
        elif name in bound:
            self._issues.error(span, f"The identifier [{name}] is already bound in the current scope.")
        bound.add(name)

    # -- functions

    def _functions(self, functions: tuple[Function, ...], scope: Scope) -> None:
        bound: set[str] = set()
        for function in functions:
            if function.name in bound:
                self._issues.error(
                    function.name_span, f"The identifier [{function.name}] is already bound in the current scope."
                )
            bound.add(function.name)
            self._function(function, scope)

    def _function(self, function: Function, scope: Scope) -> None:
        self._declared[id(function)] = function
        self._calls.setdefault(id(function), [])
        if len(function.parameters) > MAXIMUM_PARAMETERS:
            self._issues.error(function.name_span, f"A function has more than {MAXIMUM_PARAMETERS} parameters.")
        if len(function.lets) > MAXIMUM_LETS:
            self._issues.error(function.name_span, f"A function has more than {MAXIMUM_LETS} let bindings.")
        bound: set[str] = set()
        for parameter in function.parameters:
            self._bind(parameter.name, parameter.span, bound)
        used: set[str] = set()
        for let in function.lets:
            used |= self._expression(let.value, scope, frozenset(bound), function)
            self._bind(let.name, let.span, bound)
        used |= self._expression(function.result, scope, frozenset(bound), function)
        for let in function.lets:
            if let.name not in used:
                self._issues.warning(let.span, f"Unused variable: {let.name}.")

    # -- expressions

    def _expression(
        self, root: Expression, scope: Scope, local_names: frozenset[str], caller: Function | None
    ) -> set[str]:
        """Checks every name in an expression; answers the local names it uses."""
        used: set[str] = set()
        namespaces: set[int] = set()  # the names before a dot that are no variables
        called: list[Function] = []
        for node in walk(root):
            if isinstance(node, Variable) and id(node) not in namespaces:
                if node.name in local_names:
                    used.add(node.name)
                elif scope.capture(node.name) is None and node.name not in _GLOBALS:
                    self._issues.warning(node.span, f"Invalid variable name: {node.name}.")
            elif isinstance(node, TypeTest) and node.type_name not in TESTABLE_TYPES:
                known = ", ".join(sorted(TESTABLE_TYPES))
                self._issues.error(node.span, f"Unknown type '{node.type_name}' behind 'is': use one of {known}.")
            elif isinstance(node, CallExpression):
                if self._is_namespaced(node):
                    namespaces.add(id(node.receiver))
                self._call(node, scope, called)
        if caller is not None:
            self._calls[id(caller)] += called
        elif called:  # without calls, an expression is shallow enough by itself
            self._conditions.append(root)
        self._used.update(map(id, called))
        return used

    def _method(self, call: CallExpression) -> None:
        """Refuses what is surely wrong with a method call: a literal without it, a pattern unknown to RE2."""
        kind = _literal_kind(call.receiver)
        if kind is not None and kind not in METHODS.named(call.name):
            self._issues.error(
                call.span, f"Function not found error: Name: [{call.name}]. A {kind} has no such method."
            )
            return
        pattern = call.arguments[0] if call.name in PATTERN_METHODS and call.arguments else None
        if isinstance(pattern, Literal) and isinstance(pattern.value, str) and not is_pattern(pattern.value):
            self._issues.error(pattern.span, f"Invalid regular expression, not taken by RE2: [{pattern.value[:200]}].")

    def _is_namespaced(self, call: CallExpression) -> bool:
        receiver = call.receiver
        return isinstance(receiver, Variable) and (
            receiver.name in NAMESPACES or (receiver.name == "firestore" and self._service == "firebase.storage")
        )

    def _call(self, call: CallExpression, scope: Scope, called: list[Function]) -> None:
        if call.receiver is not None:
            receiver = call.receiver
            if isinstance(receiver, Variable) and receiver.name in NAMESPACES:
                qualified = f"{receiver.name}.{call.name}"
                if qualified not in FUNCTIONS:
                    self._issues.warning(call.span, f"Invalid function name: {qualified}.")
            else:
                self._method(call)
            return
        found = scope.function(call.name)
        if found is not None:
            called.append(found[0])
            self._callees[id(call)] = found[0]
            if len(found[0].parameters) != len(call.arguments):
                self._issues.warning(call.span, f"Incorrect number of arguments supplied to function: {call.name}.")
        elif call.name not in FUNCTIONS and not (
            call.name in DOCUMENT_FUNCTIONS and self._service != "firebase.storage"
        ):
            self._issues.warning(call.span, f"Invalid function name: {call.name}.")

    # -- the call graph

    def _call_graph(self) -> None:
        """Refuses recursion, long call chains, and conditions that would nest too deep when they run."""
        if self._has_recursion():
            return
        lengths: dict[int, list[str]] = {}
        for function in self._declared.values():
            chain = self._longest_chain(function, lengths)
            if len(chain) > MAXIMUM_CALL_DEPTH + 1:
                shown = "->".join(chain[: MAXIMUM_CALL_DEPTH + 1])
                self._issues.error(
                    function.name_span,
                    f"Maximum allowed call depth of {MAXIMUM_CALL_DEPTH} is reached for [{shown}] call stack.",
                )
                return
        self._depths_of_evaluation()

    def _has_recursion(self) -> bool:
        """Looks for cycles with a stack of its own; functions on it are being visited."""
        done: set[int] = set()
        for start in self._declared.values():
            if id(start) in done:
                continue
            path = [start]
            rest = [iter(self._calls[id(start)])]
            while path:
                callee = next(rest[-1], None)
                if callee is None:
                    done.add(id(path.pop()))
                    rest.pop()
                elif any(callee is function for function in path):
                    self._issues.error(callee.name_span, "Recursive call is not allowed.")
                    return True
                elif id(callee) not in done:
                    path.append(callee)
                    rest.append(iter(self._calls[id(callee)]))
        return False

    def _in_call_order(self, start: Function) -> list[Function]:
        """The functions that one reaches, callees before callers."""
        ordered: dict[int, Function] = {}
        path = [(start, iter(self._calls[id(start)]))]
        while path:
            callee = next(path[-1][1], None)
            if callee is None:
                function = path.pop()[0]
                ordered[id(function)] = function
            elif id(callee) not in ordered:
                path.append((callee, iter(self._calls[id(callee)])))
        return list(ordered.values())

    def _longest_chain(self, start: Function, known: dict[int, list[str]]) -> list[str]:
        for function in self._in_call_order(start):
            if id(function) not in known:
                longest = max((known[id(callee)] for callee in self._calls[id(function)]), key=len, default=[])
                known[id(function)] = [function.name, *longest]
        return known[id(start)]

    # -- how deep an evaluation goes

    def _depths_of_evaluation(self) -> None:
        """Refuses functions and conditions whose evaluation would take too many calls inside one another."""
        for start in self._declared.values():
            for function in self._in_call_order(start):
                if id(function) not in self._function_frames:
                    lets: dict[str, int] = {}
                    for let in function.lets:
                        lets[let.name] = self._frames(let.value, lets) + 1
                    self._function_frames[id(function)] = self._frames(function.result, lets) + 2
                    if self._function_frames[id(function)] > MAXIMUM_FRAMES:
                        self._issues.error(function.name_span, _TOO_DEEP.format(f"Function '{function.name}'"))
        for condition in self._conditions:
            if self._frames(condition, {}) > MAXIMUM_FRAMES:
                self._issues.error(condition.span, _TOO_DEEP.format("The condition"))

    def _frames(self, node: Expression, lets: dict[str, int]) -> int:
        """The most calls that evaluating an expression can have open at once, with a trace."""
        deepest = max((self._frames(child, lets) for child in children(node)), default=0)
        if isinstance(node, Variable):
            return _FRAMES_A_NODE + lets.get(node.name, 0)
        if isinstance(node, (Logical, Conditional)):
            return deepest + _FRAMES_A_NODE + 1
        callee = self._callees.get(id(node))
        if callee is not None:
            deepest = max(deepest, self._function_frames.get(id(callee), 0))
        return deepest + _FRAMES_A_NODE


_LITERAL_KINDS: Final[dict[type, str]] = {ListLiteral: "list", MapLiteral: "map", PathLiteral: "path"}


def _literal_kind(node: Expression | None) -> str | None:
    """The kind of a value that is written out; None for all else, and for null, which has errors of its own."""
    if isinstance(node, Literal):
        return None if node.value is None else kind_of(node.value)
    return _LITERAL_KINDS.get(type(node))
