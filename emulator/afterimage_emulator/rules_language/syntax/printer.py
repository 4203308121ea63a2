"""Writes a syntax tree back as rules text, with no more parentheses than it needs."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.rules_language.syntax.expression_parser import BINARY_LEVELS
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    AllowStatement,
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
    Match,
    Member,
    PathLiteral,
    Range,
    RulesFile,
    Segment,
    TypeTest,
    Unary,
    Variable,
)

_CONDITIONAL: Final = 0
_UNARY: Final = 8
_POSTFIX: Final = 9
_ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def print_expression(node: Expression) -> str:
    """The text of an expression; parsing it gives the same tree, but for spans."""
    return _text(node)[0]


def _inside(node: Expression, least: int) -> str:
    text, level = _text(node)
    return text if level >= least else f"({text})"


def _text(node: Expression) -> tuple[str, int]:
    """An expression's text, and how tightly its outermost operator binds."""
    match node:
        case Logical(_, operator, operands):
            level = BINARY_LEVELS[operator]
            return f" {operator} ".join(_inside(operand, level + 1) for operand in operands), level
        case Binary(_, operator, left, right):
            level = BINARY_LEVELS[operator]
            return f"{_inside(left, level)} {operator} {_inside(right, level + 1)}", level
        case TypeTest(_, operand, type_name):
            level = BINARY_LEVELS["is"]
            return f"{_inside(operand, level)} is {type_name}", level
        case Conditional(_, condition, then, otherwise):
            return f"{_inside(condition, 1)} ? {_text(then)[0]} : {_text(otherwise)[0]}", _CONDITIONAL
        case Unary(_, operator, operand):
            return f"{operator}{_inside(operand, _UNARY)}", _UNARY
        case PathLiteral():  # a dot behind it would belong to its last segment
            return _primary(node), _UNARY
        case _:
            return _postfix(node), _POSTFIX


def _postfix(node: Expression) -> str:
    match node:
        case Member(_, target, name):
            return f"{_inside(target, _POSTFIX)}.{name}"
        case Index(_, target, index):
            return f"{_inside(target, _POSTFIX)}[{_text(index)[0]}]"
        case Range(_, target, start, end):
            return f"{_inside(target, _POSTFIX)}[{_text(start)[0]}:{_text(end)[0]}]"
        case CallExpression(_, receiver, name, arguments):
            listed = ", ".join(_text(argument)[0] for argument in arguments)
            return f"{name}({listed})" if receiver is None else f"{_inside(receiver, _POSTFIX)}.{name}({listed})"
        case _:
            return _primary(node)


def _primary(node: Expression) -> str:
    match node:
        case Literal(_, value):
            return _literal(value)
        case Variable(_, name):
            return name
        case ListLiteral(_, items):
            return f"[{', '.join(_text(item)[0] for item in items)}]"
        case MapLiteral(_, entries):
            return "{" + ", ".join(f"{_text(key)[0]}: {_text(value)[0]}" for key, value in entries) + "}"
        case PathLiteral(_, segments):
            return "".join("/" + (s if isinstance(s, str) else f"$({_text(s)[0]})") for s in segments)
        case _:
            return f"({_text(node)[0]})"


def _literal(value: bool | int | float | str | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + "".join(_escaped(character) for character in value) + "'"
    return repr(value)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() or ord(character) > 0xFFFF else f"\\u{ord(character):04x}"


def print_rules(rules: RulesFile) -> str:
    """The text of a whole file, indented."""
    lines = [f"rules_version = '{rules.version}';"]
    for function in rules.functions:
        _print_function(function, 0, lines)
    for service in rules.services:
        lines.append(f"service {service.name} {{")
        for function in service.functions:
            _print_function(function, 1, lines)
        for match in service.matches:
            _print_match(match, 1, lines)
        lines.append("}")
    return "\n".join(lines) + "\n"


def _print_match(match: Match, depth: int, lines: list[str]) -> None:
    margin = "  " * depth
    lines.append(f"{margin}match {''.join('/' + _segment(segment) for segment in match.segments)} {{")
    for function in match.functions:
        _print_function(function, depth + 1, lines)
    lines.extend(f"{margin}  {_allow(allow)}" for allow in match.allows)
    for inner in match.matches:
        _print_match(inner, depth + 1, lines)
    lines.append(f"{margin}}}")


def _segment(segment: Segment) -> str:
    if not segment.is_capture:
        return segment.text
    return f"{{{segment.text}=**}}" if segment.is_glob else f"{{{segment.text}}}"


def _allow(allow: AllowStatement) -> str:
    methods = ", ".join(allow.methods)
    return (
        f"allow {methods};" if allow.condition is None else f"allow {methods}: if {print_expression(allow.condition)};"
    )


def _print_function(function: Function, depth: int, lines: list[str]) -> None:
    margin = "  " * depth
    parameters = ", ".join(parameter.name for parameter in function.parameters)
    lines.append(f"{margin}function {function.name}({parameters}) {{")
    lines.extend(f"{margin}  let {let.name} = {print_expression(let.value)};" for let in function.lets)
    lines.append(f"{margin}  return {print_expression(function.result)};")
    lines.append(f"{margin}}}")
