"""Pillow's own test pictures, from its source distribution: broken, strange and rare files that others have met."""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from afterimage.media.inspection.inspect import Inspection, Verdict, inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.plan import PlanOptions, Variant, make_plan
from afterimage.media.render import BrokenImageError, RenderedFile, render
from tests.conformance.harness import unpack

pytestmark = pytest.mark.conformance

LIMITS = limits_for(1024)
PLANS = [
    PlanOptions(thumbnails=(64, 400)),
    PlanOptions(thumbnails=(48,), full_webp=False, avif=True, avif_from=1),
]
METADATA = {"exif", "icc_profile", "xmp", "comment", "photoshop", "adobe"}
PRIVATE_CHUNKS = {b"EXIF", b"ICCP", b"XMP "}


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaOutcome:
    """What became of one file of the corpus."""

    path: Path
    inspection: Inspection
    files: list[tuple[Variant, bytes]]
    broken: str | None = None


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[MediaOutcome]:
    """Every file, inspected and, where it is accepted, rendered; any exception but the expected one ends the test."""
    root = unpack("pillow", tmp_path_factory.mktemp("corpus"))
    paths = sorted(path for path in (root / "Tests" / "images").rglob("*") if path.is_file())
    return [outcome_of(path) for path in paths]


def outcome_of(path: Path) -> MediaOutcome:
    data = path.read_bytes()
    found = inspect_image(data, declared_type="", limits=LIMITS)
    if found.verdict is not Verdict.ACCEPT:
        assert found.reason, f"{path.name} is refused without a reason"
        return MediaOutcome(path=path, inspection=found, files=[])
    files: list[tuple[Variant, bytes]] = []
    try:
        for options in PLANS:
            plan = make_plan(options, found, LIMITS)
            rendered = render(data, found, plan, LIMITS, workers=1)
            files += [(one.variant, one.data) for one in rendered if isinstance(one, RenderedFile) and one.data]
    except BrokenImageError as error:
        return MediaOutcome(path=path, inspection=found, files=[], broken=str(error))
    except Exception as error:
        raise AssertionError(f"{path.name}: {type(error).__name__}: {error}") from error
    return MediaOutcome(path=path, inspection=found, files=files)


def test_every_file_gets_a_verdict_and_most_pictures_are_rendered(outcomes: list[MediaOutcome]) -> None:
    """No file of the corpus raises anything; every accepted one ends as files, or as broken with a reason."""
    verdicts = Counter("broken" if one.broken else str(one.inspection.verdict) for one in outcomes)
    assert len(outcomes) > 1000, verdicts
    assert verdicts["accept"] > 500, verdicts
    assert verdicts["quarantine"] + verdicts["broken"] > 20, verdicts
    assert verdicts["unsupported"] > 100, verdicts
    assert all(one.files for one in outcomes if one.inspection.verdict is Verdict.ACCEPT and not one.broken)
    formats = Counter(one.inspection.file_type.pillow_format for one in outcomes if one.files)
    assert set(formats) == {"JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP"}
    print(f"\n{len(outcomes)} files: {dict(verdicts)}; rendered: {dict(formats)}")


def test_no_output_carries_what_its_source_did(outcomes: list[MediaOutcome]) -> None:
    """No EXIF, profile, XMP or comment is in any output, though many sources have them."""
    carrying = checked = 0
    for one in outcomes:
        carrying += bool(one.files) and bool(METADATA & set(opened(one.path.read_bytes()).info))
        for variant, data in one.files:
            image = opened(data)
            assert not METADATA & set(image.info), f"{one.path.name} → {variant.name}: {sorted(image.info)}"
            assert not image.getexif(), f"{one.path.name} → {variant.name}"
            if variant.format == "WEBP":
                assert not PRIVATE_CHUNKS & set(chunks_of(data)), f"{one.path.name} → {variant.name}"
            else:
                assert b"Exif\0" not in data
                assert b"mime" not in data
            checked += 1
    assert carrying > 80
    assert checked > 1000


def test_every_output_stands_as_its_source_is_meant_to(outcomes: list[MediaOutcome]) -> None:
    """Sizes fit the plan; whatever has an orientation tag looks as Pillow itself turns it."""
    turned = 0
    for one in outcomes:
        for variant, data in one.files:
            assert opened(data).size == (variant.width, variant.height), one.path.name
        if not one.files or one.inspection.orientation in {None, 1}:
            continue
        upright = ImageOps.exif_transpose(opened(one.path.read_bytes()))
        expected = upright.convert("RGB")
        assert expected.size == (one.inspection.width, one.inspection.height), one.path.name
        for variant, data in one.files:
            wanted = expected.resize((variant.width, variant.height), Image.Resampling.BOX)
            made = opened(data).convert("RGB")
            # Not an absolute measure: many of these have profiles, which change colours and leave shapes.
            off = distance(wanted, made)
            others = [distance(wanted.transpose(turn).resize(wanted.size), made) for turn in Image.Transpose]
            assert off <= min(others), f"{one.path.name} → {variant.name} is off by {off}, turned by {min(others)}"
        turned += 1
    assert turned >= 7, "the corpus holds seven orientations as JPEG"


def distance(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def chunks_of(webp: bytes) -> Iterator[bytes]:
    """The names of a WebP's chunks."""
    at = 12
    while at + 8 <= len(webp):
        kind, length = struct.unpack_from("<4sI", webp, at)
        yield kind
        at += 8 + length + length % 2
