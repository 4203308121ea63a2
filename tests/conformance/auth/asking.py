"""Puts the written requests to one service and keeps its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.conformance.auth.written_requests import PROJECT, Section, WrittenRequest, filled_in

_FIRST_SETTINGS = {
    "signIn": {"allowDuplicateEmails": False},
    "emailPrivacyConfig": {"enableImprovedEmailPrivacy": False},
}
_OWNER = {"authorization": "Bearer owner"}


def answers_of(origin: str, section: Section) -> Iterator[tuple[WrittenRequest, dict[str, Any]]]:
    kept: dict[str, Any] = {}
    with httpx.Client(base_url=origin, timeout=60) as client:
        client.delete(f"/emulator/v1/projects/{PROJECT}/accounts").raise_for_status()
        client.patch(f"/emulator/v1/projects/{PROJECT}/config", json=_FIRST_SETTINGS).raise_for_status()
        for request in section.requests:
            answer = _ask(client, request, kept)
            if request.kept_as is not None:
                kept[request.kept_as] = answer["body"]
            yield request, answer


def _ask(client: httpx.Client, request: WrittenRequest, kept: dict[str, Any]) -> dict[str, Any]:
    headers = dict(_OWNER) if request.credential == "owner" else {}
    path = filled_in(request.path, kept)
    if request.credential == "key":
        path += ("&" if "?" in path else "?") + "key=fake"
    content = None
    if request.body is not None:
        content = filled_in(request.body, kept)
        headers["content-type"] = "application/json"
    response = client.request(request.method, path, content=content, headers=headers)
    try:
        body = response.json()
    except json.JSONDecodeError:
        body = response.text
    answer: dict[str, Any] = {"status": response.status_code, "body": body}
    if "location" in response.headers:
        answer["location"] = response.headers["location"]
    return answer
