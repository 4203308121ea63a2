"""Owns Vercel's API as it is published: deletion by tags, its error bodies, and its window of requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from jsonschema import Draft202012Validator

from tests.functions.cdn.contract_server import Answer, Asked, ContractServer

DELETE: Final = {
    "type": "object",
    "required": ["tags"],
    "properties": {
        "tags": {
            "oneOf": [
                {"type": "array", "items": {"type": "string", "maxLength": 256}},
                {"type": "string", "maxLength": 8196},
            ]
        },
        "target": {"type": "string", "enum": ["production", "preview"]},
    },
    "additionalProperties": False,
}
"""The body of `POST /v1/edge-cache/dangerously-delete-by-tags`, written down from the published reference."""


@dataclass
class VercelServer(ContractServer):
    """One team with one project."""

    project: str = "prj_123"
    team: str = "team_123"
    token: str = "a-token"
    burst: int = 10
    per_second: float = 1.0

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            return _refused(403, "forbidden", "Not authorized")
        if asked.path != "/v1/edge-cache/dangerously-delete-by-tags":
            return _refused(404, "not_found", "Not Found")
        if asked.query.get("projectIdOrName") != [self.project] or asked.query.get("teamId") != [self.team]:
            return _refused(404, "not_found", "Project not found")
        if not self.has_token(self.burst, self.per_second):
            reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(self.now.timestamp()) + 30)}
            return _refused(429, "rate_limited", "Too many requests", headers=reset)
        body = json.loads(asked.body)
        if list(Draft202012Validator(DELETE).iter_errors(body)):
            return _refused(400, "bad_request", "Invalid request: `tags` should be array.")
        self.forget(set(body["tags"]))
        return Answer(headers={"x-vercel-id": f"iad1::{len(self.purged)}"})


def _refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Answer(status=status, body=body, headers=headers or {})
