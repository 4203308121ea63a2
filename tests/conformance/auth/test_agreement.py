"""This Auth beside the official emulator: the same requests to both, answer by answer; and sign-ups a second."""

from __future__ import annotations

import asyncio
import json
import re
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.auth.asking import answers_of
from tests.conformance.auth.comparing import Comparison
from tests.conformance.auth.record import official_answers
from tests.conformance.auth.serving import official_auth, our_auth, serving
from tests.conformance.auth.written_requests import sections

pytestmark = pytest.mark.conformance

HERE = Path(__file__).parent
LEAST_AGREEMENT = 0.98
LEAST_REQUESTS = 400
LEAST_RATIO = 4.0
SIGN_UPS = 2000
CONNECTIONS = 16
ROUNDS = 3


@pytest.fixture(scope="module")
def official(node_modules: Path) -> Iterator[str]:
    with serving(official_auth(node_modules)) as origin:
        yield origin


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    with serving(our_auth()) as origin:
        yield origin


def test_both_answer_alike(official: str, ours: str) -> None:
    """Nearly every answer is the same; each that is not has its reason on record, and no reason is out of date."""
    reasons = tomllib.loads((HERE / "reasons.toml").read_text())
    used: Counter[str] = Counter()
    unexplained: list[str] = []
    record = official_answers()
    agreed: list[str] = []
    for section in sections():
        comparison, recorded = Comparison(), Comparison()
        pairs = zip(answers_of(official, section), answers_of(ours, section), strict=True)
        for (request, theirs), (_, own) in pairs:
            line, kept = next(record, ("", {}))
            assert line == request.line, "the record is of other requests: `python -m tests.conformance.auth.record`"
            drift = list(recorded.differences(kept, theirs))
            assert not drift, f"{request.place}: the emulator answers otherwise than its record says: {drift}"
            differences = list(comparison.differences(theirs, own))
            if not differences:
                agreed.append(request.place)
                if request.reason is not None:
                    unexplained.append(f"{request.place}: answered alike, so `~{request.reason}` says too much")
            elif request.reason is None:
                unexplained.append(f"{request.place}: {request.line[:200]}\n    " + "\n    ".join(differences[:5]))
            else:
                used[request.reason] += 1
    count = len(agreed) + sum(used.values()) + len(unexplained)
    print(f"\n{len(agreed)} of {count} requests are answered alike ({len(agreed) / count:.1%}); the others:\n")
    print("\n".join(f"| {reasons[name]} | {number} |" for name, number in used.items()))
    assert not unexplained, "\n".join(unexplained)
    assert set(reasons) == set(used), "reasons without a request"
    assert count >= LEAST_REQUESTS
    assert len(agreed) / count >= LEAST_AGREEMENT


async def _sign_ups_a_second(origin: str, name: str) -> float:
    """Over connections that stay open, each with the next request as soon as the last one is answered."""
    host, port = origin.removeprefix("http://").split(":")
    numbers = iter(range(SIGN_UPS))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in numbers:
            body = json.dumps({"email": f"{name}-{number}@example.com", "password": "secret-1"}).encode()
            writer.write(
                b"POST /identitytoolkit.googleapis.com/v1/accounts:signUp?key=fake HTTP/1.1\r\nhost: 127.0.0.1\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"content-length: *(\d+)", head.lower())
            if length is None:  # in chunks
                await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                await reader.readexactly(int(length[1]))
        writer.close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(connection())
    return SIGN_UPS / (time.perf_counter() - started)


def test_sign_ups_a_second(official: str, ours: str) -> None:
    """Suites with thousands of users of their own set up in seconds: several times the official emulator's rate."""
    rates: dict[str, list[float]] = {official: [], ours: []}
    for turn in range(ROUNDS):
        for origin in (official, ours):
            rates[origin].append(asyncio.run(_sign_ups_a_second(origin, f"turn-{turn}")))
    theirs, own = (sorted(rates[origin])[ROUNDS // 2] for origin in (official, ours))
    print(f"\nsign-ups a second: {own:,.0f} here, {theirs:,.0f} there: {own / theirs:.1f} times")
    assert own / theirs >= LEAST_RATIO
