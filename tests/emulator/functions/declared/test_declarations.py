"""What a manifest says, which events a trigger wants, which interpreter runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.attempts import KEPT_ATTEMPTS, Attempt, AttemptRecord
from afterimage_emulator.functions.codebases.interpreters import find_interpreter
from afterimage_emulator.functions.codebases.manifest import EventTrigger, HttpTrigger, ScheduleTrigger, read_manifest
from afterimage_emulator.functions.deliveries.event_filters import compile_pattern, filter_of
from afterimage_emulator.functions.deliveries.schedules import schedule_backoff_seconds
from afterimage_emulator.functions.instances.function_pool import LOCAL_INSTANCES
from afterimage_emulator.functions.instances.output import BURST_BYTES, OutputLines

SEGMENT = st.text(st.characters(exclude_characters="/{}*", exclude_categories=["Cs"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("cards/{id}", "cards/a", True),
        ("cards/{id}", "cards/a/b/c", False),
        ("cards/{id}", "decks/a", False),
        ("/cards/{id}/", "cards/a", True),
        ("users/{uid}/cards/{id}", "users/u/cards/a", True),
        ("cards/{rest=**}", "cards/a/b/c", True),
        ("cards/{rest=**}", "cards", True),
        ("{any=**}/c", "a/b/c", True),
        ("cards/*", "cards/a", True),
        ("cards/a.b", "cards/aXb", False),
        ("cards/{id=card_*}", "cards/card_1", True),
        ("cards/{id=card_*}", "cards/deck_1", False),
    ],
)
def test_document_patterns_match_whole_paths(pattern: str, path: str, fits: bool) -> None:
    """A capture takes one segment, `**` any number; nothing in a pattern is a regular expression."""
    assert bool(compile_pattern(pattern).covers("/" + path.strip("/"))) is fits


@given(st.lists(SEGMENT, min_size=1, max_size=5), st.data())
def test_a_path_fits_every_pattern_made_from_it(segments: list[str], data: st.DataObject) -> None:
    """Replacing segments by captures never makes a pattern miss the path; a longer path is another path."""
    kept = data.draw(st.lists(st.booleans(), min_size=len(segments), max_size=len(segments)))
    pattern = "/".join(s if keep else f"{{c{i}}}" for i, (s, keep) in enumerate(zip(segments, kept, strict=True)))
    compiled = compile_pattern(pattern)
    assert compiled.covers("/" + "/".join(segments))
    assert not compiled.covers("/" + "/".join([*segments, "more"]))


def test_what_has_no_effect_here_is_named() -> None:
    """A function with an option that only deploying obeys runs, and so does one of Realtime Database, by hand."""
    endpoint = {"httpsTrigger": {}, "minInstances": 1, "vpc": {"connector": "c"}, "ingressSettings": None, "labels": {}}
    database = {"eventTrigger": {"eventType": "google.firebase.database.ref.v1.written"}}
    found = read_manifest({"endpoints": {"f": endpoint, "g": {"httpsTrigger": {}}, "db": database}}, {})
    named = {"f": ("minInstances", "vpc"), "g": (), "db": ()}
    assert {spec.name: spec.without_effect for spec in found.functions} == named
    assert [spec.name for spec in found.functions if spec.is_of_database] == ["db"]


def test_no_document_path_makes_a_pattern_slow() -> None:
    """Whoever names documents cannot stall the suite by what a function asked for: matching takes one pass."""
    matches = filter_of(EventTrigger(event_type="t", patterns={"document": "a*" * 30 + "b/{id}"}), "demo-x")
    assert not matches({"document": "a" * 1400 + "/1"})
    assert matches({"document": "a" * 1400 + "b/1"})


def test_filters_are_all_or_nothing_and_ours_alone() -> None:
    """Each filter must fit; a missing attribute fits nothing; other projects' events never do."""
    matches = filter_of(
        EventTrigger(event_type="t", filters={"bucket": "b"}, patterns={"document": "cards/{id}"}), "demo-x"
    )
    assert matches({"bucket": "b", "document": "cards/1"})
    assert matches({"bucket": "b", "document": "cards/1", "project": "demo-x"})
    assert not matches({"bucket": "b", "document": "cards/1", "project": "demo-y"})
    assert not matches({"bucket": "c", "document": "cards/1"})
    assert not matches({"bucket": "b"})


def test_a_manifest_becomes_typed_functions_and_named_problems() -> None:
    """Limits are numbers, defaults are the platform's, and what cannot run does not stop the rest."""
    manifest = read_manifest(
        {
            "endpoints": {
                "plain": {"httpsTrigger": {}},
                "call": {"callableTrigger": {}, "region": ["{{ params.R }}"], "timeoutSeconds": 30},
                "small": {"httpsTrigger": {}, "cpu": 0.5, "availableMemoryMb": 128},
                "event": {
                    "entryPoint": "e",
                    "eventTrigger": {"eventType": "t", "eventFilters": {"topic": "x"}, "retry": True},
                    "maxInstances": 3,
                    "concurrency": 2,
                },
                "tick": {
                    "scheduleTrigger": {"schedule": "* * * * *", "timeZone": None, "retryConfig": {"retryCount": 2}}
                },
                "endless": {"eventTrigger": {"eventType": "t", "eventFilterPathPatterns": {"document": "a/*" * 1_000}}},
                "broken": {"eventTrigger": {"eventType": "t", "eventFilterPathPatterns": {"document": "a/\ud800"}}},
                "queue": {"taskQueueTrigger": {"rateLimits": {"maxConcurrentDispatches": 5_001}}},
                "block": {"blockingTrigger": {}},
                "odd": {"httpsTrigger": {}, "timeoutSeconds": "soon"},
                "none": {},
                "list": [],
                "unknown": {"httpsTrigger": {}, "region": "{{ params.NOWHERE }}"},
            }
        },
        {"R": "europe-west3"},
    )
    found = {spec.name: spec for spec in manifest.functions}
    assert set(found) == {"plain", "call", "small", "event", "tick"}
    assert (found["plain"].memory_mib, found["plain"].timeout_seconds, found["plain"].concurrency) == (256, 60, 80)
    assert found["call"].trigger == HttpTrigger(callable=True)
    assert (found["call"].regions, found["call"].timeout_seconds) == (("europe-west3",), 30)
    assert (found["small"].concurrency, found["small"].memory_mib) == (1, 128)
    assert (found["event"].entry_point, found["event"].max_instances, found["event"].concurrency) == ("e", 3, 2)
    assert isinstance(found["event"].trigger, EventTrigger)
    assert found["event"].trigger.retry
    assert isinstance(found["tick"].trigger, ScheduleTrigger)
    assert found["tick"].trigger.retry.count == 2
    problems = "\n".join(manifest.problems)
    for name in ("endless", "broken", "queue", "block", "odd", "none", "list", "unknown"):
        assert f"{name}: " in problems
    assert "`maxConcurrentDispatches` must be from 1 to 5000, not 5001" in problems
    assert LOCAL_INSTANCES > 0


def test_the_interpreter_is_the_codebases_own_where_it_has_one(tmp_path: Path) -> None:
    """`venv`, `.venv`, uv's folder above; else the one that runs the suite."""
    source = tmp_path / "functions"
    source.mkdir()
    assert find_interpreter(source, {}) == Path(sys.executable)
    for folder in (tmp_path / ".venv", source / ".venv", source / "venv", source / "named"):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
    assert find_interpreter(source, {}) == source / "venv/bin/python"
    assert find_interpreter(source, {"UV_PROJECT_ENVIRONMENT": "named"}) == source / "named/bin/python"
    for folder in (source / ".venv", source / "venv"):
        (folder / "bin" / "python").unlink()
    assert find_interpreter(source, {}) == Path(sys.executable)
    (source / "pyproject.toml").touch()
    assert find_interpreter(source, {}) == tmp_path / ".venv/bin/python"


@given(st.lists(st.binary(max_size=30_000), max_size=40))
def test_output_is_bounded_printable_and_honest_about_what_it_left_out(chunks: list[bytes]) -> None:
    """However it is cut and whatever it holds: bounded, without control characters, nothing lost in silence."""
    shown: list[str] = []
    lines = OutputLines(shown.append, lambda: 0.0)
    for chunk in chunks:
        lines.feed(chunk)
    lines.finish()
    assert sum(len(line) for line in shown) <= BURST_BYTES * 4 + 200 * len(shown)
    assert not any(ord(character) < 32 and character != "\t" for line in shown for character in line)
    total = sum(map(len, chunks))
    if total < 8_000:
        assert not any("left out" in line for line in shown) or b"left out" in b"".join(chunks)
        assert len(shown) == len([*b"".join(chunks).split(b"\n")]) - (b"".join(chunks).endswith(b"\n") or not total)


def test_a_flood_is_cut_and_counted() -> None:
    """The sum of what is shown and what is said to be left out is what was printed."""
    shown: list[str] = []
    lines = OutputLines(shown.append, lambda: 0.0)
    lines.feed(b"x" * 999 + b"\n")
    for _ in range(1_000):
        lines.feed(b"y" * 999 + b"\n")
    lines.finish()
    told = [line for line in shown if "left out" in line]
    assert len(told) == 1
    left_out = int(told[0].strip("(").split(" ")[0].replace(",", ""))
    assert left_out + sum(len(line) + 1 for line in shown if line not in told) == 1_001 * 1_000


def test_the_record_keeps_to_its_bounds() -> None:
    """100,000 events later it holds the last ones and no more."""
    record = AttemptRecord()
    for number in range(100_000):
        record.begin(Attempt(id=str(number), function="f", what="t", number=1, time="", outcome="ok"))
    listing = record.listing(failed_only=False)
    assert len(listing) == KEPT_ATTEMPTS
    assert listing[-1]["id"] == "99999"
    assert record.listing(failed_only=True) == []


def test_a_schedules_retries_wait_as_its_configuration_says() -> None:
    """Doubling for a while, then in equal steps, never longer than the longest."""
    from afterimage_emulator.functions.codebases.manifest import RetrySchedule

    retry = RetrySchedule(count=9, min_backoff_seconds=10, max_backoff_seconds=300, max_doublings=3)
    assert [schedule_backoff_seconds(retry, n) for n in range(1, 8)] == [10, 20, 40, 80, 160, 240, 300]
