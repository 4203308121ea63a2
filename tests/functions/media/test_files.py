"""Stored files of every kind: what is read of them, and what is said about them."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.media.inspection.containers import duration_of
from afterimage.media.inspection.inspect import Verdict
from afterimage.media.inspection.signatures import Kind
from afterimage.media.inspection.stored_files import inspect_original
from afterimage.media.limits import limits_for
from afterimage.store.files import StoredFile
from tests.functions.media.pictures import corners, encoded, gzip_bomb
from tests.functions.media_world import World

LIMITS = limits_for(512)
PNG = encoded(corners(), "PNG")


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def mp4(seconds: float, *, version: int = 0, movie_last: bool = True, padding: int = 3_000_000) -> bytes:
    scale, duration = 600, int(seconds * 600)
    if version == 1:
        header = struct.pack(">B3xQQIQ", 1, 0, 0, scale, duration)
    else:
        header = struct.pack(">B3xIIII", 0, 0, 0, scale, duration)
    movie, media = box(b"moov", box(b"mvhd", header + b"\0" * 80)), box(b"mdat", b"\0" * padding)
    parts = [media, movie] if movie_last else [movie, media]
    return box(b"ftyp", b"isom\0\0\2\0isomavc1") + b"".join(parts)


def opus(seconds: float) -> bytes:
    def page(granule: int, payload: bytes) -> bytes:
        return b"OggS" + struct.pack("<BBqIIIB", 0, 0, granule, 1, 0, 0, 1) + bytes([len(payload)]) + payload

    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48000, 0, 0)
    return page(0, head) + page(0, b"OpusTags") + page(int(seconds * 48000) + 312, b"x" * 50)


def wav(seconds: float) -> bytes:
    body = b"\0" * int(seconds * 16000)
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(body)) + b"WAVE" + form + b"data" + struct.pack("<I", len(body)) + body


def flac(seconds: float) -> bytes:
    """The stream's first block: block and frame sizes, then rate, channels and depth, and the number of samples."""
    rates = 44_100 << 44 | 1 << 41 | 15 << 36 | int(seconds * 44_100)
    return b"fLaC\x80\0\0\x22" + b"\0" * 10 + struct.pack(">Q", rates) + b"\0" * 16


def inspected(data: bytes, declared: str = "", **changes: Any) -> tuple[Any, bytes | None, list[str]]:
    """The inspection, what was handed on, and which parts were read."""
    world, reads = World(), list[str]()
    original = world.upload("media/x", data, declared)
    original = StoredFile(**{**{name: getattr(original, name) for name in StoredFile.__slots__}, **changes})
    world.originals["uploads", "media/x"] = (original, data)
    world.before = reads.append
    return *inspect_original(world.stores().originals, original, LIMITS), reads


@pytest.mark.parametrize(
    ("data", "declared", "kind", "seconds"),
    [
        (mp4(12.5), "video/mp4", Kind.VIDEO, 12.5),
        (mp4(12.5, movie_last=False), "video/mp4", Kind.VIDEO, 12.5),
        (mp4(3.25, version=1), "video/mp4", Kind.VIDEO, 3.25),
        (opus(4.5), "audio/opus", Kind.AUDIO, 4.5),
        (opus(4.5), "audio/ogg", Kind.AUDIO, 4.5),
        (wav(1.5), "audio/wav", Kind.AUDIO, 1.5),
        (flac(2.5), "audio/flac", Kind.AUDIO, 2.5),
        (b"\x1aE\xdf\xa3" + b"\0" * 99, "video/webm", Kind.VIDEO, None),
        (b"ID3" + b"\0" * 99, "audio/mpeg", Kind.AUDIO, None),
    ],
)
def test_video_and_sound_are_accepted_with_what_their_container_says(
    data: bytes, declared: str, kind: Kind, seconds: float | None
) -> None:
    """Their type by their bytes, and the duration where it is said; otherwise a note that it is not read."""
    found, content, _ = inspected(data, declared)
    assert (found.verdict, found.file_type.kind, found.duration_seconds) == (Verdict.ACCEPT, kind, seconds)
    assert found.mismatch is False
    assert (found.note is None) is (seconds is not None)
    assert content is None


def test_of_a_large_video_only_heads_are_read() -> None:
    """A hundred megabytes are not fetched to learn a duration: a handful of small reads do."""
    _, _, reads = inspected(mp4(60, padding=20_000_000), "video/mp4")
    assert len(reads) <= 6


@given(
    data=st.binary(max_size=300), content_type=st.sampled_from(["video/mp4", "audio/opus", "audio/wav", "audio/flac"])
)
def test_any_bytes_have_a_duration_or_none(data: bytes, content_type: str) -> None:
    """Containers that lie or end early raise nothing and are not walked for ever."""
    found = duration_of(content_type, len(data), lambda start, end: data[start:end])
    assert found is None or found >= 0


@given(size=st.integers(0, 2**32), kind=st.sampled_from([b"free", b"moov", b"mdat"]), big=st.integers(0, 2**63))
def test_boxes_that_lie_about_their_size_end_the_walk(size: int, kind: bytes, big: int) -> None:
    """Zero, one, huge: every size is survived."""
    data = struct.pack(">I", size % 2**32) + kind + struct.pack(">Q", big) + b"\0" * 40
    assert duration_of("video/mp4", len(data), lambda start, end: data[start:end]) is None


def test_a_video_that_claims_to_be_a_picture_is_quarantined() -> None:
    """Whoever shows pictures must not be handed a film."""
    found, _, _ = inspected(mp4(1), "image/png")
    assert (found.verdict, found.mismatch) == (Verdict.QUARANTINE, True)


def test_a_picture_stored_with_gzip_encoding_is_unpacked() -> None:
    """Within the limits; a bomb is quarantined after the limit's worth of bytes."""
    found, content, _ = inspected(gzip.compress(PNG), "image/png", content_encoding="gzip")
    assert (found.verdict, content) == (Verdict.ACCEPT, PNG)
    bomb, content, _ = inspected(gzip_bomb(), "image/png", content_encoding="gzip")
    assert (bomb.verdict, content) == (Verdict.QUARANTINE, None)


def test_a_file_too_large_to_decode_is_not_fetched() -> None:
    """Its head says what it is; the verdict names the limit."""
    found, content, reads = inspected(PNG + b"\0" * LIMITS.image_bytes, "image/png")
    assert (found.verdict, content, len(reads)) == (Verdict.UNSUPPORTED, None, 1)
    assert str(LIMITS.image_bytes) in found.reason


def test_a_large_archive_is_judged_by_its_head() -> None:
    """Nothing is derived from it, so nothing more of it is read."""
    found, _, reads = inspected(b"PK\3\4" + b"\0" * 5_000_000, "application/zip")
    assert (found.verdict, found.file_type.content_type) == (Verdict.UNSUPPORTED, "application/zip")
    assert len(reads) == 1
