"""What new rules decide differently from old ones: over all cases, and over requests made up from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterimage_emulator.rules_language import Decision, Ruleset
from afterimage_emulator.rules_testing.cases import RuleCase
from afterimage_emulator.rules_testing.comparing.generated_requests import generated_requests

GENERATED_REQUESTS = 4000


@dataclass(slots=True)
class ChangedDecision:
    """One way in which verdicts changed: the first request that shows it, and how many there were."""

    title: str
    path: str
    method: str
    was_allowed: bool
    old_why: str
    new_why: str
    count: int = 1

    def to_json(self) -> dict[str, object]:
        verdicts = ("allowed", "denied") if self.was_allowed else ("denied", "allowed")
        return {
            "request": self.title,
            "path": self.path,
            "method": self.method,
            "old": verdicts[0],
            "new": verdicts[1],
            "count": self.count,
            "why_old": self.old_why,
            "why_new": self.new_why,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Every changed verdict, and how many requests were tried."""

    tried: int
    changes: Sequence[ChangedDecision]

    def summary(self) -> list[str]:
        """By match path and method, how many requests are newly allowed and newly denied."""
        counts: dict[tuple[str, str], list[int]] = {}
        for change in self.changes:
            counts.setdefault((change.path, change.method), [0, 0])[change.was_allowed] += change.count
        return [
            f"  {path} {method}: " + ", ".join(
                f"{count} newly {word}" for count, word in zip(found, ("allowed", "denied"), strict=True) if count
            )
            for (path, method), found in sorted(counts.items())
        ]  # fmt: skip

    def to_text(self) -> str:
        lines = ["changed, by path:", *self.summary(), ""] if self.changes else []
        for change in self.changes:
            arrow = "allowed → denied" if change.was_allowed else "denied → allowed"
            times = f" ({change.count} requests like it)" if change.count > 1 else ""
            lines.append(f"{arrow}: {change.title}{times}")
            lines += [f"  old: {line}" for line in change.old_why.splitlines()]
            lines += [f"  new: {line}" for line in change.new_why.splitlines()]
        changed = sum(change.count for change in self.changes)
        lines.append(f"{changed} of {self.tried} verdicts changed")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        return {"tried": self.tried, "changes": [change.to_json() for change in self.changes]}


def compare(
    old: Ruleset, new: Ruleset, cases: Sequence[RuleCase], *, generated: int = GENERATED_REQUESTS, seed: int = 0
) -> Comparison:
    """Puts the same requests before both rulesets; cases one by one, made-up requests grouped by what decided them."""
    tried = 0
    changes: dict[tuple[object, ...], ChangedDecision] = {}
    for case in cases:
        tried += 1
        verdicts = old.decide(case.request, case.lookup), new.decide(case.request, case.lookup)
        _note(changes, ("case", case.title), f"case {case.title}", case.request.method, *verdicts)
    for made in generated_requests([old, new], cases, count=generated, seed=seed):
        tried += 1
        verdicts = old.decide(made.request, made.lookup), new.decide(made.request, made.lookup)
        if verdicts[0].allowed != verdicts[1].allowed:
            request = made.request
            _note(changes, (request.method, *map(_deciders, verdicts)), _title(request), request.method, *verdicts)
    return Comparison(tried=tried, changes=tuple(changes.values()))


def _note(
    changes: dict[tuple[object, ...], ChangedDecision],
    key: tuple[object, ...],
    title: str,
    method: str,
    before: Decision,
    after: Decision,
) -> None:
    if before.allowed == after.allowed:
        return
    if key in changes:
        changes[key].count += 1
    else:
        granting = before.allow or after.allow
        path = granting.match_path if granting is not None else ""
        changes[key] = ChangedDecision(
            title=title,
            path=path.removeprefix("/databases/{database}/documents"),
            method=method,
            was_allowed=before.allowed,
            old_why=str(before.explain()),
            new_why=str(after.explain()),
        )


def _deciders(decision: Decision) -> tuple[object, ...]:
    """The places that decided: the allow that granted, or what made each one say no."""
    if decision.allow is not None:
        return ("allow", decision.allow.line, decision.allow.column)
    return tuple((cause.line, cause.column) for tried in decision.explain().tried for cause in tried.causes)


def _title(request: Any) -> str:
    who = "nobody" if request.auth is None else request.auth["uid"]
    return f"{request.method} {request.path} as {who}"
