"""Writes down what the official emulator answers: python -m tests.conformance.auth.record NODE_MODULES

The tests compare with the record where there is no Node, and the record with the emulator where there is one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance.auth.asking import answers_of
from tests.conformance.auth.comparing import masked
from tests.conformance.auth.serving import official_auth, serving
from tests.conformance.auth.written_requests import sections

RECORD = Path(__file__).parent / "official_answers.jsonl"


def recorded(origin: str) -> Iterator[str]:
    """One line for each request."""
    for section in sections():
        for request, answer in answers_of(origin, section):
            yield json.dumps({"line": request.line, **masked(answer)}, sort_keys=True, separators=(",", ":"))


def official_answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """The requests' own lines with the answers, in their order."""
    for line in RECORD.read_text().splitlines():
        answer = json.loads(line)
        yield answer.pop("line"), answer


if __name__ == "__main__":
    with serving(official_auth(Path(sys.argv[1]))) as address:
        RECORD.write_text("".join(f"{line}\n" for line in recorded(address)))
