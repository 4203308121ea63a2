"""Every pattern that meets what others wrote is linear, and a new one that might not be is looked at by a person."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from tests.structure.architecture import ROOT
from tests.structure.import_graph import Graph
from tests.structure.patterns import Pattern, nested, patterns_of, worst_texts

ROOMS = ("functions", "server", "client", "emulator", "rules")
KNOWN_NESTED = {
    r"firebase(?:-[a-z]+)*\.js(?:\.map)?": "each round begins with a dash, which no round holds",
    r"(?:[^/\r\n]+/)+": "each round ends with a slash, which no round holds",
    r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*": "each round begins with a slash and holds no other",
}
"""Repetitions within repetitions, and why there is one way alone to read any text."""
OF_DEVELOPERS = {
    "emulator/afterimage_emulator/functions/codebases/parameters.py": "the developer's own `.env` and parameters",
    "emulator/afterimage_emulator/functions/deliveries/time_tables.py": "the developer's own schedules",
}
"""Modules whose patterns meet nothing but the files of whoever runs them."""
PATIENCE_SECONDS = 30
"""Past this, a match that takes milliseconds is not one that is slow: it goes back over its text."""


@pytest.fixture(scope="module")
def patterns(repository: Graph) -> list[Pattern]:
    found = patterns_of(repository.in_room(*ROOMS), ROOT)
    assert len(found) > 150, "the survey looks in the wrong place"
    return found


def test_no_pattern_repeats_a_repetition_but_those_that_are_known(patterns: list[Pattern]) -> None:
    """Where one may give back what the other has taken, a few dozen characters can keep a machine busy for years."""
    assert {pattern.text for pattern in patterns if nested(pattern)} == set(KNOWN_NESTED)


@pytest.mark.parametrize("size", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_every_pattern_is_linear_at_its_worst(patterns: list[Pattern], size: int) -> None:
    """Each endless repetition in turn is as long as that, and then comes what the pattern cannot end with."""
    slow = []
    for pattern in patterns:
        if pattern.module in OF_DEVELOPERS:
            continue
        try:
            tried_at_worst(pattern, size, patience_seconds=PATIENCE_SECONDS)
        except TimeoutError:
            slow.append(f"{pattern.module}: {pattern.text}")
    assert slow == []


@pytest.mark.parametrize("text", [r"(a+)+", r"\s*(x*?)\s*!", r"(?:a|a)*b"])
def test_a_pattern_that_goes_back_is_found(text: str) -> None:
    """The test above can fail."""
    pattern = Pattern(module="m", text=text, flags=0, is_bytes=False, uses=("fullmatch",))
    with pytest.raises(TimeoutError):
        tried_at_worst(pattern, 200_000, patience_seconds=1)


def tried_at_worst(pattern: Pattern, size: int, *, patience_seconds: float) -> None:
    """TimeoutError where it does not come to its end."""
    with interrupted_after(patience_seconds):
        for text in worst_texts(pattern, size):
            tried(pattern, text)


def tried(pattern: Pattern, text: str | bytes) -> None:
    compiled = pattern.compiled
    for use in pattern.uses:
        if use in {"sub", "subn"}:
            compiled.sub(b"" if pattern.is_bytes else "", text)
        elif use in {"search", "findall", "finditer", "split"}:
            compiled.findall(text)
        else:
            getattr(compiled, "match" if use == "scanner" else use)(text)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Python's matcher looks for signals on its way: who goes back and back over a text is called off and named."""

    def call_off(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, call_off)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
