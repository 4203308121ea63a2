"""Small changes to rules, each of which some case should notice: in conditions, operators, constants and matches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from afterimage_emulator.rules_language import Ruleset
from afterimage_emulator.rules_language.syntax.printer import print_expression
from afterimage_emulator.rules_language.syntax.source_span import Span
from afterimage_emulator.rules_language.syntax.syntax_tree import (
    AllowStatement,
    Binary,
    CallExpression,
    Conditional,
    Expression,
    Literal,
    Logical,
    Match,
    RulesFile,
    Segment,
    TypeTest,
    Unary,
    walk,
)
from afterimage_emulator.rules_testing.cases import RuleCase
from afterimage_emulator.rules_testing.runner import InProcessDriver

_OTHER_OPERATORS: Final = {
    "==": ("!=",), "!=": ("==",), "<": ("<=", ">"), "<=": ("<", ">"), ">": (">=", "<"), ">=": (">", "<"),
    "+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "%": ("*",),
}  # fmt: skip
_OTHER_METHODS: Final = {
    "hasAll": "hasAny", "hasAny": "hasAll", "hasOnly": "hasAll", "exists": "existsAfter", "existsAfter": "exists",
    "get": "getAfter", "getAfter": "get", "affectedKeys": "changedKeys", "changedKeys": "affectedKeys",
    "addedKeys": "removedKeys", "removedKeys": "addedKeys",
}  # fmt: skip
_GROUPS: Final = {"read": ("get", "list"), "write": ("create", "update", "delete")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One changed ruleset: where it differs from the original, in which rule and line, and how."""

    line: int
    column: int
    rule: str
    text: str
    change: str
    rules: RulesFile


@dataclass(frozen=True, kw_only=True, slots=True)
class MutationReport:
    """How many mutants the cases noticed, and those they did not."""

    total: int
    survivors: tuple[Mutant, ...]

    @property
    def score_percent(self) -> float:
        return 100.0 * (self.total - len(self.survivors)) / self.total if self.total else 100.0

    def to_text(self, file_name: str) -> str:
        """The score, then the survivors by rule and by line, the rule with most of them first."""
        killed = self.total - len(self.survivors)
        lines = [f"{file_name}: {killed} of {self.total} mutants noticed, {self.score_percent:.1f} %"]
        by_rule: dict[str, list[Mutant]] = {}
        for mutant in self.survivors:
            by_rule.setdefault(mutant.rule, []).append(mutant)
        for rule, mutants in sorted(by_rule.items(), key=lambda found: -len(found[1])):
            lines.append(f"\n{rule}: no case notices {len(mutants)} change{'s' if len(mutants) > 1 else ''}")
            for line, group in groupby(mutants, key=lambda mutant: mutant.line):
                on_line = list(group)
                lines.append(f"  {file_name}:{line}: {on_line[0].text}")
                lines += [f"    if {mutant.change}" for mutant in on_line]
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        return {
            "total": self.total,
            "score_percent": round(self.score_percent, 2),
            "survivors": [
                {"line": mutant.line, "column": mutant.column, "rule": mutant.rule, "change": mutant.change}
                for mutant in self.survivors
            ],
        }


def mutate(ruleset: Ruleset, cases: Sequence[RuleCase]) -> MutationReport:
    """Runs the cases against every mutant until one fails. The cases must pass on the rules themselves."""
    total = 0
    survivors: list[Mutant] = []
    for mutant in mutants_of(ruleset):
        total += 1
        driver = InProcessDriver(Ruleset(mutant.rules, source=ruleset.source))
        if all(driver.passes(case) for case in cases):
            survivors.append(mutant)
    return MutationReport(total=total, survivors=tuple(survivors))


def mutants_of(ruleset: Ruleset) -> Iterator[Mutant]:
    """Every mutant, in the order of the text."""
    lines = ruleset.source.text.split("\n")
    rules_by_span = list(_named_rules(ruleset.rules))
    for target, replacement, change in sorted(_changes(ruleset.rules), key=lambda found: found[0].span):
        position = ruleset.source.position(target.span.start)
        rules = replaced(ruleset.rules, target, replacement)
        yield Mutant(
            line=position.line,
            column=position.column,
            rule=_rule_around(target.span, rules_by_span),
            text=lines[position.line - 1].strip(),
            change=change,
            rules=rules,
        )


def _named_rules(rules: RulesFile) -> Iterator[tuple[Span, str]]:
    """Every function, match and allow by its span, outer ones first."""
    yield from ((function.span, f"function {function.name}") for function in rules.functions)
    for service in rules.services:
        yield from ((function.span, f"function {function.name}") for function in service.functions)
        waiting = [(match, "") for match in service.matches]
        while waiting:
            match, around = waiting.pop()
            path = around + "".join(f"/{_shown(segment)}" for segment in match.segments)
            yield match.span, f"match {path}"
            yield from ((f.span, f"match {path}, function {f.name}") for f in match.functions)
            yield from ((a.span, f"match {path}, allow {', '.join(a.methods)}") for a in match.allows)
            waiting += [(inner, path) for inner in match.matches]


def _shown(segment: Segment) -> str:
    if not segment.is_capture:
        return segment.text
    return f"{{{segment.text}=**}}" if segment.is_glob else f"{{{segment.text}}}"


def _rule_around(span: Span, named: Sequence[tuple[Span, str]]) -> str:
    """The innermost rule that a change stands in."""
    around = [
        (rule.end - rule.start, name) for rule, name in named if rule.start <= span.start and span.end <= rule.end
    ]
    return min(around)[1]


def replaced(tree: Any, target: Any, replacement: Any) -> Any:
    """A tree with one node exchanged; what does not contain the node is shared with the original."""
    if tree is target:
        return replacement
    if isinstance(tree, tuple) and not isinstance(tree, Span):
        changed = tuple(replaced(item, target, replacement) for item in tree)
        return changed if any(new is not old for new, old in zip(changed, tree, strict=True)) else tree
    if not dataclasses.is_dataclass(tree) or isinstance(tree, type):
        return tree
    span: Span = getattr(tree, "span", target.span)
    if not (span.start <= target.span.start and target.span.end <= span.end):
        return tree
    changes = {}
    for field in dataclasses.fields(tree):
        old = getattr(tree, field.name)
        new = replaced(old, target, replacement)
        if new is not old:
            changes[field.name] = new
    return dataclasses.replace(tree, **changes) if changes else tree


# -- what can be changed

_Change = tuple[Any, Any, str]


def _changes(rules: RulesFile) -> Iterator[_Change]:
    functions = list(rules.functions)
    for service in rules.services:
        functions += service.functions
        waiting = list(service.matches)
        while waiting:
            match = waiting.pop()
            waiting += match.matches
            functions += match.functions
            yield from _match_changes(match)
            for allow in match.allows:
                yield from _allow_changes(allow)
                if allow.condition is not None:
                    yield from _expression_changes(allow.condition)
    for function in functions:
        for let in function.lets:
            yield from _expression_changes(let.value)
        yield from _expression_changes(function.result)


def _match_changes(match: Match) -> Iterator[_Change]:
    for segment in match.segments:
        if segment.is_glob:
            single = dataclasses.replace(segment, is_glob=False)
            yield segment, single, f"'{{{segment.text}=**}}' becomes '{{{segment.text}}}'"
        elif not segment.is_capture:
            other = dataclasses.replace(segment, text=segment.text + "~")
            yield segment, other, f"the segment '{segment.text}' becomes another"


def _allow_changes(allow: AllowStatement) -> Iterator[_Change]:
    single = [part for method in allow.methods for part in _GROUPS.get(method, (method,))]
    for method in dict.fromkeys(single):
        rest = tuple(part for part in single if part != method)
        if rest:
            yield allow, dataclasses.replace(allow, methods=rest), f"'{method}' is no longer allowed here"
    if allow.condition is None:
        never = dataclasses.replace(allow, condition=Literal(allow.span, False))
        yield allow, never, "the unconditional allow becomes 'if false'"
    else:
        for value in (True, False):
            if not (isinstance(allow.condition, Literal) and allow.condition.value is value):
                fixed = Literal(allow.condition.span, value)
                shown = "true" if value else "false"
                yield allow, dataclasses.replace(allow, condition=fixed), f"the whole condition becomes {shown}"


def _expression_changes(root: Expression) -> Iterator[_Change]:
    for node in walk(root):
        for replacement in _variants(node):
            yield node, replacement, f"'{_short(node)}' becomes '{_short(replacement)}'"


def _short(node: Expression) -> str:
    text = print_expression(node)
    return text if len(text) <= 100 else text[:99] + "…"


def _variants(node: Expression) -> Iterator[Expression]:
    match node:
        case Logical(span, operator, operands):
            yield Logical(span, "&&" if operator == "||" else "||", operands)
            for index in range(len(operands)):
                rest = operands[:index] + operands[index + 1 :]
                yield rest[0] if len(rest) == 1 else Logical(span, operator, rest)
        case Binary(span, "in", _, _) | TypeTest(span, _, _):
            yield Unary(span, "!", node)
        case Binary(span, operator, left, right):
            for other in _OTHER_OPERATORS[operator]:
                yield Binary(span, other, left, right)
        case Unary(_, _, operand):
            yield operand
        case Conditional(span, condition, then, otherwise):
            yield Conditional(span, condition, otherwise, then)
        case CallExpression(span, receiver, name, arguments) if name in _OTHER_METHODS:
            yield CallExpression(span, receiver, _OTHER_METHODS[name], arguments)
        case Literal(span, bool(value)):
            yield Literal(span, not value)
        case Literal(span, int(value)):
            yield Literal(span, value + 1 if value < 2**63 - 1 else value - 1)
        case Literal(span, float(value)):
            yield Literal(span, value + 1.0)
        case Literal(span, str(value)):
            yield Literal(span, value + "~")
        case _:
            return
