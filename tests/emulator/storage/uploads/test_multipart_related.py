"""Multipart bodies, however they are cut into pieces on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.uploads.multipart_related import MultipartRelated, boundary_of


def parse(body: bytes, cuts: list[int], boundary: bytes = b"xyz") -> tuple[object, str | None, bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        marks = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
        for start, end in pairwise(marks):
            yield body[start:end]

    async def read() -> tuple[object, str | None, bytes]:
        parts = MultipartRelated(pieces(), boundary)
        metadata = await parts.metadata()
        return metadata, parts.media_type, b"".join([piece async for piece in parts.media()])

    return asyncio.run(read())


def body_of(media: bytes, *, closing: bytes = b"\r\n--xyz--", preamble: bytes = b"") -> bytes:
    metadata = json.dumps({"name": "n"}).encode()
    return (
        preamble
        + b"--xyz\r\ncontent-type: application/json\r\n\r\n"
        + metadata
        + b"\r\n--xyz\r\nContent-Type: image/png\r\n\r\n"
        + media
        + closing
    )


@given(st.binary(max_size=60) | st.text("\r\n-xyz", max_size=30).map(str.encode), st.lists(st.integers(0, 500)))
def test_the_media_arrives_unchanged_however_it_is_cut(media: bytes, cuts: list[int]) -> None:
    """Bytes that nearly look like the boundary are bytes; pieces may end anywhere."""
    if b"\r\n--xyz" in b"\r\n" + media:
        return
    assert parse(body_of(media), cuts) == ({"name": "n"}, "image/png", media)


def test_preamble_and_epilogue_are_ignored() -> None:
    """What stands before the first and after the last boundary is not the object's."""
    body = body_of(b"data", preamble=b"hello\r\n", closing=b"\r\n--xyz--\r\nbye")
    assert parse(body, [3, 50])[2] == b"data"


@given(st.binary(max_size=200), st.lists(st.integers(0, 500), max_size=5))
def test_no_body_breaks_the_parser(body: bytes, cuts: list[int]) -> None:
    """Whatever arrives is understood or refused."""
    with pytest.raises(StorageError):
        parse(body, cuts)


@pytest.mark.parametrize(
    "metadata", [b'{"name": "\xed\xa0\x80"}', b'{"name": NaN}', b'{"name": "\\ud800"}', b"[]", b"\xff"]
)
def test_metadata_that_no_answer_could_repeat_is_refused(metadata: bytes) -> None:
    """Half of a surrogate pair, as an escape or as bytes, has no UTF-8; NaN is no JSON."""
    with pytest.raises(StorageError):
        parse(body_of(b"media").replace(b'{"name": "n"}', metadata), [9])


@given(st.integers(0, 120))
def test_a_body_cut_short_is_refused(length: int) -> None:
    """Half an upload is never an object."""
    whole = body_of(b"some media")
    with pytest.raises(StorageError):
        parse(whole[: min(length, len(whole) - 3)], [10, 20])


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/related; boundary=abc", b"abc"),
        ('multipart/related; boundary="a b=c"', b"a b=c"),
        ("multipart/related; boundary='==1=='", b"==1=="),
        ("Multipart/Related; charset=x; BOUNDARY=abc", b"abc"),
    ],
)
def test_boundaries(header: str, boundary: bytes) -> None:
    """Quoted as the official clients do, in every one of their ways."""
    assert boundary_of(header) == boundary


@pytest.mark.parametrize(
    "header", [None, "", "multipart/related", "application/json; boundary=x", "multipart/x;boundary="]
)
def test_a_missing_boundary_is_refused(header: str | None) -> None:
    """Without a boundary nothing can be told apart."""
    with pytest.raises(StorageError):
        boundary_of(header)
