"""Plans: which files are made of a picture, under which names, and how a deployment changes that."""

from __future__ import annotations

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from afterimage.media.inspection.inspect import Inspection, Verdict
from afterimage.media.inspection.signatures import FileType, Kind
from afterimage.media.limits import limits_for
from afterimage.media.placeholder import placeholder_of
from afterimage.media.plan import PlanError, PlanOptions, digest_of, fit, make_plan, options_for
from afterimage.paths import Family
from tests.functions.media.pictures import corner_names, corners

LIMITS = limits_for(1024)


def picture(
    width: int, height: int, *, pillow_format: str = "JPEG", frames: int = 1, alpha: bool = False
) -> Inspection:
    file_type = FileType(kind=Kind.IMAGE, content_type=f"image/{pillow_format.lower()}", pillow_format=pillow_format)
    return Inspection(
        verdict=Verdict.ACCEPT, file_type=file_type, width=width, height=height, frames=frames, has_alpha=alpha
    )


def names(options: PlanOptions, inspection: Inspection) -> list[str]:
    return [variant.name for variant in make_plan(options, inspection, LIMITS).variants]


def test_what_a_photograph_gets() -> None:
    """Four thumbnails and a full-size WebP, smallest first."""
    expected = ["thumb_200.webp", "thumb_400.webp", "thumb_800.webp", "thumb_1600.webp", "full.webp"]
    assert names(PlanOptions(), picture(4000, 3000)) == expected


def test_nothing_is_made_larger_than_its_source() -> None:
    """Sizes from the source's own on are left out; a tiny picture still gets one clean file."""
    assert names(PlanOptions(), picture(800, 600)) == ["thumb_200.webp", "thumb_400.webp", "full.webp"]
    tiny = make_plan(PlanOptions(), picture(20, 10), LIMITS).variants
    assert [(variant.name, variant.width, variant.height) for variant in tiny] == [
        ("thumb_200.webp", 20, 10), ("full.webp", 20, 10),
    ]  # fmt: skip
    assert names(PlanOptions(), picture(20, 10, pillow_format="WEBP")) == ["thumb_200.webp"]


def test_avif_is_made_for_large_outputs_when_asked() -> None:
    """From 800 pixels on, beside WebP; never for animations; not where memory would not last."""
    options = PlanOptions(avif=True)
    made = names(options, picture(1000, 500))
    assert made == ["thumb_200.webp", "thumb_400.webp", "thumb_800.webp", "thumb_800.avif", "full.webp", "full.avif"]
    assert not [name for name in names(options, picture(1000, 500, frames=5)) if name.endswith("avif")]
    assert "full.avif" not in names(options, picture(5000, 3300, alpha=True))


@given(width=st.integers(1, 60_000), height=st.integers(1, 60_000), longest=st.integers(1, 16_383))
def test_fitting_keeps_proportions_and_never_enlarges(width: int, height: int, longest: int) -> None:
    """Inside the square, at least one pixel, off by half a pixel at most."""
    fitted = fit(width, height, longest)
    assert 1 <= fitted[0] <= min(width, longest)
    assert 1 <= fitted[1] <= min(height, longest)
    scale = min(1.0, longest / max(width, height))
    assert abs(fitted[0] - width * scale) <= 1
    assert abs(fitted[1] - height * scale) <= 1


def test_options_are_set_by_family_over_those_for_all() -> None:
    """`*` first, then the family's own."""
    overrides: dict[str, dict[str, object]] = {
        "*": {"avif": True, "thumbnails": [100]},
        "media": {"thumbnails": [50, 60]},
    }
    assert options_for(Family.MEDIA, overrides).thumbnails == (50, 60)
    assert options_for(Family.MEDIA, overrides).avif
    assert options_for(Family.AI_IMAGE, overrides).thumbnails == (100,)


@pytest.mark.parametrize(
    "overrides",
    [
        {"medai": {}},
        {"media": {"thumbnials": [1]}},
        {"media": {"thumbnails": "200"}},
        {"media": {"thumbnails": [0]}},
        {"media": {"avif": 1}},
        {"media": {"full_quality": 101}},
    ],
)
def test_options_that_cannot_be_used_are_refused(overrides: dict[str, dict[str, object]]) -> None:
    """A misspelt family or option, or a value of the wrong kind, stops with its name."""
    with pytest.raises(PlanError, match="MEDIA_PLANS"):
        options_for(Family.MEDIA, overrides)


def test_any_changed_option_changes_the_digest() -> None:
    """It names the files' folder, so two plans never share one."""
    base = PlanOptions()
    changed = [
        PlanOptions(thumbnails=(200,)), PlanOptions(full_webp=False), PlanOptions(avif=True),
        PlanOptions(thumbnail_quality=81), PlanOptions(full_quality=81), PlanOptions(keep_animation=False),
        PlanOptions(placeholder=False), PlanOptions(avif_quality=50), PlanOptions(avif_from=1),
    ]  # fmt: skip
    digests = {digest_of(options) for options in (base, *changed)}
    assert len(digests) == len(changed) + 1
    assert digest_of(PlanOptions()) == digest_of(base)


def decoded_placeholder(text: str, x: float, y: float) -> tuple[int, int, int]:
    """One pixel of a BlurHash, at a place from 0 to 1, as the clients' decoders paint it."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"

    def number(part: str) -> int:
        return sum(digits.index(digit) * 83**place for place, digit in enumerate(reversed(part)))

    def linear(value: int) -> float:
        return value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4

    waves_y, waves_x = number(text[0]) // 9 + 1, number(text[0]) % 9 + 1
    largest = (number(text[1]) + 1) / 166
    mean = number(text[2:6])
    waves = [[linear(mean >> 16), linear(mean >> 8 & 255), linear(mean & 255)]]
    for at in range(6, len(text), 2):
        value = number(text[at : at + 2])
        steps = [value // 361 - 9, value // 19 % 19 - 9, value % 19 - 9]
        waves.append([(step / 9) ** 2 * (1 if step > 0 else -1) * largest for step in steps])
    assert len(waves) == waves_x * waves_y
    light = [0.0, 0.0, 0.0]
    for place, wave in enumerate(waves):
        strength = cos(pi * (place % waves_x) * x) * cos(pi * (place // waves_x) * y)
        light = [total + part * strength for total, part in zip(light, wave, strict=True)]
    curved = [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in (max(0.0, v) for v in light)]
    red, green, blue = (min(255, int(v * 255 + 0.5)) for v in curved)
    return red, green, blue


def test_a_placeholder_paints_the_picture_s_colours() -> None:
    """Decoded, each quarter shows its own colour; transparent counts as white; the length is the format's."""
    text = placeholder_of(corners())
    assert len(text) == 6 + 2 * 11
    blurred = Image.new("RGB", (10, 10))
    for x in range(10):
        for y in range(10):
            blurred.putpixel((x, y), decoded_placeholder(text, x / 10, y / 10))
    assert corner_names(blurred) == ["red", "green", "blue", "yellow"]
    assert placeholder_of(Image.new("RGB", (10, 10), (255, 255, 255)))[2:6] == "TSUA"
    assert placeholder_of(Image.new("RGBA", (10, 10), (9, 9, 9, 0)))[2:6] == "TSUA"
    assert len(placeholder_of(Image.new("RGB", (1, 1)))) == len(placeholder_of(Image.new("L", (1, 900)))) == 28
