"""The gate between callers and what is stored: whatever a caller wants is put before the rules in force, or refused.

One for each service, inside the layer that all its adapters share. A service says with a function what rules are in
force for a place (a database, a bucket), and with others what is to be asked of them; nobody else decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.explanation import explained
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.status import Code, StatusError

if TYPE_CHECKING:  # a service without rules runs without their compiler
    from afterimage_emulator.rules_language import (
        CommitLookups,
        Coverage,
        DocumentLookup,
        FirestoreRequest,
        Ruleset,
        StorageRequest,
    )

Place = TypeVar("Place")
Asked = ParamSpec("Asked")


@dataclass(frozen=True, slots=True)
class Rules:
    """What guards a place, and what counts how often each expression was evaluated."""

    ruleset: Ruleset
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """A place that nobody but admins reaches, because the rules that were to guard it are not in force."""

    message: str


class Question(NamedTuple):
    """Requests that are allowed together or not at all; `lookups` finds the documents that rules ask for."""

    requests: Sequence[FirestoreRequest | StorageRequest]
    lookups: DocumentLookup | CommitLookups | None = None


class RulesGate(Generic[Place]):
    """`in_force` gives the rules of a place, or None where everything is allowed to everybody.

    `record` is told of every decision while somebody looks at it.
    """

    def __init__(
        self,
        in_force: Callable[[Place], Rules | Closed | None],
        *,
        log: logging.Logger,
        record: JudgedRequests | None = None,
    ) -> None:
        self._in_force = in_force
        self._log = log
        self._record = record

    def is_open_to(self, caller: Caller, place: Place) -> bool:
        """Whether nothing needs to be asked."""
        return caller.is_admin or self._in_force(place) is None

    def check(
        self,
        caller: Caller,
        place: Place,
        question: Callable[Concatenate[Caller, Place, Asked], Question],
        *asked: Asked.args,
        **named: Asked.kwargs,
    ) -> None:
        """Returns where the rules allow it, raises `StatusError(PERMISSION_DENIED)` where they do not.

        `question` is asked with what follows it, and only where there is somebody to answer.
        """
        if caller.is_admin:
            return
        rules = self._in_force(place)
        if rules is None:
            return
        if isinstance(rules, Closed):
            raise StatusError(Code.PERMISSION_DENIED, rules.message)
        requests, lookups = question(caller, place, *asked, **named)
        for request in requests:
            decision = rules.ruleset.decide(request, lookups, coverage=rules.coverage)
            if self._record is not None:
                self._record.note(request, decision)
            if not decision.allowed:
                details = explained(caller, decision.explain, self._log)
                raise StatusError(Code.PERMISSION_DENIED, decision.denial_message, details=details)

    def check_admin(self, caller: Caller, place: Place, method: str) -> None:
        """For what no rule can allow."""
        if not self.is_open_to(caller, place):
            raise StatusError(Code.PERMISSION_DENIED, f"`{method}` is for admins only, whatever the rules say.")
