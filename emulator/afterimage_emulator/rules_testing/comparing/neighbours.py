"""Requests next to those that satisfy an allow: where one ruleset allows a request, another may refuse it by a hair."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from afterimage_emulator.rules_language import FirestoreRequest, MemoryLookup, Ruleset, StorageRequest
from afterimage_emulator.rules_testing.comparing.satisfying import Goal, another, goals_of, satisfying_requests

Request = FirestoreRequest | StorageRequest
MAXIMUM_TRIES = 24
NEIGHBOURS = 6


def requests_on_the_edge(
    rulesets: Sequence[Ruleset], *, count: int, chance: random.Random, values: Mapping[str, Sequence[object]]
) -> Iterator[tuple[Request, MemoryLookup]]:
    """About `count` requests: what satisfies allows that the rulesets do not share, and some with one thing changed.

    `values` has, by field, what the rules compare it with.
    """
    goals = _goals(rulesets)
    share = count // len(goals) if goals else 0
    tries = max(1, min(MAXIMUM_TRIES, share // (NEIGHBOURS + 1)))
    for ruleset, goal in goals:
        for request, lookup in satisfying_requests(ruleset, goal, tries=tries, chance=chance):
            yield request, lookup
            changed = list(_neighbours(request, values))
            for neighbour in chance.sample(changed, min(len(changed), max(NEIGHBOURS, share // tries - 1))):
                yield neighbour, lookup


def _goals(rulesets: Sequence[Ruleset]) -> list[tuple[Ruleset, Goal]]:
    """What one ruleset asks and another does not; where they share all, such as the version apart, everything."""
    found = [(ruleset, {goal.key: goal for goal in goals_of(ruleset)}) for ruleset in rulesets]
    shared = set.intersection(*(set(goals) for _, goals in found)) if len(found) > 1 else set()
    own = [(ruleset, goal) for ruleset, goals in found for key, goal in goals.items() if key not in shared]
    return own or [(ruleset, goal) for ruleset, goals in found for goal in goals.values()]


def _neighbours(request: Request, values: Mapping[str, Sequence[Any]]) -> Iterator[Request]:
    """The request with one thing changed: the caller, a claim, a field that is stored or written."""
    if request.auth is not None:
        token = request.auth["token"]
        yield dataclasses.replace(request, auth=None)
        other = {**token, "sub": "other", "user_id": "other"}
        yield dataclasses.replace(request, auth={"uid": "other", "token": other})
        for claim in token:
            if claim not in ("sub", "user_id"):
                rest = {name: value for name, value in token.items() if name != claim}
                yield dataclasses.replace(request, auth={**request.auth, "token": rest})
    is_open = isinstance(request, FirestoreRequest)
    if request.resource is not None:
        for stored in _changed(request.resource, values, is_open=is_open):
            yield dataclasses.replace(request, resource=stored)
    if request.request_resource is not None:
        for written in _changed(request.request_resource, values, is_open=is_open):
            yield dataclasses.replace(request, request_resource=written)


def _changed(
    data: Mapping[str, object], values: Mapping[str, Sequence[object]], *, is_open: bool
) -> Iterator[dict[str, object]]:
    """Data with one field less, changed by a step or in its type, or with one more."""
    for name, value in data.items():
        if is_open:
            yield {key: kept for key, kept in data.items() if key != name}
            yield {**data, name: [value]}
        if isinstance(value, dict):
            yield from ({**data, name: inner} for inner in _changed(value, values, is_open=True))
        else:
            yield {**data, name: another(value)}
            if isinstance(value, int) and not isinstance(value, bool):
                yield {**data, name: value + 0.5}
        yield from ({**data, name: near} for near in values.get(name, ())[:8])
    if is_open:
        yield {**data, "unexpected": "x"}
        for name, near in values.items():
            if name not in data and near:
                yield {**data, name: near[0]}
