"""Stored files of every kind: what is read of them, and what is said about them."""

from __future__ import annotations

import gzip
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.media.inspection.containers import played_of
from afterimage.media.inspection.films import Played
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


def track(width: int, height: int, *, version: int = 0, turned: bool = False) -> bytes:
    """The head of a track, and behind it what a player needs and nobody here reads."""
    times = b"\0" * (32 if version == 1 else 20)
    one, none = struct.pack(">I", 1 << 16), b"\0" * 4
    matrix = (none + one + none + one + none * 5) if turned else (one + none * 3 + one + none * 4)
    head = bytes([version, 0, 0, 7]) + times + b"\0" * 16 + matrix + struct.pack(">II", width << 16, height << 16)
    return box(b"trak", box(b"tkhd", head) + box(b"mdia", b"\0" * 9_000))


def element(name: int, body: bytes) -> bytes:
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + struct.pack(">Q", 1 << 56 | len(body)) + body


def webm(
    seconds: float | None, width: int, height: int, *, sound_first: bool = False, shown: tuple[int, int] | None = None
) -> bytes:
    scale = element(0x2AD7B1, (1_000_000).to_bytes(3, "big"))
    info = scale + (element(0x4489, struct.pack(">d", seconds * 1000)) if seconds is not None else b"")
    size = element(0xB0, width.to_bytes(2, "big")) + element(0xBA, height.to_bytes(2, "big"))
    if shown:
        size += element(0x54B0, shown[0].to_bytes(2, "big")) + element(0x54BA, shown[1].to_bytes(2, "big"))
    tracks = element(0xAE, element(0xD7, b"\1") + element(0x86, b"V_VP9") + element(0xE0, size))
    if sound_first:
        tracks = element(0xAE, element(0xD7, b"\2") + element(0x86, b"A_OPUS")) + tracks
    segment = element(0xEC, b"\0" * 300) + element(0x1549A966, info) + element(0x1654AE6B, tracks)
    segment += element(0x1F43B675, b"\xb0\x82\0\1" * 1000)
    # As recorders write it that do not know yet how much there will be.
    return element(0x1A45DFA3, element(0x4282, b"webm")) + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + segment


FILMS = {
    "MP4": (b"", track(1920, 1080), (1920, 1080)),
    "sound first": (track(0, 0), track(640, 360), (640, 360)),
    "turned, as phones store": (b"", track(1920, 1080, turned=True), (1080, 1920)),
    "times of 64 bits": (b"", track(3840, 2160, version=1), (3840, 2160)),
    "sound alone": (track(0, 0), b"", (None, None)),
}


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("movie_last", [False, True])
def test_a_film_has_the_size_that_it_is_shown_at(name: str, movie_last: bool) -> None:
    """Wherever the container says it, from a few small pieces."""
    before, behind, size = FILMS[name]
    found, content, reads = inspected(mp4(2.5, movie_last=movie_last, tracks=before + behind), "video/mp4")
    assert (found.duration_seconds, (found.width, found.height), content) == (2.5, size, None)
    assert len(reads) <= 8


@pytest.mark.parametrize(
    ("data", "seconds", "size"),
    [
        (webm(4.2, 1280, 720), 4.2, (1280, 720)),
        (webm(None, 640, 480), None, (640, 480)),
        (webm(1.5, 720, 576, sound_first=True, shown=(1024, 576)), 1.5, (1024, 576)),
    ],
    ids=["a film", "a recording", "other than coded"],
)
def test_webm_says_the_same(data: bytes, seconds: float | None, size: tuple[int, int]) -> None:
    """What browsers record has no duration: its note says so."""
    found, _, reads = inspected(data + b"\0" * 2_000_000, "video/webm")
    assert (found.duration_seconds, (found.width, found.height)) == (seconds, size)
    assert (found.note is None) is (seconds is not None)
    assert len(reads) <= 3


def mp4(
    seconds: float, *, version: int = 0, movie_last: bool = True, padding: int = 3_000_000, tracks: bytes = b""
) -> bytes:
    scale, duration = 600, int(seconds * 600)
    if version == 1:
        header = struct.pack(">B3xQQIQ", 1, 0, 0, scale, duration)
    else:
        header = struct.pack(">B3xIIII", 0, 0, 0, scale, duration)
    movie, media = box(b"moov", box(b"mvhd", header + b"\0" * 80) + tracks), box(b"mdat", b"\0" * padding)
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
    data=st.binary(max_size=300),
    content_type=st.sampled_from(["video/mp4", "video/webm", "audio/opus", "audio/wav", "audio/flac"]),
)
def test_any_bytes_have_a_duration_or_none(data: bytes, content_type: str) -> None:
    """Containers that lie or end early raise nothing and are not walked for ever."""
    found = played_of(content_type, len(data), lambda start, end: data[start:end])
    assert found.duration_seconds is None or found.duration_seconds >= 0
    assert found.width is None or found.width > 0


@given(size=st.integers(0, 2**32), kind=st.sampled_from([b"free", b"moov", b"mdat"]), big=st.integers(0, 2**63))
def test_boxes_that_lie_about_their_size_end_the_walk(size: int, kind: bytes, big: int) -> None:
    """Zero, one, huge: every size is survived."""
    data = struct.pack(">I", size % 2**32) + kind + struct.pack(">Q", big) + b"\0" * 40
    assert played_of("video/mp4", len(data), lambda start, end: data[start:end]) == Played()


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
