"""Users × resources × verbs: what the matrix allows is served, and nothing else is, whoever asks."""

from __future__ import annotations

import json
from typing import Any

from afterimage.api.table import TABLE
from tests.functions.api.conftest import ServedApi
from tests.functions.api.matrix import CALLERS, MATRIX, NAMED_LIKE_VERBS, VERBS


def test_every_route_stands_in_the_matrix() -> None:
    """A route of status or generations that nobody thought through cannot be added; saved files have their own."""
    routes = {(row.method, row.path) for row in TABLE.routes if row.room in {"status", "generation"}}
    assert routes == set(MATRIX)


def test_nobody_is_wrongly_allowed_or_refused(served: ServedApi) -> None:
    """Every caller at every route with every verb: the matrix's answer, else 405; others' resources never show."""
    address, owner = served.instance(), served.user("owner")
    body = {"prompt": "a very private shop", "project_id": "the-project"}
    made = served.http.post(f"{address}/generations/generate", json=body, headers=owner.headers).json()
    names = {"{generation_id}": made["id"], "{project_id}": "the-project"}
    foreign = served.user("owner", aud="demo-other", iss="https://securetoken.google.com/demo-other")
    wrong: list[str] = []
    for path in sorted({path for _, path in MATRIX}):
        for verb in VERBS:
            row = {**MATRIX, **NAMED_LIKE_VERBS}.get((verb, path))
            for number, caller in enumerate(CALLERS):
                # A user of each route's own: what is tried here is not the limit of requests.
                headers: dict[str, Any] = {
                    "nobody": {},
                    "forged": {"Authorization": "Bearer a.b.c"},
                    "foreign": foreign.headers,
                    "owner": owner.headers,
                    "other": served.user(f"other-{path.translate(PLAIN)}").headers,
                    "admin": served.user(f"admin-{path.translate(PLAIN)}", admin=True).headers,
                }[caller]
                # Each from an address of its own, too.
                headers = {**headers, "X-Forwarded-For": f"10.0.{number}.{VERBS.index(verb)}"}
                filled = path
                sent = json.dumps(row.body) if row and row.body else None
                for name, value in names.items():
                    filled = filled.replace(name, value)
                    sent = sent and sent.replace(name, value)
                if sent:
                    headers["Content-Type"] = "application/json"
                answer = served.http.request(verb, address + filled, content=sent, headers=headers)
                expected = row.told[number] if row else 405
                if answer.status_code != expected:
                    wrong.append(f"{caller} {verb} {path}: {answer.status_code}, not {expected}")
                if caller != "owner" and "very private" in answer.text:
                    wrong.append(f"{caller} {verb} {path} shows what is the owner's")
    assert wrong == []


PLAIN = str.maketrans({"/": "-", "{": "", "}": "", "_": "-", ".": "-"})
