"""Requests made up from the rules themselves: around every path, field, claim and constant that they mention."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from afterimage_emulator.rules_language import (
    FieldFilter,
    FirestoreRequest,
    ListedQuery,
    MemoryLookup,
    Ruleset,
    StorageRequest,
)
from afterimage_emulator.rules_language.syntax.syntax_tree import Segment
from afterimage_emulator.rules_testing.cases import RuleCase
from afterimage_emulator.rules_testing.comparing.neighbours import requests_on_the_edge
from afterimage_emulator.rules_testing.comparing.vocabulary import NOW, USER, Vocabulary

_METHODS: Final = ("get", "list", "create", "update", "delete")
Request = FirestoreRequest | StorageRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedRequest:
    """A made-up request and the documents that look-ups find."""

    request: Request
    lookup: MemoryLookup


def generated_requests(
    rulesets: Sequence[Ruleset], cases: Sequence[RuleCase] = (), *, count: int, seed: int = 0
) -> Iterator[GeneratedRequest]:
    """At most `count` requests: up to half satisfy some allow, or do so but for one thing; of the others half are near
    the given cases, one thing changed in each, and the rest from scratch.

    All are made of what the rulesets mention; the same seed makes the same requests.
    """
    vocabulary = Vocabulary()
    for ruleset in rulesets:
        vocabulary.learn(ruleset.rules)
    chance = random.Random(seed)
    maker = _Maker(vocabulary, chance)
    patterns = [(service, pattern) for service, found in sorted(vocabulary.patterns.items()) for pattern in found]
    made = 0
    on_the_edge = requests_on_the_edge(rulesets, count=count // 2, chance=chance, values=vocabulary.near)
    for request, lookup in islice(on_the_edge, count // 2):
        made += 1
        yield GeneratedRequest(request=request, lookup=lookup)
    for number in range(count - made):
        if cases and (number % 2 == 0 or not patterns):
            yield maker.near(cases[number // 2 % len(cases)])
        elif patterns:
            yield maker.make(*patterns[number % len(patterns)])


# -- making


class _Maker:
    def __init__(self, vocabulary: Vocabulary, chance: random.Random) -> None:
        self._chance = chance
        self._fields = sorted(vocabulary.fields) or ["field"]
        self._near = vocabulary.near
        self._claims = sorted(vocabulary.claims)
        self._looked_up = vocabulary.looked_up
        constants = sorted(vocabulary.constants.values(), key=repr)
        self._strings = [value for value in constants if isinstance(value, str)]
        self._numbers: list[Any] = [value for value in constants if not isinstance(value, str)]

    def make(self, service: str, pattern: tuple[Segment, ...]) -> GeneratedRequest:
        chance = self._chance
        segments = self._path(pattern)
        auth = self._auth()
        lookup = MemoryLookup(self._stored_documents())
        if service == "firebase.storage":
            return GeneratedRequest(request=self._storage(segments[3:], auth), lookup=lookup)
        path = segments[3:]
        method = chance.choice(_METHODS)
        if method == "list":
            collection = "/".join(path[: len(path) - 1 + len(path) % 2])
            query = self._query()
            request = FirestoreRequest(method="list", path=collection, time=NOW, auth=auth, query=query)
            return GeneratedRequest(request=request, lookup=lookup)
        stored = self._data() if method != "create" and chance.random() < 0.9 else None
        written = self._written(stored) if method in ("create", "update") else None
        name = "/".join(path)
        request = FirestoreRequest(
            method=method, path=name, time=NOW, auth=auth, resource=stored, request_resource=written
        )
        return GeneratedRequest(request=request, lookup=lookup)

    def near(self, case: RuleCase) -> GeneratedRequest:
        """A case's request with one thing changed: who asks, a claim, a field that is stored or written."""
        request = case.request
        chance = self._chance
        changes: dict[str, Any] = {}
        choice = chance.random()
        if choice < 0.15:
            changes["auth"] = self._auth()
        elif choice < 0.3 and request.auth is not None and self._claims:
            changes["auth"] = {**request.auth, "token": self._perturbed(request.auth["token"], self._claims)}
        elif choice < 0.6 and request.resource is not None:
            changes["resource"] = self._perturbed(request.resource, self._names(request))
        elif request.request_resource is not None:
            changes["request_resource"] = self._perturbed(request.request_resource, self._names(request))
        elif isinstance(request, FirestoreRequest) and request.method == "list":
            changes["query"] = self._query()
        return GeneratedRequest(request=dataclasses.replace(request, **changes), lookup=case.lookup)

    def _names(self, request: Request) -> list[str]:
        if isinstance(request, StorageRequest):
            return ["size", "contentType", "metadata"]
        return [*self._fields, "unexpected"]

    def _perturbed(self, data: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
        changed = dict(data)
        name = self._chance.choice([*names, *(changed if self._chance.random() < 0.5 else ())])
        if name in changed and self._chance.random() < 0.25:
            del changed[name]
        elif name == "metadata":
            changed[name] = {key: str(self._value(key)) for key in self._fields if self._chance.random() < 0.5}
        else:
            changed[name] = self._value(name)
        return changed

    def _path(self, pattern: tuple[Segment, ...]) -> list[str]:
        segments: list[str] = []
        for segment in pattern:
            if segment.text == "database" and segment.is_capture:
                segments.append("(default)")
            elif segment.is_glob:
                segments += [f"g{number}" for number in range(self._chance.choice([1, 2, 2, 3, 4]))]
            else:
                segments.append(self._id() if segment.is_capture else segment.text)
        return segments

    def _id(self) -> str:
        named = [text for text in self._strings if text and "/" not in text and len(text) < 30]
        return self._chance.choice([USER, USER, "other", *named[:3]])

    def _auth(self) -> dict[str, object] | None:
        chance = self._chance
        if chance.random() < 0.15:
            return None
        claims = {name: self._value(name) for name in self._claims if chance.random() < 0.6}
        uid = USER if chance.random() < 0.8 else "other"
        return {"uid": uid, "token": {"sub": uid, "user_id": uid, **claims}}

    def _value(self, name: str) -> Any:
        """A value for a field or claim: mostly one next to which the rules decide."""
        chance = self._chance
        near = self._near.get(name)
        if near and chance.random() < 0.75:
            return chance.choice(near)
        kind = chance.random()
        if kind < 0.3 and self._strings:
            return chance.choice(self._strings)
        if kind < 0.5 and self._numbers:
            return chance.choice(self._numbers) + chance.choice([-1, 0, 0, 1])
        if kind < 0.65:
            return USER
        return chance.choice([True, False, None, 0, 1, "x", NOW, [USER], [], {}])

    def _data(self) -> dict[str, object]:
        return {name: self._value(name) for name in self._fields if self._chance.random() < 0.6}

    def _written(self, stored: dict[str, Any] | None) -> dict[str, Any]:
        """What a write leaves: new data, or the stored data with a field or two changed or gone."""
        chance = self._chance
        if stored is None or chance.random() < 0.2:
            return self._data()
        written = dict(stored)
        for name in chance.sample(self._fields, k=min(len(self._fields), chance.choice([0, 1, 1, 2]))):
            if name in written and chance.random() < 0.3:
                del written[name]
            elif isinstance(written.get(name), int) and not isinstance(written.get(name), bool):
                written[name] += chance.choice([1, 1, -1, 2])
            else:
                written[name] = self._value(name)
        return written

    def _query(self) -> ListedQuery:
        chance = self._chance
        name = chance.choice(self._fields)
        operator = chance.choice(["==", "==", ">", ">=", "<", "!=", "in", "array-contains"])
        value = [self._value(name)] if operator == "in" else self._value(name)
        where = FieldFilter(field=(name,), op=operator, value=value) if chance.random() < 0.8 else None
        return ListedQuery(where=where, limit=chance.choice([None, 1, 10, 100]))

    def _storage(self, path: list[str], auth: dict[str, object] | None) -> StorageRequest:
        chance = self._chance
        method = chance.choice(_METHODS)
        written = self._object() if method in ("create", "update") else None
        stored = self._object() if chance.random() < 0.6 else None
        name = "/".join(path)
        return StorageRequest(
            method=method, bucket="bucket", path=name, time=NOW, auth=auth, resource=stored, request_resource=written
        )

    def _object(self) -> dict[str, object]:
        chance = self._chance
        types = [text for text in self._strings if "/" in text] or ["image/png"]
        sizes = [number for number in self._numbers if isinstance(number, int)] or [1000]
        metadata = {name: str(self._value(name)) for name in self._fields if chance.random() < 0.5}
        return {
            "contentType": chance.choice([*types, "image/png", "text/plain"]).replace(".*", "png"),
            "size": max(0, chance.choice(sizes) + chance.choice([-1, 0, 1])),
            "metadata": metadata,
        }

    def _stored_documents(self) -> Mapping[str, Mapping[str, object]]:
        """Documents where the rules' own path literals lead, most of the time."""
        found: dict[str, Mapping[str, Any]] = {}
        for literal in self._looked_up:
            if self._chance.random() < 0.7 and len(literal.segments) >= 5:
                parts = [segment if isinstance(segment, str) else USER for segment in literal.segments[3:]]
                found["/".join(parts)] = self._data()
        return found
