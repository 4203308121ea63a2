"""What one evaluation works on: the request's bindings, its captures, its look-ups, and what it has spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.counting import ValueCounts
from afterimage_emulator.rules_language.evaluation.lookups import LookupClosedError, LookupLimitError, RequestLookups
from afterimage_emulator.rules_language.evaluation.operators import unsupported
from afterimage_emulator.rules_language.evaluation.rule_values import EvaluationError, Path, kind_of
from afterimage_emulator.rules_language.evaluation.trace import TraceNode

MAXIMUM_EXPRESSIONS: Final = 1000


class ExpressionLimitError(Exception):
    """The request has used up its expressions; unlike an evaluation error nothing absorbs this."""

    message = (
        f"Unable to evaluate the expression as the maximum of {MAXIMUM_EXPRESSIONS} expressions to evaluate "
        "has been reached."
    )


class DocumentWithheldError(EvaluationError):
    """A stored document was needed in a pass that has none; see `Decision.denial_message`."""


class Context:
    """The state of one evaluation; a request makes one for itself, a query one for each of its disjuncts."""

    __slots__ = (
        "captures",
        "counts",
        "database",
        "debugged",
        "lookups",
        "request",
        "resource",
        "spent",
        "trace",
        "withheld",
    )

    def __init__(
        self,
        *,
        request: Mapping[str, object],
        resource: object,
        database: str,
        lookups: RequestLookups,
        withheld: bool = False,
        counts: dict[int, ValueCounts] | None = None,
    ) -> None:
        self.request = request
        self.resource = resource
        self.database = database
        self.lookups = lookups
        self.withheld = withheld
        self.captures: Sequence[Any] = ()
        self.spent = 0
        self.counts = {} if counts is None else counts
        self.trace: TraceNode | None = None
        self.debugged: list[object] = []

    def document(self, function: str, path: Any, *, after: bool = False) -> Mapping[str, Any] | None:
        """The document that a rule asks for with `get` and its like, as a resource; None where there is none."""
        if kind_of(path) != "path":
            raise unsupported(f"{function}({kind_of(path)})", f"{function}(path)")
        segments = path.segments
        if (
            len(segments) < 5
            or len(segments) % 2 == 0
            or segments[0] != "databases"
            or segments[2] != "documents"
            or segments[1] != self.database
            or not all(isinstance(segment, str) and segment for segment in segments)
        ):
            raise service_call_error(function, path)
        if self.withheld:
            raise DocumentWithheldError("a stored document is needed")
        try:
            data = self.lookups.read(self.database, "/".join(segments[3:]), after=after)
        except LookupLimitError:
            raise service_call_error(function, path) from None
        except LookupClosedError:
            raise EvaluationError("this document was not read when the request was judged") from None
        return None if data is None else resource_value(path, data)


def resource_value(path: Path, data: Mapping[str, object] | None) -> dict[str, object]:
    """A document as rules see it."""
    return {"data": data, "id": path.segments[-1], "__name__": path}


def service_call_error(function: str, path: Path) -> EvaluationError:
    segments = " ".join(f'segments {{ simple: "{segment}" }}' for segment in path.segments)
    return EvaluationError(f"Service call error. Function: [{function}], Argument: [path_value {{ {segments} }}].")
