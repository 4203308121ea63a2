"""Rendering: right way up, right colours, no metadata, the planned sizes, and the same bytes every time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image, ImageCms

from afterimage.media.inspection.inspect import Verdict, inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.plan import Plan, PlanOptions, make_plan
from afterimage.media.render import Placeholder, RenderedFile, render
from tests.functions.media import pictures
from tests.functions.media.pictures import corner_names, corners, decoded, encoded

LIMITS = limits_for(1024)
SMALL = PlanOptions(thumbnails=(16, 32), full_webp=True, avif=True, avif_from=30)


def derive(data: bytes, options: PlanOptions = SMALL) -> tuple[Plan, dict[str, bytes]]:
    found = inspect_image(data, declared_type="", limits=LIMITS)
    assert found.verdict is Verdict.ACCEPT, found.reason
    plan = make_plan(options, found, LIMITS)
    files = [file for file in render(data, found, plan, LIMITS, workers=2) if isinstance(file, RenderedFile)]
    return plan, {file.variant.name: file.data for file in files if file.data is not None}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "AVIF"])
def test_every_orientation_ends_upright_and_without_its_tag(orientation: int, file_format: str) -> None:
    """All eight, in all outputs, with the width and height as shown; nothing of EXIF, GPS or comments is left."""
    plan, files = derive(pictures.turned(orientation, file_format))
    assert files
    for variant in plan.variants:
        if variant.name not in files:
            continue
        image = decoded(files[variant.name])
        assert corner_names(image) == ["red", "green", "blue", "yellow"], variant.name
        assert image.size == (variant.width, variant.height)
        assert not dict(image.getexif())
        assert not {"exif", "icc_profile", "xmp", "comment"} & {key for key, value in image.info.items() if value}
        assert b"secret" not in files[variant.name]


def test_a_tag_behind_the_pixels_counts_too() -> None:
    """A PNG may carry its orientation after its pixels; it is found without decoding them twice."""
    data = pictures.turned(6, "PNG")
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    _, files = derive(moved)
    assert corner_names(decoded(files["thumb_32.webp"])) == ["red", "green", "blue", "yellow"]


def pixel(data: bytes, x: int, y: int) -> tuple[int, ...]:
    found = decoded(data).convert("RGBA").getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    """Pillow's own conversion turns nearly all of it white."""
    _, files = derive(pictures.deep_grey_png())
    column = [pixel(files["thumb_32.webp"], 16, y)[0] for y in (1, 16, 30)]
    assert column == pytest.approx([12, 131, 245], abs=12)


def test_cmyk_becomes_the_colour_it_prints() -> None:
    """No cyan, full magenta and yellow: red."""
    _, files = derive(pictures.cmyk_jpeg())
    red, green, blue, _ = pixel(files["thumb_32.webp"], 16, 12)
    assert red > 200
    assert max(green, blue) < 80


def test_a_profile_is_applied_before_it_is_dropped() -> None:
    """What the profile calls red is green on a screen, and must be so without the profile."""
    _, files = derive(pictures.wide_gamut_png())
    red, green, _, _ = pixel(files["thumb_16.webp"], 8, 6)
    assert green > 150 > 100 > red


def test_no_profile_is_handed_on() -> None:
    """Not even one that says sRGB: AVIF would take it from the picture by itself."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    _, files = derive(encoded(corners(300, 200), "PNG", icc_profile=profile, compress_level=0))
    assert {"thumb_32.avif", "full.avif", "full.webp"} <= set(files)
    for name, data in files.items():
        assert not decoded(data).info.get("icc_profile"), name


def test_transparency_survives_a_palette() -> None:
    """A palette with alpha is smoothed in full colour, and stays see-through outside the circle."""
    _, files = derive(pictures.palette_with_alpha())
    assert pixel(files["thumb_32.webp"], 1, 1)[3] < 10
    inside = pixel(files["thumb_32.webp"], 16, 12)
    assert inside[3] == 255
    assert inside[0] > 150


def test_transparent_pixels_do_not_bleed_into_the_edges() -> None:
    """Hidden colours under full transparency (here green) must not colour a smaller picture's edges."""
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    image.paste((255, 255, 255, 255), (0, 0, 33, 64))
    _, files = derive(encoded(image, "PNG"), PlanOptions(thumbnails=(16,), full_webp=False, thumbnail_quality=100))
    for x in range(7, 10):
        red, green, blue, alpha = pixel(files["thumb_16.webp"], x, 8)
        assert alpha < 40 or green - min(red, blue) < 25


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_animations_stay_animated(file_format: str) -> None:
    """All frames and their times are kept at every size, and they loop as they did."""
    plan, files = derive(pictures.animation(file_format, loop=0), PlanOptions(thumbnails=(16,), full_webp=False))
    assert all(variant.animated for variant in plan.variants)
    image = decoded(files["thumb_16.webp"])
    assert (image.n_frames, image.info["loop"]) == (5, 0)  # type: ignore[attr-defined]  # only multi-frame images have it
    durations = []
    for number in range(5):
        image.seek(number)
        image.load()
        durations.append(image.info["duration"])
    assert durations == [100, 50, 70, 200, 90]


def test_an_animation_beyond_the_limits_becomes_a_still() -> None:
    """Frames × pixels are bounded by memory; beyond, the first frame stands for it."""
    found = inspect_image(pictures.animation("GIF"), declared_type="", limits=limits_for(1))
    assert found.frames == 5
    plan = make_plan(PlanOptions(), found, replace(LIMITS, room=20_000))
    assert not any(variant.animated for variant in plan.variants)


def test_the_same_input_makes_the_same_bytes() -> None:
    """Whatever the number of threads: variants are content-addressed by what they were made from."""
    data = encoded(corners(300, 200), "JPEG", quality=90)
    found = inspect_image(data, declared_type="", limits=LIMITS)
    plan = make_plan(SMALL, found, LIMITS)
    runs = []
    for workers in (1, 2, 5):
        results = list(render(data, found, plan, LIMITS, workers=workers))
        files = sorted((file.variant.name, file.sha256) for file in results if isinstance(file, RenderedFile))
        runs.append((files, next(result for result in results if isinstance(result, Placeholder))))
    assert runs[0] == runs[1] == runs[2]


def test_small_files_come_first_with_one_thread() -> None:
    """A listening client sees something early: placeholder, then sizes in order."""
    data = encoded(corners(300, 200), "JPEG")
    found = inspect_image(data, declared_type="", limits=LIMITS)
    results = list(render(data, found, make_plan(PlanOptions(), found, LIMITS), LIMITS, workers=1))
    assert isinstance(results[0], Placeholder)
    widths = [file.variant.width for file in results[1:] if isinstance(file, RenderedFile)]
    assert widths == sorted(widths)


def test_a_full_size_file_larger_than_its_source_is_dropped() -> None:
    """A re-encoding that only costs bytes is not kept."""
    tiny = encoded(Image.new("L", (300, 200), 128), "PNG", optimize=True)
    found = inspect_image(tiny, declared_type="", limits=LIMITS)
    plan = make_plan(PlanOptions(thumbnails=(100,)), found, LIMITS)
    files = {file.variant.name: file for file in render(tiny, found, plan, LIMITS) if isinstance(file, RenderedFile)}
    assert files["full.webp"].data is None or len(files["full.webp"].data) < len(tiny)
    assert files["thumb_100.webp"].data is not None


@pytest.mark.parametrize("size", [(16, 16), (90, 60)])
def test_nothing_of_the_source_s_own_size_is_larger_than_it(size: tuple[int, int]) -> None:
    """Not a thumbnail either: a picture smaller than all of them has none where its own file is the smallest."""
    tiny = encoded(Image.effect_noise(size, 90).convert("1"), "PNG", optimize=True)
    _, files = derive(tiny, PlanOptions(thumbnails=(100, 200), avif=True, avif_from=1))
    assert files == {}, {name: len(data) for name, data in files.items()}
    wasteful = encoded(Image.effect_noise(size, 9), "BMP") + bytes(2000)
    _, files = derive(wasteful, PlanOptions(thumbnails=(100, 200)))
    assert set(files) == {"thumb_100.webp", "full.webp"}


def test_shrinking_while_loading_shows_no_difference() -> None:
    """Thumbnails made from a JPEG that was decoded at half its size match those of a full decode."""
    image = Image.effect_mandelbrot((1600, 1200), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    data = encoded(image, "JPEG", quality=92)
    _, shrunk = derive(data, PlanOptions(thumbnails=(400,), full_webp=False, thumbnail_quality=95))
    _, whole = derive(data, PlanOptions(thumbnails=(400,), full_webp=True, thumbnail_quality=95))
    first, second = (decoded(files["thumb_400.webp"]).convert("L").tobytes() for files in (shrunk, whole))
    error = sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) / len(first)
    assert error < 12, f"mean squared error {error:.1f}"
