"""What a compiler says about a ruleset: issues with their place, an excerpt and a caret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from afterimage_emulator.rules_language.syntax.source_span import SourceText, Span

MAXIMUM_ISSUES = 100
_EXCERPT_WIDTH = 160


class Severity(StrEnum):
    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """One finding. `line` and `column` count from one; `excerpt` is the line, `length` what the caret underlines."""

    severity: Severity
    description: str
    file_name: str
    line: int
    column: int
    length: int
    excerpt: str

    def to_json(self) -> dict[str, object]:
        """The shape in which the official rules API reports an issue."""
        return {
            "sourcePosition": {"fileName": self.file_name, "line": self.line, "column": self.column},
            "description": self.description,
            "severity": str(self.severity),
        }

    def render(self) -> str:
        """The issue as a compiler prints it: place, text, the line, and a caret under the spot."""
        shift = max(0, self.column - _EXCERPT_WIDTH // 2)
        shown = self.excerpt[shift : shift + _EXCERPT_WIDTH].replace("\t", " ")
        caret_at = self.column - 1 - shift
        carets = "^" * max(1, min(self.length, len(shown) - caret_at))
        place = f"{self.file_name}:{self.line}:{self.column}"
        return f"{place}: {self.severity.lower()}: {self.description}\n  {shown}\n  {' ' * caret_at}{carets}"


class RulesetRejected(Exception):  # noqa: N818  (a verdict on the source, by the name callers read)
    """The source is not a ruleset; `issues` has every problem found in one go, errors and warnings."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("\n".join(issue.render() for issue in issues))
        self.issues = tuple(issues)


class IssueList:
    """Collects the issues of one compilation, at most `MAXIMUM_ISSUES`, each place and text once."""

    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._issues: dict[tuple[int, str], Issue] = {}
        self.has_errors = False

    def error(self, span: Span, description: str) -> None:
        self.has_errors = True
        self._add(Severity.ERROR, span, description)

    def warning(self, span: Span, description: str) -> None:
        self._add(Severity.WARNING, span, description)

    @property
    def is_full(self) -> bool:
        return len(self._issues) >= MAXIMUM_ISSUES

    def _add(self, severity: Severity, span: Span, description: str) -> None:
        key = (span.start, description)
        if self.is_full or key in self._issues:
            return
        position = self._source.position(span.start)
        self._issues[key] = Issue(
            severity=severity,
            description=description,
            file_name=self._source.file_name,
            line=position.line,
            column=position.column,
            length=span.end - span.start,
            excerpt=self._source.line(position.line),
        )

    def sorted(self) -> tuple[Issue, ...]:
        return tuple(self._issues[key] for key in sorted(self._issues))
