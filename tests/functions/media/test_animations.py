"""Animations: they move in every size as they did, and the record calls nothing animated that stands still."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageSequence

from afterimage.media.animation import LONGEST_FRAME_MS, MOST_LOOPS
from afterimage.media.inspection.inspect import inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.pipeline import Pipeline
from afterimage.media.plan import PlanOptions, make_plan
from afterimage.media.render import RenderedFile, render
from afterimage.paths import object_id
from afterimage.settings import read_settings
from tests.functions.media import pictures
from tests.functions.media_world import World

FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
SIDES = (1, 64, 199, 200, 201)
DURATIONS = [100, 50, 70, 200, 90]
SETTINGS = read_settings({"GCLOUD_PROJECT": "demo-moving", "MEDIA_PLANS": '{"*": {"avif": true, "avif_from": 1}}'})
LIMITS = limits_for(1024)
LARGE = b"\0" * 400_000
"""Behind a picture it changes nothing but its size: then no variant is dropped for being larger than its source."""


def moving(file_format: str, side: int, frames: int = 5, **options: Any) -> bytes:
    """A bright square that jumps over a ground of another colour in each frame, so no two are alike at any size."""
    drawn = []
    for index in range(frames):
        image = Image.new("RGB", (side, side), (index * 50 % 256, 100, 255 - index * 40 % 256))
        at = side * index // frames
        if side > 5:
            ImageDraw.Draw(image).rectangle((at, at, at + side // 5, at + side // 5), fill="white")
        drawn.append(image)
    options = {"duration": (DURATIONS * (frames // len(DURATIONS) + 1))[:frames], **options}
    return pictures.encoded(drawn[0], file_format, save_all=True, append_images=drawn[1:], **options)


def settled(data: bytes, workers: int = 2) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The record of an uploaded picture, and the files that it names."""
    world = World()
    original = world.upload("media/moving", data, "")
    Pipeline(stores=world.stores(), settings=SETTINGS, workers=workers).finalized(
        "uploads", "media/moving", original.generation
    )
    record = world.record(f"mediaObjects/{object_id('uploads', 'media/moving')}")
    assert record is not None
    return record, {variant["name"]: world.derived[variant["path"]][0] for variant in record["variants"]}


def frames_of(data: bytes) -> list[tuple[Image.Image, int]]:
    """Each frame as it is shown, and for how long."""
    image = Image.open(io.BytesIO(data))
    shown = []
    for frame in ImageSequence.Iterator(image):
        frame.load()
        shown.append((frame.convert("RGBA"), frame.info.get("duration", 0)))
    return shown


def colors(shown: list[tuple[Image.Image, int]], x: float, y: float) -> Iterator[tuple[int, ...]]:
    for frame, _ in shown:
        found = frame.getpixel((int(frame.width * x), int(frame.height * y)))
        assert isinstance(found, tuple)
        yield found


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("file_format", FORMATS)
def test_an_animation_moves_in_every_variant_as_it_did(file_format: str, side: int, workers: int) -> None:
    """All frames, their times and their loops are kept, from one pixel to beyond the smallest thumbnail."""
    loops = {} if file_format == "AVIF" else {"loop": 3}
    record, files = settled(moving(file_format, side, **loops) + LARGE, workers)
    assert record["status"] == "ready", record["reason"]
    assert record["source"]["frames"] == len(DURATIONS)
    assert set(files) == {"thumb_200.webp"} | ({"full.webp"} if file_format != "WEBP" else set())
    for variant in record["variants"]:
        shown = frames_of(files[variant["name"]])
        assert variant["animated"] is True
        assert [duration for _, duration in shown] == DURATIONS
        assert shown[0][0].size == (variant["width"], variant["height"])
        loop = Image.open(io.BytesIO(files[variant["name"]])).info["loop"]
        # A GIF says how often it is repeated after the first time.
        assert loop == {"GIF": 4, "AVIF": 0}.get(file_format, 3)
        for index, (red, _, blue, _) in enumerate(colors(shown, 0.9, 0.1)):
            assert (red, blue) == pytest.approx((index * 50, 255 - index * 40), abs=24)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("side", SIDES)
def test_what_does_not_move_is_not_called_animated(file_format: str, side: int) -> None:
    """One frame, or several that look the same, are a still: the record says what a viewer will see."""
    for data in (moving(file_format, side, 1), same_frames(file_format, side)):
        record, files = settled(data + LARGE)
        assert files
        for variant in record["variants"]:
            assert variant["animated"] is (len(frames_of(files[variant["name"]])) > 1)
            assert variant["animated"] is False


def test_an_animation_that_becomes_a_still_says_so() -> None:
    """Too many frames, too many pixels, or a plan without animations: a note says why only the first frame is shown."""
    limits = replace(limits_for(1024), frames=4)
    found = inspect_image(moving("GIF", 60), declared_type="", limits=limits)
    small = replace(limits, frames=9, room=20 * (60 * 60 * 5 - 1))
    for within, options, why in [
        (limits, PlanOptions(), "more than 4 frames"),
        (small, PlanOptions(), "5 frames of 60 × 60 pixels are more than 17999 pixels in all"),
        (limits_for(1024), PlanOptions(keep_animation=False), "animations are not kept here"),
    ]:
        plan = make_plan(options, found, within)
        assert not any(variant.animated for variant in plan.variants)
        assert plan.note
        assert plan.note.startswith("the animation is shown as its first frame: ")
        assert why in plan.note
    moves, _ = settled(moving("GIF", 60) + LARGE)
    still, _ = settled(moving("GIF", 60, 301) + LARGE)
    assert moves["source"]["note"] is None
    assert still["source"]["note"].endswith("it has more than 300 frames")


def same_frames(file_format: str, side: int) -> bytes:
    """Two frames that differ by a shade that no eye and no encoder tells apart."""
    drawn = [Image.new("RGB", (side, side), (90, 90, shade)) for shade in (90, 91)]
    return pictures.encoded(drawn[0], file_format, save_all=True, append_images=drawn[1:], duration=[100, 300])


@pytest.mark.parametrize("side", [1, 64, 200, 201])
def test_variants_of_one_size_are_alike(side: int) -> None:
    """The smallest thumbnail and the full size of a small animation show the same frames, whichever is made first."""
    _, files = settled(moving("GIF", side) + LARGE)
    if side <= 200:
        assert files["thumb_200.webp"] == files["full.webp"]
    assert len(frames_of(files["thumb_200.webp"])) == len(frames_of(files["full.webp"])) == len(DURATIONS)


LEAVE, CLEAR, PREVIOUS = 0, 1, 2


@pytest.mark.parametrize("file_format", ["GIF", "PNG"])
@pytest.mark.parametrize(
    ("disposal", "shown"),
    [
        (LEAVE, [{0}, {0, 1}, {0, 1, 2}]),
        (CLEAR, [{0}, {1}, {2}]),
        # The first frame has nothing before it, so what it leaves is clear ground.
        (PREVIOUS, [{0}, {1}, {2}]),
    ],
)
@pytest.mark.parametrize("side", [63, 199, 200, 201, 300])
def test_a_frame_is_left_or_taken_away_as_the_file_says(
    file_format: str, disposal: int, shown: list[set[int]], side: int
) -> None:
    """Each frame draws one stripe on clear ground; the stripes before it stay, or are gone, in every variant."""
    join = joined_gif if file_format == "GIF" else joined_png
    record, files = settled(join([stripe(side, number) for number in range(3)], disposal) + LARGE)
    assert {variant["animated"] for variant in record["variants"]} == {True}
    for name, content in files.items():
        frames = frames_of(content)
        assert len(frames) == 3, name
        found = [set[int](), set[int](), set[int]()]
        for number in range(3):
            for index, color in enumerate(colors(frames, 1 / 6 + number / 3, 0.5)):
                if color[3] > 128:
                    found[index].add(number)
        assert found == shown, name


def joined_gif(frames: list[Image.Image], disposal: int) -> bytes:
    """One GIF of several, each with its own palette and clear ground, and with a word on what becomes of it."""
    joined = b""
    for frame in frames:
        single = pictures.encoded(frame, "GIF")
        palette = 3 << ((single[10] & 7) + 1)
        at = single.index(b"\x2c", 13 + palette)
        descriptor = single[at : at + 9] + bytes([0x80 | single[10] & 7]) + single[13 : 13 + palette]
        control = single.index(b"!\xf9\4")
        flags = (disposal + 1) << 2 | 1
        joined += b"!\xf9\4" + bytes([flags]) + struct.pack("<H", 10) + single[control + 6 : control + 8]
        joined += descriptor + single[at + 10 : -1]
    return b"GIF89a" + struct.pack("<HHBBB", *frames[0].size, 0, 0, 0) + joined + b";"


def joined_png(frames: list[Image.Image], disposal: int) -> bytes:
    """One APNG of several pictures, each laid over what is there, and with a word on what becomes of it."""
    width, height = frames[0].size
    joined, number = chunk(b"acTL", struct.pack(">II", len(frames), 0)), 0
    for frame in frames:
        control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, disposal, 1)
        number += 1
        joined += chunk(b"fcTL", control)
        single = pictures.encoded(frame, "PNG")
        pixels = single[single.index(b"IDAT") + 4 : single.index(b"IEND") - 8]
        if frame is frames[0]:
            joined += chunk(b"IDAT", pixels)
        else:
            joined += chunk(b"fdAT", struct.pack(">I", number) + pixels)
            number += 1
    return single[:33] + joined + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def stripe(side: int, number: int) -> Image.Image:
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    left = side * number // 3
    ImageDraw.Draw(image).rectangle((left, 0, left + side // 3 - 1, side), fill=(200, 40 * number, 30, 255))
    return image


def test_a_picture_for_viewers_without_animations_is_no_frame() -> None:
    """An APNG may begin with one that belongs to none of its frames: it is shown only where nothing moves."""
    poster = Image.new("RGB", (100, 100), "yellow")
    drawn = [Image.new("RGB", (100, 100), color) for color in ("red", "blue")]
    data = pictures.encoded(poster, "PNG", save_all=True, append_images=drawn, default_image=True, duration=[80, 60])
    record, files = settled(data + LARGE)
    assert record["source"]["frames"] == 2
    shown = frames_of(files["thumb_200.webp"])
    assert [duration for _, duration in shown] == [80, 60]
    assert [(red > 200, blue > 200) for red, _, blue, _ in colors(shown, 0.5, 0.5)] == [(True, False), (False, True)]
    alone = pictures.encoded(poster, "PNG", save_all=True, append_images=drawn[:1], default_image=True, duration=80)
    record, files = settled(alone + LARGE)
    assert (record["source"]["frames"], record["variants"][0]["animated"]) == (1, False)
    red, green, blue, _ = next(colors(frames_of(files["thumb_200.webp"]), 0.5, 0.5))
    assert min(red, green) > 200 > 100 > blue


def test_times_and_loops_beyond_those_of_webp_end_at_its_own() -> None:
    """The longest time and the most loops that a file may name are shortened to what there is room for, not refused."""
    _, files = settled(moving("GIF", 40, loop=65_535) + LARGE)
    assert Image.open(io.BytesIO(files["thumb_200.webp"])).info["loop"] == MOST_LOOPS
    _, files = settled(with_delay(moving("PNG", 40, 2, loop=0), 65_535) + LARGE)
    assert [duration for _, duration in frames_of(files["thumb_200.webp"])] == [LONGEST_FRAME_MS] * 2
    _, files = settled(with_loops(moving("PNG", 40, 2), 1 << 31) + LARGE)
    assert Image.open(io.BytesIO(files["thumb_200.webp"])).info["loop"] == MOST_LOOPS


def with_delay(apng: bytes, seconds: int) -> bytes:
    """Every frame of an APNG shown for so many whole seconds."""
    return rewritten(apng, b"fcTL", 20, struct.pack(">HH", seconds, 1))


def with_loops(apng: bytes, loops: int) -> bytes:
    return rewritten(apng, b"acTL", 4, struct.pack(">I", loops))


def rewritten(png: bytes, kind: bytes, offset: int, content: bytes) -> bytes:
    """Some bytes in each chunk of a kind replaced, with the checksum that belongs to them."""
    out, at = bytearray(png[:8]), 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        body = bytearray(png[at + 8 : at + 8 + length])
        if png[at + 4 : at + 8] == kind:
            body[offset : offset + len(content)] = content
        out += chunk(png[at + 4 : at + 8], bytes(body))
        at += 12 + length
    return bytes(out)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_same_animation_makes_the_same_bytes(workers: int) -> None:
    """Whatever the number of threads, and although two encoders read the same frames at once."""
    data = moving("GIF", 120) + LARGE
    found = inspect_image(data, declared_type="", limits=LIMITS)
    options = PlanOptions(thumbnail_quality=70)
    made = list(render(data, found, make_plan(options, found, LIMITS), LIMITS, workers=workers))
    files = {file.variant.name: file for file in made if isinstance(file, RenderedFile)}
    assert {name: file.frames for name, file in files.items()} == {"thumb_200.webp": 5, "full.webp": 5}
    alone = PlanOptions(thumbnail_quality=70, full_webp=False)
    (again,) = (
        file
        for file in render(data, found, make_plan(alone, found, LIMITS), LIMITS, workers=1)
        if isinstance(file, RenderedFile)
    )
    assert again.data == files["thumb_200.webp"].data
