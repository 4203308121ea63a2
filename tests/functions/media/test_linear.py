"""Work grows with size alone: no upload and no name makes whoever reads it go over the same bytes again and again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from afterimage.media.inspection.containers import played_of
from afterimage.media.inspection.gif_blocks import GifError, count_frames
from afterimage.media.inspection.inspect import Verdict, inspect_image
from afterimage.media.inspection.signatures import HEAD_BYTES, identify
from afterimage.media.inspection.workload import (
    MOST_BLOCKS,
    MOST_CHUNKS,
    MOST_EXIF_SEGMENTS,
    MOST_LOOSE_BYTES,
    MOST_SCANS,
    MOST_SEGMENTS,
    OverloadError,
    png_chunks,
)
from afterimage.media.limits import limits_for
from tests.functions.media import worst_cases

LIMITS = limits_for(1024)
ROOT = Path(__file__).resolve().parents[3]
CPU_SECONDS = 120
"""Over ten times what all the worst cases of one kind take together; a pattern that goes back never ends in it."""


@pytest.fixture(autouse=True)
def processor_time() -> Iterator[None]:
    """Ends a test that would go on for ever: patterns are stopped by signals too, and the timer counts work alone."""

    def stop(_signal: int, _frame: object) -> None:
        raise AssertionError(f"{CPU_SECONDS} seconds of work, and no end")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def steps_of(work: Callable[[], Any]) -> int:
    """How many instructions of the codebase a call executes, whatever Python or a plugin does meanwhile."""
    steps = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal steps
        if not frame.f_globals.get("__name__", "").startswith("afterimage."):
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    assert steps, "nothing of the codebase ran"
    return steps


@pytest.mark.parametrize("name", sorted(worst_cases.HEADS))
def test_a_type_is_read_in_steps_that_grow_with_the_head_alone(name: str) -> None:
    """Twice the head, at most twice the steps; and behind the head nothing is looked at, however much there is."""
    make = worst_cases.HEADS[name]

    def steps(size: int) -> int:
        data = make(size)
        return steps_of(lambda: identify(data))

    small, large = steps(HEAD_BYTES // 8), steps(HEAD_BYTES // 4)
    assert large <= 2 * small + 200
    assert steps(1 << 21) == steps(1 << 22)


def test_comments_before_nothing_are_read_once() -> None:
    """A few dozen of them once took longer than a function lives: each could end at every later one's end, too."""
    data = b"<!--x-->" * 24 + b"<"
    assert steps_of(lambda: identify(data)) < 100 * len(data)
    assert identify(b"<!--x-->" * 24 + b"<svg").content_type == "image/svg+xml"


@pytest.mark.parametrize("name", sorted(worst_cases.GIFS))
def test_blocks_are_counted_in_steps_that_grow_with_size(name: str) -> None:
    """The smallest blocks there are, as many as fit: each is passed once."""
    make = worst_cases.GIFS[name]

    def steps(size: int) -> int:
        data = make(size)

        def count() -> None:
            try:
                count_frames(data, 10**9)
            except GifError:
                return

        return steps_of(count)

    assert steps(40_000) <= 2.1 * steps(20_000)


def test_chunks_are_passed_in_steps_that_grow_with_their_number() -> None:
    """The smallest chunks there are, as many as fit."""

    def steps(size: int) -> int:
        data = worst_cases.PICTURES["PNG of empty chunks"](size)
        return steps_of(lambda: list(png_chunks(data)))

    assert steps(200_000) <= 2.1 * steps(100_000)


@pytest.mark.parametrize("name", sorted(worst_cases.CONTAINERS))
def test_a_duration_is_read_in_a_bounded_number_of_steps(name: str) -> None:
    """Whatever the size: containers are read at a few places."""
    content_type, make = worst_cases.CONTAINERS[name]

    def work(size: int) -> tuple[int, int]:
        data, reads = make(size), list[int]()

        def read(start: int, end: int) -> bytes:
            reads.append(len(data[start:end]))
            return data[start:end]

        return steps_of(lambda: played_of(content_type, len(data), read)), sum(reads)

    (small, read_of_small), (large, read_of_large) = work(1 << 20), work(1 << 22)
    assert large <= small + 200
    assert read_of_small == read_of_large <= 100_000


@pytest.mark.parametrize("kind", ["names", "pictures"])
def test_the_worst_cases_of_a_megabyte_and_more_end(kind: str) -> None:
    """Every reader of names and pictures, libraries included, within a time of the processor that only work that grows
    faster than its input exceeds. The system ends the process there, and its last line names the case.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.functions.media.worst_cases", kind, str(CPU_SECONDS)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{done.stdout.strip().splitlines()[-1:]} took too long or failed: {done.stderr[-2000:]}"
    )
    assert len(done.stdout.split("\n")) > 8


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (worst_cases.jpeg_of_scans(MOST_SCANS), f"more than the {MOST_SCANS} scans"),
        (worst_cases.jpeg_of_exif(MOST_EXIF_SEGMENTS + 1), f"more than the {MOST_EXIF_SEGMENTS} Exif segments"),
        (worst_cases.jpeg_of_segments(MOST_SEGMENTS), f"more than the {MOST_SEGMENTS} segments"),
        (worst_cases.jpeg_of_loose(b"\xff", MOST_LOOSE_BYTES + 1), f"more than the {MOST_LOOSE_BYTES} bytes between"),
        (worst_cases.jpeg_of_loose(b"\0", MOST_LOOSE_BYTES + 1), f"more than the {MOST_LOOSE_BYTES} bytes between"),
        (b"\xff\xd8\xff" + b"\0" * (MOST_LOOSE_BYTES + 1), f"more than the {MOST_LOOSE_BYTES} bytes between"),
        (worst_cases.jpeg_of_loose(b"\xff\0", MOST_LOOSE_BYTES // 2 + 1), f"more than the {MOST_LOOSE_BYTES} bytes"),
        (worst_cases.jpeg_of_loose(b"\xff\xd0", MOST_SEGMENTS + 1), f"more than the {MOST_SEGMENTS} segments"),
        (worst_cases.jpeg_of_loose(b"\xff\xc4\0\2", MOST_SEGMENTS + 1), f"more than the {MOST_SEGMENTS} segments"),
        (worst_cases.png_of_chunks(MOST_CHUNKS), f"more than the {MOST_CHUNKS} chunks"),
        (worst_cases.gif_of_blocks(MOST_BLOCKS), f"more than the {MOST_BLOCKS} blocks"),
        (worst_cases.gif_of_extensions(MOST_BLOCKS), f"more than the {MOST_BLOCKS} blocks"),
    ],
    ids=[
        "scans",
        "Exif",
        "segments",
        "fill",
        "zeros",
        "zeros alone",
        "escaped",
        "restarts",
        "tables",
        "chunks",
        "blocks",
        "extensions",
    ],
)
def test_a_picture_that_asks_for_too_much_work_is_refused(data: bytes, what: str) -> None:
    """A small file may ask for any number of runs over its pixels, or of pieces in memory: then it says so, unread."""
    found = inspect_image(data, declared_type="", limits=LIMITS)
    assert found.verdict is Verdict.UNSUPPORTED
    assert what in (found.reason or "")


@pytest.mark.parametrize(
    "data",
    [
        worst_cases.jpeg_of_scans(MOST_SCANS - 20),
        worst_cases.jpeg_of_exif(MOST_EXIF_SEGMENTS),
        worst_cases.jpeg_of_segments(MOST_SEGMENTS - 20),
        worst_cases.jpeg_of_loose(b"\xff", MOST_LOOSE_BYTES - 20),
        worst_cases.jpeg_of_loose(b"\xff\xc4\0\2", MOST_SEGMENTS - 20),
        worst_cases.jpeg_of_segments(1) + b"\xff" * (2 * MOST_LOOSE_BYTES),
        worst_cases.png_of_chunks(MOST_CHUNKS - 20),
        worst_cases.png_of_chunks(1) + b"\0" * 12 * MOST_CHUNKS,
        worst_cases.gif_of_blocks(MOST_BLOCKS - 20),
    ],
    ids=[
        "scans",
        "Exif",
        "segments",
        "fill",
        "tables",
        "behind the picture",
        "chunks",
        "behind the last chunk",
        "blocks",
    ],
)
def test_a_picture_within_those_bounds_is_accepted(data: bytes) -> None:
    """The bounds refuse what is beyond them and nothing else; what lies behind a picture's end is not counted."""
    found = inspect_image(data, declared_type="", limits=LIMITS)
    assert found.verdict is Verdict.ACCEPT, found.reason


def test_blocks_beyond_the_bound_are_not_walked() -> None:
    """A hundred megabytes of blocks cost no more than the bound."""
    data = worst_cases.gif_of_blocks(4 * MOST_BLOCKS)
    with pytest.raises(OverloadError):
        count_frames(data, 10**9)
