"""Owns Cloudflare's API as it is published: purge by tags, its token bucket, its error bodies, and a day's figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator

from tests.functions.cdn.contract_server import Answer, Asked, ContractServer

PURGE: Final = {
    "type": "object",
    "oneOf": [
        {"required": ["tags"]},
        {"required": ["hosts"]},
        {"required": ["prefixes"]},
        {"required": ["files"]},
        {"required": ["purge_everything"]},
    ],
    "properties": {
        "tags": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string", "maxLength": 1024}},
        "hosts": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string"}},
        "prefixes": {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string"}},
        "files": {"type": "array", "minItems": 1, "maxItems": 100},
        "purge_everything": {"const": True},
    },
    "additionalProperties": False,
}
"""The body of `POST /zones/{zone_id}/purge_cache`, written down from the published reference."""
GRAPHQL: Final = {
    "type": "object",
    "required": ["query", "variables"],
    "properties": {
        "query": {"type": "string"},
        "variables": {
            "type": "object",
            "required": ["zone", "day"],
            "properties": {"zone": {"type": "string"}, "day": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
DATASET: Final = {"httpRequests1dGroups", "sum", "requests", "bytes", "cachedRequests", "cachedBytes"}


@dataclass
class CloudflareServer(ContractServer):
    """One account with one zone, on the free plan."""

    zone: str = "023e105f4ecef8ad9ca31a8372d0c353"
    token: str = "a-token"
    burst: int = 25
    per_second: float = 5 / 60

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            return _refused(403, 10000, "Authentication error")
        if asked.headers.get("Content-Type") != "application/json":
            return _refused(415, 1003, "Content-Type must be application/json")
        body = json.loads(asked.body)
        if asked.path == f"/client/v4/zones/{self.zone}/purge_cache":
            return self._purge(body)
        if asked.path == "/client/v4/graphql":
            return self._figures(body)
        return _refused(404, 7003, "Could not route to the request, perhaps your object identifier is invalid?")

    def _purge(self, body: Any) -> Answer:
        if not self.has_token(self.burst, self.per_second):
            missing = {"Retry-After": str(int(1 / self.per_second))}
            return _refused(429, 971, "Please wait and consider throttling your request speed", headers=missing)
        if list(Draft202012Validator(PURGE).iter_errors(body)):
            return _refused(400, 1012, "Request must contain one of purge_everything, files, tags, hosts or prefixes")
        self.forget(set(body["tags"]))
        result = {"success": True, "errors": [], "messages": [], "result": {"id": f"{len(self.purged):032x}"}}
        return Answer(body=json.dumps(result).encode())

    def _figures(self, body: Any) -> Answer:
        Draft202012Validator(GRAPHQL).validate(body)
        words = set(body["query"].replace("{", " ").replace("}", " ").replace("(", " ").split())
        if not words >= DATASET:
            errors = [{"message": "unknown field", "path": None}]
            return Answer(body=json.dumps({"data": None, "errors": errors}).encode())
        figures = {"requests": 1000, "bytes": 5_000_000, "cachedRequests": 900, "cachedBytes": 4_500_000}
        groups = [{"sum": figures}] if body["variables"]["day"] >= "2026-01-01" else []
        found = {"data": {"viewer": {"zones": [{"httpRequests1dGroups": groups}]}}, "errors": None}
        return Answer(body=json.dumps(found).encode())


def _refused(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return Answer(status=status, body=json.dumps(body).encode(), headers=headers or {})
