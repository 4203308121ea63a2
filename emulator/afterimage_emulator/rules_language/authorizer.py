"""Decides requests: finds the allows that apply, tries them, and says what came of it in the official words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage_emulator.rules_language.bindings import Case, cases_of
from afterimage_emulator.rules_language.checker import check
from afterimage_emulator.rules_language.evaluation.context import Context, DocumentWithheldError, ExpressionLimitError
from afterimage_emulator.rules_language.evaluation.evaluator import Planner, counted, not_boolean, traced
from afterimage_emulator.rules_language.evaluation.lookups import (
    LOOKUPS_PER_REQUEST,
    LOOKUPS_PER_STORAGE_REQUEST,
    NO_DOCUMENTS,
    CommitLookups,
    DocumentLookup,
    RequestLookups,
)
from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError
from afterimage_emulator.rules_language.list_queries import TooManyDisjunctsError
from afterimage_emulator.rules_language.matching import AllowPlan, MatchBlock, MatchComplexityError, MatchIndex
from afterimage_emulator.rules_language.reporting.coverage import Coverage
from afterimage_emulator.rules_language.reporting.explanation import EvaluatedAllow, Explanation
from afterimage_emulator.rules_language.requests import FirestoreRequest, StorageRequest
from afterimage_emulator.rules_language.scopes import Scope
from afterimage_emulator.rules_language.syntax.diagnostics import Issue, IssueList, RulesetRejected
from afterimage_emulator.rules_language.syntax.parsed_rules import ParsedRules
from afterimage_emulator.rules_language.syntax.parser import parse
from afterimage_emulator.rules_language.syntax.source_span import SourceText, Span
from afterimage_emulator.rules_language.syntax.syntax_tree import RulesFile

MAXIMUM_SOURCE_BYTES: Final = 256 * 1024 - 2
NO_MATCH: Final = "No matching allow statements"
_TOO_COMPLEX: Final = "The path is covered by match blocks in too many ways."
_TOO_MANY_DISJUNCTS: Final = "The query has too many disjuncts to be proved."
_TOO_DEEP: Final = "The expression is nested too deep to be evaluated."

Request = FirestoreRequest | StorageRequest
Lookups = DocumentLookup | CommitLookups | None


def compile_ruleset(source: str | bytes, *, file_name: str = "rules") -> Ruleset:
    """Reads, checks and plans rules. Raises `RulesetRejected` with every issue; `Ruleset.issues` has the warnings."""
    text = SourceText("", file_name=file_name)
    problem: str | None = None
    raw = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    if len(raw) > MAXIMUM_SOURCE_BYTES:
        problem = f"The source has {len(raw)} bytes; at most {MAXIMUM_SOURCE_BYTES} are allowed."
    else:
        try:
            text = SourceText(raw.decode("utf-8").removeprefix("\ufeff"), file_name=file_name)
        except UnicodeDecodeError as error:
            problem = f"The source is not valid UTF-8 at byte {error.start}."
    issues = IssueList(text)
    if problem is not None:
        issues.error(Span(0, 0), problem)
        raise RulesetRejected(issues.sorted())
    rules = parse(text, issues)
    if not issues.has_errors:
        check(rules, issues)
    if issues.has_errors:
        raise RulesetRejected(issues.sorted())
    return Ruleset(rules, source=text, issues=issues.sorted())


@dataclass(frozen=True, kw_only=True, slots=True)
class Allow:
    """An allow statement by its place: the line and column of its condition, as denials name it."""

    methods: tuple[str, ...]
    match_path: str
    file_name: str
    line: int
    column: int
    span: Span


class _Service:
    """The match blocks of one service, and what plans their conditions."""

    __slots__ = ("blocks", "counting_planner", "planner", "tracing_planner")

    def __init__(self, name: str, blocks: MatchIndex) -> None:
        self.blocks = blocks
        self.planner = Planner(service=name)
        self.counting_planner = Planner(service=name, watch=counted)
        self.tracing_planner = Planner(service=name, watch=traced)


class Ruleset(ParsedRules):
    """Compiled rules: compiled once, then asked as often as there are requests."""

    def __init__(self, rules: RulesFile, *, source: SourceText, issues: Sequence[Issue] = ()) -> None:
        super().__init__(rules, source)
        self.issues = tuple(issues)
        self.version = rules.version
        outer = Scope(None, functions=rules.functions)
        self._services: dict[str, _Service] = {}
        for service in rules.services:
            scope = Scope(outer, functions=service.functions)
            blocks = [MatchBlock(match, scope, source, rules.version) for match in service.matches]
            self._services[service.name] = _Service(service.name, MatchIndex(blocks))

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(self._services)

    def allow_plans(self) -> Iterator[tuple[str, AllowPlan]]:
        """Every allow with the name of its service, for tools that study rules."""
        for name, service in self._services.items():
            waiting = list(service.blocks)
            while waiting:
                block = waiting.pop(0)
                yield from ((name, plan) for plan in block.allows)
                waiting = [*block.children, *waiting]

    def decide(self, request: Request, lookup: Lookups = None, *, coverage: Coverage | None = None) -> Decision:
        """Whether these rules allow a request. Look-ups are read through `lookup`, and counted."""
        is_firestore = isinstance(request, FirestoreRequest)
        service = self._services.get("cloud.firestore" if is_firestore else "firebase.storage")
        if isinstance(lookup, CommitLookups):
            lookups = lookup.for_operation()
        else:
            limit = LOOKUPS_PER_REQUEST if is_firestore else LOOKUPS_PER_STORAGE_REQUEST
            lookups = RequestLookups(NO_DOCUMENTS if lookup is None else lookup, limit=limit)
        evaluation = _Evaluation(self, service, request, lookups, coverage)
        return evaluation.decide()


class _Outcome:
    """What trying one allow came to: its value, or the error it ended in."""

    __slots__ = ("captures", "error", "plan", "value")

    def __init__(self, plan: AllowPlan, captures: Sequence[object], value: object, error: Exception | None) -> None:
        self.plan = plan
        self.captures = captures
        self.value = value
        self.error = error

    @property
    def reason(self) -> str:
        if self.error is None:
            return "false" if self.value is False else "true"
        if isinstance(self.error, DocumentWithheldError):
            return f"evaluation error at L{self.plan.line}:{self.plan.column}"
        return str(getattr(self.error, "message", _TOO_DEEP))


class _Evaluation:
    """One request before the rules: kept by its decision, which may be asked why."""

    def __init__(
        self,
        ruleset: Ruleset,
        service: _Service | None,
        request: Request,
        lookups: RequestLookups,
        coverage: Coverage | None,
    ) -> None:
        self.ruleset = ruleset
        self.service = service
        self.request = request
        self.lookups = lookups
        self.coverage = coverage

    def decide(self) -> Decision:
        """Allowed when each case (of a query: each disjunct) has an allow that is true."""
        granted: AllowPlan | None = None
        debugged: list[object] = []
        try:
            cases = cases_of(self.request)
        except TooManyDisjunctsError:
            return Decision(self, failure=_TOO_MANY_DISJUNCTS)
        if not cases:
            return Decision(self, failure=NO_MATCH)
        for case in cases:
            try:
                covering = self.covering(case)
            except MatchComplexityError:
                return Decision(self, failure=_TOO_COMPLEX, case=case)
            context = self._context(case)
            outcomes: list[_Outcome] = []
            granted = None
            coverage = self.coverage
            for outcome in self._try_each(case, covering, context, watch="" if coverage is None else "count"):
                outcomes.append(outcome)
                if coverage is not None:
                    coverage.count_allow(outcome.plan.statement)
                if outcome.value is True:
                    granted = outcome.plan
                    break
            debugged += context.debugged
            if granted is None:
                return Decision(self, case=case, outcomes=outcomes, debugged=debugged)
        return Decision(self, granted=granted, debugged=debugged)

    def covering(self, case: Case) -> list[tuple[MatchBlock, tuple[object, ...]]]:
        if self.service is None or (case.needs_version_2 and self.ruleset.version < 2):
            return []
        return self.service.blocks.covering(case.path)

    def _context(self, case: Case, *, withheld: bool = False) -> Context:
        return Context(
            request=case.request,
            resource=case.resource,
            database=case.database,
            lookups=self.lookups,
            withheld=withheld,
            counts=None if self.coverage is None else self.coverage.counts,
        )

    def _try_each(
        self, case: Case, covering: list[tuple[MatchBlock, tuple[object, ...]]], context: Context, *, watch: str = ""
    ) -> Iterator[_Outcome]:
        service = self.service
        assert service is not None or not covering
        method = case.request["method"]
        for block, captures in covering:
            for plan in block.allows:
                if method in plan.methods and service is not None:
                    context.captures = captures
                    if watch == "trace":
                        context.trace = None
                        evaluate = plan.watched_evaluator(service.tracing_planner)
                    elif watch == "count":
                        evaluate = plan.watched_evaluator(service.counting_planner)
                    else:
                        evaluate = plan.evaluator(service.planner)
                    yield _try(plan, captures, evaluate, context)

    # -- the words for a denial

    def reasons(self, case: Case, outcomes: list[_Outcome]) -> list[str]:
        """The entries of a denial; first those of a pass without stored documents, where one decided nothing."""
        first: list[_Outcome] = []
        if not isinstance(self.request, StorageRequest):
            context = self._context(case, withheld=True)
            first = list(self._try_each(case, self.covering(case), context))
        if not any(isinstance(outcome.error, DocumentWithheldError) for outcome in first):
            first = []
        method = case.request["method"]
        return [f"{outcome.reason} for '{method}' @ L{outcome.plan.line}" for outcome in (*first, *outcomes)]

    def attempts(self, case: Case) -> list[EvaluatedAllow]:
        """Every allow that applies, tried again with a trace."""
        context = self._context(case)
        return [
            EvaluatedAllow(outcome.plan, outcome.captures, outcome.value, outcome.error, context.trace)
            for outcome in self._try_each(case, self.covering(case), context, watch="trace")
        ]


def _try(plan: AllowPlan, captures: Sequence[Any], evaluate: Any, context: Context) -> _Outcome:
    try:
        value = evaluate(context, [])
    except (EvaluationError, ExpressionLimitError, RecursionError) as error:
        return _Outcome(plan, captures, None, error)
    if value is True or value is False:
        return _Outcome(plan, captures, value, None)
    return _Outcome(plan, captures, None, not_boolean(value))


class Decision:
    """What the rules say to one request, and, for those who ask, why."""

    __slots__ = ("_case", "_evaluation", "_failure", "_outcomes", "allowed", "debugged", "granted_by")

    def __init__(
        self,
        evaluation: _Evaluation,
        *,
        granted: AllowPlan | None = None,
        failure: str | None = None,
        case: Case | None = None,
        outcomes: list[_Outcome] | None = None,
        debugged: list[object] | None = None,
    ) -> None:
        self.allowed = granted is not None
        self.granted_by = granted
        self.debugged = debugged or []
        self._evaluation = evaluation
        self._failure = failure
        self._case = case
        self._outcomes = outcomes or []

    @property
    def allow(self) -> Allow | None:
        """The allow statement that granted; None for a denial."""
        plan = self.granted_by
        if plan is None:
            return None
        return Allow(
            methods=plan.statement.methods,
            match_path=plan.block.full_path,
            file_name=self._evaluation.ruleset.source.file_name,
            line=plan.line,
            column=plan.column,
            span=plan.statement.span,
        )

    @property
    def documents_read(self) -> Mapping[tuple[str, str, bool], Mapping[str, Any] | None]:
        """What look-ups found on the way: by database, path, and whether the state after the commit was asked for."""
        return self._evaluation.lookups.documents_read

    def leave_store(self) -> None:
        """For a decision that is kept: what it is asked later is answered by the documents that it read then."""
        self._evaluation.lookups.close()

    @property
    def source(self) -> SourceText:
        """The text of the rules that decided."""
        return self._evaluation.ruleset.source

    @property
    def reasons(self) -> tuple[str, ...]:
        """The final reason of each allow that was tried, without places: `false`, or an error's text."""
        return tuple(outcome.reason for outcome in self._outcomes)

    @property
    def denial_message(self) -> str:
        """The official text of this denial; empty when the request is allowed."""
        if self.allowed:
            return ""
        request = self._evaluation.request
        if isinstance(request, StorageRequest):
            kind = {"get": "READ", "list": "LIST"}.get(request.method, "WRITE")
            return f"Permission denied. No {kind} permission."
        if self._failure is not None:
            return self._failure
        if not self._outcomes or self._case is None:
            return NO_MATCH
        return "\n" + ", ".join(self._evaluation.reasons(self._case, self._outcomes))

    def explain(self) -> Explanation:
        """Why: the match blocks that apply, each allow that was tried, and what exactly made it say no."""
        evaluation = self._evaluation
        case = self._case or next(iter(cases_of(evaluation.request)), None) if self._failure is None else None
        return Explanation(
            source=evaluation.ruleset.source,
            method=evaluation.request.method,
            case=case,
            is_allowed=self.allowed,
            failure=self._failure,
            attempts=[] if case is None else evaluation.attempts(case),
            covering=[] if case is None else [block for block, _ in evaluation.covering(case)],
        )
