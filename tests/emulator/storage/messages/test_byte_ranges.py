"""Ranges of downloads and of uploads, as headers carry them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.messages.byte_ranges import ContentRange, parse_content_range, parse_range
from afterimage_emulator.wire.byte_ranges import Slice


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_selects_what_a_python_slice_would(size: int, first: int, last: int) -> None:
    """Whatever is asked for, the bytes are those of a slice, and never any outside of the object."""
    content = bytes(range(size))
    try:
        piece = parse_range(f"bytes={first}-{last}", size)
    except StorageError:
        assert first >= size
        return
    if piece is None:
        assert last < first
        return
    assert content[piece.offset : piece.offset + piece.length] == content[first : last + 1]
    assert 0 < piece.length <= size


@given(st.integers(0, 50), st.integers(0, 60))
def test_a_suffix_is_the_end(size: int, length: int) -> None:
    """`-n` is the last n bytes, the whole where there are fewer."""
    try:
        piece = parse_range(f"bytes=-{length}", size)
    except StorageError:
        assert size == 0 or length == 0
        return
    assert piece == Slice(offset=max(0, size - length), length=min(size, length))


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=1-2,4-5", "items=1-2", "bytes=a-b", "bytes=5-2"])
def test_what_is_no_single_range_is_ignored(header: str | None) -> None:
    """Such a request gets the whole object, as RFC 9110 wants."""
    assert parse_range(header, 10) is None


@given(st.text(max_size=40))
def test_no_header_breaks_the_parsers(header: str) -> None:
    """Every header is understood, ignored, or refused with a storage error."""
    for parse in (lambda: parse_range(header, 10), lambda: parse_content_range(header)):
        with suppress(StorageError):
            parse()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ContentRange(first=0, last=None, total=None)),
        ("bytes 0-99/200", ContentRange(first=0, last=99, total=200)),
        ("bytes 0-99/*", ContentRange(first=0, last=99, total=None)),
        ("bytes 5-*/*", ContentRange(first=5, last=None, total=None)),
        ("bytes */*", ContentRange(first=None, last=None, total=None)),
        ("bytes */0", ContentRange(first=None, last=None, total=0)),
    ],
)
def test_content_ranges(header: str | None, expected: ContentRange) -> None:
    """The forms that the official clients send."""
    assert parse_content_range(header) == expected


@pytest.mark.parametrize("header", ["bytes 5-2/9", "bytes 0-9/9", "0-9/10", "bytes 1/2", ""])
def test_impossible_content_ranges_are_refused(header: str) -> None:
    """A range that contradicts itself never reaches the disk."""
    with pytest.raises(StorageError):
        parse_content_range(header)
