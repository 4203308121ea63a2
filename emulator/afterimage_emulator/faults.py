"""Faults on demand: rules that drop, duplicate, delay and shuffle events, and fail requests before or after they act.

`redeliver` is for Pub/Sub and task queues: what a subscriber acknowledged, or a task's handler did, comes again, as if
the acknowledgement had been lost.

A rule matches by glob on what is known of an event (`type`, `source`, `subject`, `bucket`, `document`, …) or of a
request (`service`, `method`, `resource`). Chance comes from the rule's own seeded generator, so a run can be repeated.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from afterimage_emulator.status import Code, StatusError

EVENT_ACTIONS: Final = frozenset({"drop", "duplicate", "delay", "reorder"})
REQUEST_ACTIONS: Final = frozenset({"fail", "apply_then_fail", "disconnect", "stall"})
ACKNOWLEDGEMENT_ACTIONS: Final = frozenset({"redeliver"})


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRule:
    """One fault. `times` bounds how often it strikes, after letting `skip` matches pass unharmed."""

    action: str
    match: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    copies: int = 1
    seconds: float = 0.0
    code: Code = Code.UNAVAILABLE
    message: str = "injected fault"

    @property
    def is_for_events(self) -> bool:
        return self.action in EVENT_ACTIONS

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> FaultRule:
        """Reads a rule as the control API receives it; what is wrong is named."""
        known = {f: body[f] for f in FaultRule.__dataclass_fields__ if f in body}
        unknown = sorted(set(body) - set(known))
        if unknown:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"unknown fault field `{unknown[0]}`; known are {', '.join(FaultRule.__dataclass_fields__)}",
            )
        action = known.get("action")
        if action not in EVENT_ACTIONS | REQUEST_ACTIONS | ACKNOWLEDGEMENT_ACTIONS:
            choices = ", ".join(sorted(EVENT_ACTIONS | REQUEST_ACTIONS | ACKNOWLEDGEMENT_ACTIONS))
            raise StatusError(Code.INVALID_ARGUMENT, f"unknown fault action `{action}`; choose one of {choices}")
        if "code" in known:
            known["code"] = _parse_code(known["code"])
        _check_types(known)
        return FaultRule(**known)

    def to_json(self) -> dict[str, object]:
        return {
            name: (self.code.name if name == "code" else getattr(self, name)) for name in FaultRule.__dataclass_fields__
        }


_FIELD_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "match": (dict,),
    "times": (int, type(None)),
    "skip": (int,),
    "probability": (int, float),
    "seed": (int,),
    "copies": (int,),
    "seconds": (int, float),
    "message": (str,),
}


def _check_types(fields: Mapping[str, Any]) -> None:
    for name, types in _FIELD_TYPES.items():
        if name in fields and (not isinstance(fields[name], types) or isinstance(fields[name], bool)):
            wanted = " or ".join(t.__name__ for t in types)
            raise StatusError(Code.INVALID_ARGUMENT, f"fault field `{name}` must be {wanted}, not `{fields[name]!r}`")
    for key, pattern in fields.get("match", {}).items():
        if not isinstance(pattern, str):
            raise StatusError(Code.INVALID_ARGUMENT, f"fault field `match.{key}` must be a glob, not `{pattern!r}`")


def _parse_code(value: object) -> Code:
    if isinstance(value, str) and value in Code.__members__:
        return Code[value]
    raise StatusError(Code.INVALID_ARGUMENT, f"unknown code `{value}`; choose one of {', '.join(Code.__members__)}")


@dataclass(slots=True)
class _Armed:
    id: str
    rule: FaultRule
    chance: random.Random
    seen: int = 0
    struck: int = 0

    def strikes(self, described: Mapping[str, str]) -> bool:
        rule = self.rule
        if rule.times is not None and self.struck >= rule.times:
            return False
        for key, pattern in rule.match.items():
            if not fnmatchcase(described.get(key, ""), pattern):
                return False
        self.seen += 1
        if self.seen <= rule.skip or (rule.probability < 1.0 and self.chance.random() >= rule.probability):
            return False
        self.struck += 1
        return True


class Faults:
    """The rules in force. With none, asking costs one empty-list check."""

    def __init__(self) -> None:
        self._events: list[_Armed] = []
        self._requests: list[_Armed] = []
        self._acknowledgements: list[_Armed] = []
        self._ids = itertools.count(1)

    def add(self, rule: FaultRule) -> str:
        armed = _Armed(f"fault-{next(self._ids)}", rule, random.Random(rule.seed))
        if rule.action in ACKNOWLEDGEMENT_ACTIONS:
            self._acknowledgements.append(armed)
        else:
            (self._events if rule.is_for_events else self._requests).append(armed)
        return armed.id

    def remove(self, fault_id: str) -> None:
        for rules in (self._events, self._requests, self._acknowledgements):
            for armed in rules:
                if armed.id == fault_id:
                    rules.remove(armed)
                    return
        raise StatusError(Code.NOT_FOUND, f"no fault rule `{fault_id}`; list them with GET /control/faults")

    def clear(self) -> None:
        self._events.clear()
        self._requests.clear()
        self._acknowledgements.clear()

    def listing(self) -> Sequence[dict[str, Any]]:
        return [
            {"id": armed.id, "matched": armed.seen, "struck": armed.struck, **armed.rule.to_json()}
            for armed in (*self._events, *self._requests, *self._acknowledgements)
        ]

    def deliveries(self, event: Mapping[str, str]) -> Sequence[float]:
        """When to deliver an event: seconds from now, one entry a delivery; empty when it is lost."""
        if not self._events:
            return (0.0,)
        delays = [0.0]
        for armed in self._events:
            if not armed.strikes(event):
                continue
            rule = armed.rule
            if rule.action == "drop":
                return ()
            if rule.action == "duplicate":
                delays += [rule.seconds] * rule.copies
            elif rule.action == "delay":
                delays = [delay + rule.seconds for delay in delays]
            else:  # reorder: each delivery waits its own random while, so later ones overtake earlier ones
                delays = [delay + armed.chance.uniform(0, rule.seconds or 0.05) for delay in delays]
        return delays

    def redelivery(self, acknowledged: Mapping[str, str]) -> float | None:
        """In how many seconds a message comes again although it was acknowledged; None where it is done with."""
        for armed in self._acknowledgements:
            if armed.strikes(acknowledged):
                return armed.rule.seconds
        return None

    def for_request(self, *, service: str, method: str, resource: str) -> FaultRule | None:
        """The fault that this request shall suffer, if any."""
        if not self._requests:
            return None
        described = {"service": service, "method": method, "resource": resource}
        for armed in self._requests:
            if armed.strikes(described):
                return armed.rule
        return None
