"""What rules were asked and what they answered: a record with bounds, put into words only once somebody looks.

Before `watch` the last decisions are kept as they are, with the documents that they read, and nothing is computed.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from afterimage_emulator.clock import Clock

if TYPE_CHECKING:  # a service without rules runs without their compiler
    from afterimage_emulator.rules_language import Decision, FirestoreRequest, StorageRequest

KEPT_REQUESTS: Final = 500
KEPT_SOURCES: Final = 16
KEPT_CASE_CHARACTERS: Final = 64 * 1024
EARLY_REQUESTS: Final = 200
EARLY_BYTES: Final = 4 * 1024 * 1024
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
Judged = Mapping[str, Any]


class JudgedRequests:
    """The last requests, as JSON. Listeners hear of each one as it is judged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: deque[Judged] = deque(maxlen=KEPT_REQUESTS)
        self._sources: dict[str, Mapping[str, str]] = {}
        self._listeners: list[Callable[[Judged], None]] = []
        self._early: deque[_Early] = deque()
        self._early_bytes = 0
        self.is_watched = False

    def watch(self) -> None:
        """From now on requests are put into words as they are judged; those that were kept before are now."""
        if self.is_watched:
            return
        self.is_watched = True
        early, self._early, self._early_bytes = self._early, deque(), 0
        for each in early:
            each.decision.leave_store()
            self._kept.append(self._described(each.request, each.decision, number=each.number, now_ns=each.now_ns))

    def listen(self, listener: Callable[[Judged], None]) -> Callable[[], None]:
        """Answers with what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def after(self, number: int) -> Sequence[Judged]:
        """Those with a higher number, the oldest first."""
        return [judged for judged in self._kept if judged["id"] > number]

    def source(self, digest: str) -> Mapping[str, str] | None:
        """The rules that decided, by the digest that a request names."""
        return self._sources.get(digest)

    def clear(self) -> None:
        self._kept.clear()
        self._sources.clear()
        self._early.clear()
        self._early_bytes = 0

    def note(self, request: FirestoreRequest | StorageRequest, decision: Decision) -> None:
        """To be called before anything changes that the rules read: the values are computed here."""
        number, now_ns = next(self._numbers), self._clock.now_ns()
        if not self.is_watched:
            self._keep(_Early(number, now_ns, request, decision, _document_bytes(request, decision)))
            return
        judged = self._described(request, decision, number=number, now_ns=now_ns)
        self._kept.append(judged)
        for listener in tuple(self._listeners):
            listener(judged)

    def _keep(self, early: _Early) -> None:
        self._early.append(early)
        self._early_bytes += early.document_bytes
        while self._early_bytes > EARLY_BYTES or len(self._early) > EARLY_REQUESTS:
            self._early_bytes -= self._early.popleft().document_bytes

    def _described(
        self, request: FirestoreRequest | StorageRequest, decision: Decision, *, number: int, now_ns: int
    ) -> Judged:
        explanation = decision.explain()
        allow = decision.allow
        service = "storage" if hasattr(request, "bucket") else "firestore"
        return {
            "id": number,
            "time": (_EPOCH + timedelta(microseconds=now_ns // 1000)).isoformat(),
            "service": service,
            "place": getattr(request, "bucket", None) or getattr(request, "database", ""),
            "method": request.method,
            "path": request.path,
            "uid": None if request.auth is None else str(request.auth.get("uid")),
            "allowed": decision.allowed,
            "allow": None if allow is None else {"line": allow.line, "column": allow.column, "match": allow.match_path},
            "message": decision.denial_message,
            "explanation": explanation.to_json(),
            "values": [
                {"start": value.span.start, "end": value.span.end, "values": list(value.values)}
                for value in explanation.values()
            ],
            "rules": self._keep_source(decision),
            "case": _case(request, decision),
        }

    def _keep_source(self, decision: Decision) -> str:
        digest = decision.source.digest
        if digest not in self._sources:
            self._sources[digest] = {"file": decision.source.file_name, "text": decision.source.text}
            while len(self._sources) > KEPT_SOURCES:
                del self._sources[next(iter(self._sources))]
        return digest


class _Early(NamedTuple):
    """A decision of before somebody looked."""

    number: int
    now_ns: int
    request: FirestoreRequest | StorageRequest
    decision: Decision
    document_bytes: int


def _document_bytes(request: FirestoreRequest | StorageRequest, decision: Decision) -> int:
    """How much of a store it holds on to; what an object's rules read is never large."""
    size = getattr(request.resource, "wire_bytes", 0) + getattr(request.request_resource, "wire_bytes", 0)
    for document in decision.documents_read.values():
        size += getattr(document, "wire_bytes", 0)
    return int(size)


def _case(request: FirestoreRequest | StorageRequest, decision: Decision) -> Mapping[str, str]:
    """The request as a case file, or why it cannot be one. What is surely too long is not written first."""
    if _document_bytes(request, decision) > KEPT_CASE_CHARACTERS:
        return {"unwritable": f"it would have more than {KEPT_CASE_CHARACTERS:,} characters"}
    from afterimage_emulator.rules_testing.written_cases import UnwritableCaseError, written_case

    try:
        text = written_case(request, decision)
    except UnwritableCaseError as error:
        return {"unwritable": f"case files have no words for {error}"}
    if len(text) > KEPT_CASE_CHARACTERS:
        return {"unwritable": f"it would have {len(text):,} characters"}
    return {"yaml": text}
