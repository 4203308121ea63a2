"""Alerts: the lines that docs/deploy.md tells operators to wait for are lines that the functions write."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from afterimage.delivery import events
from afterimage.jobs.progress import Page, Turn
from tests.functions.delivery.test_delivery import Letters, failing, receiver, storage_event
from tests.functions.jobs.job_runner import Topic
from tests.functions.media_world import World

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/deploy.md"


def filters() -> list[re.Pattern[str]]:
    """Every log filter of the page, as a pattern that finds what the filter finds."""
    found = re.findall(r"\| `textPayload(:|=~)\"(.+?)\"` \|", DOCUMENT.read_text())
    return [re.compile(re.escape(text) if operator == ":" else text) for operator, text in found]


def lines_in_trouble(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the functions log when an event cannot be kept, is kept, and when jobs end badly."""
    with caplog.at_level(logging.INFO):
        for letters in (Letters(broken=True), Letters()):
            try:
                receiver(letters).receive("t", storage_event(), events.decode_object_event, failing(KeyError("x")))
            except Exception:
                assert letters.is_broken
        run_job(lambda _turn: Page(next_cursor=None, counts={"repaired": 1}))
        run_job(lambda _turn: Page(next_cursor=None, failures=("one",)))
        monkeypatch.setattr("afterimage.jobs.progress.MOST_TURNS", 1)
        run_job(lambda _turn: Page(next_cursor="more"))
    return [record.getMessage() for record in caplog.records]


def run_job(work: object) -> None:
    assert callable(work)
    Topic(world=World(), kind="ledger.audit", messages=[({}, "m0")]).run(work)


def lines_in_peace(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()

    def handle(_event: object) -> None:
        """All is well."""

    with caplog.at_level(logging.INFO):
        receiver(Letters()).receive("t", storage_event(), events.decode_object_event, handle)
        run_job(finished)
    return [record.getMessage() for record in caplog.records]


def finished(_turn: Turn) -> Page:
    return Page(next_cursor=None, counts={"repaired": 0, "looked at": 10})


def test_each_filter_finds_its_line_and_is_quiet_when_all_is_well(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert on a line that nobody writes any more would be silence taken for health."""
    wanted = filters()
    assert len(wanted) == 5
    troubles = lines_in_trouble(caplog, monkeypatch)
    monkeypatch.undo()
    peace = lines_in_peace(caplog)
    for pattern in wanted:
        assert any(pattern.search(line) for line in troubles), f"nothing writes {pattern.pattern}"
        assert not any(pattern.search(line) for line in peace), f"{pattern.pattern} cries wolf"
    assert any("is done" in line for line in peace)
