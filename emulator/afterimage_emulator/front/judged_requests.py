"""What rules were asked and what they answered: a record with bounds, kept only once somebody looks.

Nothing is kept, and nothing computed, before `watch`: a suite whose console nobody opens spends one test a request.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from afterimage_emulator.clock import Clock

if TYPE_CHECKING:  # a service without rules runs without their compiler
    from afterimage_emulator.rules_language import Decision, FirestoreRequest, StorageRequest

KEPT_REQUESTS: Final = 500
KEPT_SOURCES: Final = 16
KEPT_CASE_CHARACTERS: Final = 64 * 1024
Judged = Mapping[str, Any]


class JudgedRequests:
    """The last requests, as JSON. Listeners hear of each one as it is judged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: deque[Judged] = deque(maxlen=KEPT_REQUESTS)
        self._sources: dict[str, Mapping[str, str]] = {}
        self._listeners: list[Callable[[Judged], None]] = []
        self.is_watched = False

    def watch(self) -> None:
        """From now on requests are kept."""
        self.is_watched = True

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

    def note(self, request: FirestoreRequest | StorageRequest, decision: Decision) -> None:
        """To be called before anything changes that the rules read: the values are computed here."""
        judged = self._described(request, decision)
        self._kept.append(judged)
        for listener in tuple(self._listeners):
            listener(judged)

    def _described(self, request: FirestoreRequest | StorageRequest, decision: Decision) -> Judged:
        explanation = decision.explain()
        allow = decision.allow
        service = "storage" if hasattr(request, "bucket") else "firestore"
        return {
            "id": next(self._numbers),
            "time": self._clock.now().isoformat(),
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


def _case(request: FirestoreRequest | StorageRequest, decision: Decision) -> Mapping[str, str]:
    """The request as a case file, or why it cannot be one."""
    from afterimage_emulator.rules_testing.written_cases import UnwritableCaseError, written_case

    try:
        text = written_case(request, decision)
    except UnwritableCaseError as error:
        return {"unwritable": f"case files have no words for {error}"}
    if len(text) > KEPT_CASE_CHARACTERS:
        return {"unwritable": f"it would have {len(text):,} characters"}
    return {"yaml": text}
