"""Damage inside a JPEG is told from a missing end: what lacks pixels is shown to nobody, what lacks a marker is."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from PIL import Image

from afterimage.media.inspection.inspect import Verdict, inspect_image
from afterimage.media.inspection.jpeg_scans import MOST_MARKERS, scans_of
from afterimage.media.jpeg_pixels import LEFT_OVER, decode_jpeg
from afterimage.media.limits import limits_for
from afterimage.media.pipeline import Pipeline
from afterimage.media.plan import PlanOptions, make_plan
from afterimage.media.render import BrokenImageError, Doubt, RenderedFile, render
from afterimage.paths import object_id
from afterimage.settings import read_settings
from tests.functions.media.pictures import decoded, encoded
from tests.functions.media_world import World

LIMITS = limits_for(512)
SIZE = (320, 240)
END = b"\xff\xd9"
LOOKS_AHEAD = 18
"""So many bytes are put behind the data: with no more than these missing, what a decoder makes up may go unnoticed."""


def photo() -> Image.Image:
    """Something in every block, as in what cameras see; the same in every process, whoever else draws noise there."""
    noise = Image.frombytes("L", SIZE, random.Random(SIZE[0]).randbytes(SIZE[0] * SIZE[1])).point(
        lambda value: 64 + value // 2
    )
    return Image.merge("RGB", (Image.linear_gradient("L").resize(SIZE), noise, Image.radial_gradient("L").resize(SIZE)))


def written(**options: object) -> bytes:
    return encoded(photo(), "JPEG", **options)


WAYS = {
    "baseline": written(),
    "sharp colours": written(subsampling=0, quality=95),
    "grey": encoded(photo().convert("L"), "JPEG"),
    "of few blocks": encoded(photo().resize((40, 16)), "JPEG"),
    "tables of its own": written(optimize=True, quality=30),
    "progressive": written(progressive=True),
    "with restarts": written(restart_marker_rows=1),
    "progressive with restarts": written(progressive=True, restart_marker_blocks=7),
    "four inks": encoded(photo().convert("CMYK"), "JPEG"),
}


def made_of(data: bytes, options: PlanOptions | None = None) -> tuple[dict[str, bytes], str | None]:
    """What is derived, and what is said of it; raises for what is shown to nobody."""
    found = inspect_image(data, declared_type="image/jpeg", limits=LIMITS)
    assert found.verdict is Verdict.ACCEPT, found.reason
    plan = make_plan(options or PlanOptions(thumbnails=(64,)), found, LIMITS)
    results = list(render(data, found, plan, LIMITS, workers=1))
    doubts = [result.text for result in results if isinstance(result, Doubt)]
    files = {file.variant.name: file.data or b"" for file in results if isinstance(file, RenderedFile)}
    return files, doubts[0] if doubts else found.note


@pytest.mark.parametrize("way", WAYS)
def test_a_sound_picture_raises_no_doubt(way: str) -> None:
    """However it is coded; with filling bytes before its end, or anything behind it."""
    data = WAYS[way]
    whole = made_of(data)
    assert whole[1] is None
    assert made_of(data[:-2] + b"\0" * 300 + END) == whole
    assert made_of(data + b"PK\3\4" + random.Random(5).randbytes(500)) == whole


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_that_lacks_only_its_end_marker_is_shown_and_says_so(way: str) -> None:
    """Every pixel is that of the whole picture."""
    data = WAYS[way]
    assert made_of(data[:-2]) == (made_of(data)[0], "its end marker is missing")
    assert made_of(data[:-1]) == (made_of(data)[0], "its end marker is missing")


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_that_lacks_pixels_is_shown_to_nobody(way: str) -> None:
    """Cut anywhere, with or without an end put behind the cut, or with a piece of its middle gone."""
    data, whole = WAYS[way], made_of(WAYS[way])[0]
    scans = scans_of(data)
    assert scans is not None
    start, end = scans.starts[0], scans.ends[-1]
    for share in (0.02, 0.3, 0.6, 0.9):
        cut = start + int((end - start) * share)
        with pytest.raises(BrokenImageError, match=r"cut off: (its data ends before|parts of it)"):
            made_of(data[:cut])
        if "progressive" not in way and end - cut > LOOKS_AHEAD:
            with pytest.raises(BrokenImageError, match="damaged inside: its data ends before its last pixel"):
                made_of(data[:cut] + END)
    for lost in range(1, 12):
        try:
            assert made_of(data[: end - lost])[0] == whole, lost
        except BrokenImageError:
            continue


def test_a_scan_of_a_progressive_picture_that_ends_early_is_noticed() -> None:
    """In each of its scans half the data is taken out, which decoders fill with grey without a word."""
    data = WAYS["progressive"]
    scans = scans_of(data)
    assert scans is not None
    assert len(scans.starts) > 5
    for start, end in zip(scans.starts, scans.ends, strict=True):
        with pytest.raises(BrokenImageError, match="damaged inside"):
            made_of(data[: start + (end - start) // 2] + data[end:])


def test_what_is_left_over_is_said() -> None:
    """A flipped bit that makes a decoder run out of pixels before data: the picture is shown, with the doubt."""
    data = WAYS["sharp colours"]
    scans = scans_of(data)
    assert scans is not None
    shown = {doubt: files for files, doubt in flipped(data, scans.starts[0], scans.ends[0])}
    assert set(shown) == {None, LEFT_OVER}
    assert shown[LEFT_OVER] != made_of(data)[0]


def flipped(data: bytes, start: int, end: int) -> Iterator[tuple[dict[str, bytes], str | None]]:
    dice = random.Random(7)
    for _ in range(40):
        damaged = bytearray(data)
        damaged[dice.randrange(start, end)] ^= 1 << dice.randrange(8)
        try:
            yield made_of(bytes(damaged), PlanOptions(thumbnails=(64,), full_webp=False))
        except BrokenImageError:
            continue


def test_pictures_shrunk_while_loading_are_looked_at_too() -> None:
    """Where only thumbnails are wanted a decoder leaves pixels out, and still reads all of the data."""
    small = PlanOptions(thumbnails=(40,), full_webp=False)
    for way in ("baseline", "progressive"):
        data = WAYS[way]
        assert made_of(data, small)[1] is None
        with pytest.raises(BrokenImageError):
            made_of(data[: len(data) * 2 // 5] + END * (way == "baseline"), small)


def test_a_picture_of_too_many_markers_is_decoded_as_it_is() -> None:
    """Nothing is told of it, in a bounded time: it is treated as by every decoder."""
    data = WAYS["grey"][:-2] + b"\xff\x01" * (MOST_MARKERS + 1) + END
    assert scans_of(data) is None
    assert made_of(data)[0]["thumb_64.webp"] == made_of(WAYS["grey"])[0]["thumb_64.webp"]


@pytest.mark.parametrize(
    ("lost", "status", "said"),
    [
        (2, "ready", (None, "its end marker is missing")),
        (
            900,
            "quarantined",
            ("the picture is cut off: its data ends before its last pixel", "its end marker is missing"),
        ),
    ],
)
def test_the_record_says_what_became_of_it(lost: int, status: str, said: tuple[str | None, str]) -> None:
    """`source.note` of what is shown, and `reason` of what is not."""
    world, path = World(), "users/u/ai_generated/images/a_portrait.jpg"
    original = world.upload(path, WAYS["baseline"][:-lost], "image/jpeg")
    settings = read_settings({"GCLOUD_PROJECT": "demo-damage"})
    Pipeline(stores=world.stores(), settings=settings, workers=1).finalized("uploads", path, original.generation)
    record = world.record(f"users/u/objects/{object_id('uploads', path)}")
    assert record is not None
    assert (record["status"], record["reason"], record["source"]["note"]) == (status, *said)


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"of few blocks"}))
def test_the_pixels_are_those_that_every_decoder_shows(way: str) -> None:
    """Looking closely changes nothing about a sound picture."""
    found = inspect_image(WAYS[way], declared_type="", limits=LIMITS)
    shown = decode_jpeg(WAYS[way], LIMITS, (found.width or 0, found.height or 0))
    shown.check()
    assert shown.doubt is None
    assert shown.image.tobytes() == decoded(WAYS[way]).tobytes()
