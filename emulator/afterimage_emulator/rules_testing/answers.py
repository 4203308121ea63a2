"""What an actor's request came to, in process or over the wire, and the assertions on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from afterimage_emulator.rules_language import FirestoreRequest, StorageRequest
from afterimage_emulator.rules_testing.cases import RuleCase
from afterimage_emulator.rules_testing.runner import Driver


class Answer(Protocol):
    """A decision: the engine's own, or what a running service made of the same request."""

    @property
    def allowed(self) -> bool: ...

    @property
    def denial_message(self) -> str: ...

    def explain(self) -> object: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class WireAnswer:
    """The verdict of a running service, with the why that it gave."""

    allowed: bool
    denial_message: str
    explanation: str

    def explain(self) -> str:
        return self.explanation


def ask(driver: Driver, request: FirestoreRequest | StorageRequest, *, documents: Any, after: Any) -> WireAnswer:
    """Puts one request before a running service, on the state that the environment has come to."""
    case = RuleCase(
        name=f"{request.method} {request.path}",
        file=Path("environment"),
        line=0,
        user="nobody" if request.auth is None else str(request.auth["uid"]),
        request=request,
        documents=documents,
        after=after,
        is_allowed=True,
        because=None,
    )
    verdict = driver.decide(case)
    return WireAnswer(allowed=verdict.is_allowed, denial_message=verdict.message, explanation=verdict.explanation)


def assert_allowed(*answers: Answer) -> None:
    """All of these are allowed; a failure shows why one is not."""
    for answer in answers:
        if not answer.allowed:
            raise AssertionError(f"expected to be allowed, but the rules deny it\n{answer.explain()}")


def assert_denied(*answers: Answer, reason: str | None = None) -> None:
    """All of these are denied, for the given reason, if any: a part of the official text."""
    for answer in answers:
        if answer.allowed:
            raise AssertionError(f"expected to be denied, but the rules allow it\n{answer.explain()}")
        if reason is not None and reason not in answer.denial_message:
            raise AssertionError(
                f"expected to be denied because of `{reason}`, but the reason was "
                f"`{answer.denial_message.strip()}`\n{answer.explain()}"
            )
