"""What the official emulator was seen to answer, request by request, as far as a record can be compared.

`make conformance` asks the emulator itself; the record keeps its answers where there is no Node.
"""

from __future__ import annotations

from tests.conformance.auth.asking import answers_of
from tests.conformance.auth.comparing import Comparison
from tests.conformance.auth.record import official_answers
from tests.conformance.auth.written_requests import PROJECT, sections
from tests.emulator.auth.conftest import PROJECT as SERVED
from tests.emulator.auth.conftest import RunningAuth


def test_this_auth_answers_as_the_official_one(running: RunningAuth) -> None:
    """Status, body and redirect of every request are the same, but for the differences that have a reason."""
    assert PROJECT == SERVED
    record = official_answers()
    unlike = []
    for section in sections():
        comparison = Comparison()
        for request, own in answers_of(f"http://{running.address}", section):
            line, theirs = next(record)
            assert line == request.line, "the record is of other requests: make it anew"
            differences = list(comparison.differences(theirs, own))
            if bool(differences) != (request.reason is not None):
                unlike.append(f"{request.place}: {request.line[:200]}\n    " + "\n    ".join(differences[:5]))
    assert next(record, None) is None
    assert not unlike, "\n".join(unlike)
