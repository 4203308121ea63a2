"""Owns a network's API on a socket of this machine: statuses, limits under a clock of the test's, faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.listening import listening

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ContractServer:
    """What every network's server has: time, tokens, scripted faults, what it keeps, and what it was asked."""

    now: datetime = NOON
    asked: list[Asked] = field(default_factory=list)
    faults: list[int | str] = field(default_factory=list)
    """What the next requests meet: a status that is answered instead, or `lost` (done, but the answer never comes)."""
    kept: dict[str, set[str]] = field(default_factory=dict)
    """Tags by address: what the network's caches hold."""
    purged: list[set[str]] = field(default_factory=list)
    too_many: int = 0
    """How often it was asked more than it takes."""
    tokens: float = 0.0
    refilled_at: datetime | None = None
    url: str = ""

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def has_token(self, burst: int, per_second: float) -> bool:
        """Takes a token of a bucket that is refilled as time passes."""
        passed = (self.now - self.refilled_at).total_seconds() if self.refilled_at else float("inf")
        self.tokens = min(float(burst), self.tokens + passed * per_second)
        self.refilled_at = self.now
        if self.tokens < 1:
            self.too_many += 1
            return False
        self.tokens -= 1
        return True

    def forget(self, tags: set[str]) -> None:
        self.purged.append(tags)
        self.kept = {address: held for address, held in self.kept.items() if not held & tags}


@contextmanager
def served(server: ContractServer) -> Iterator[ContractServer]:
    """On a free port, until the test is over."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = Asked(
                method=self.command, path=parts.path, query=parse_qs(parts.query), headers=dict(self.headers), body=body
            )
            server.asked.append(asked)
            fault = server.faults.pop(0) if server.faults else None
            if isinstance(fault, int):
                self._write(Answer(status=fault, body=b"a fault of the test's"))
                return
            answer = server.answer(asked)
            if fault == "lost":
                self.close_connection = True
                return
            self._write(answer)

        def _write(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_arguments: object) -> None:
            return

    with listening(Handler) as server.url:
        yield server
