"""Which files are to be made of an image: options by family of path, and the plan for one picture. Pure.

The digest of the options is part of every derived path, so a changed plan never overwrites what an old one made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Final

from afterimage.media.inspection.inspect import Inspection
from afterimage.media.limits import Limits
from afterimage.paths import Family

RENDERER_VERSION: Final = 5
"""Grows when the same options make other bytes, so that the digest changes with them."""
DIGEST_LENGTH: Final = 12


class PlanError(ValueError):
    """Plan options that cannot be used: which, and what they may be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """What one family of paths gets."""

    thumbnails: tuple[int, ...] = (200, 400, 800, 1600)
    """Longest sides; a picture is fitted inside and never enlarged."""
    full_webp: bool = True
    """A full-size WebP where the source is something else."""
    avif: bool = False
    """AVIF beside WebP for outputs from `avif_from` pixels on."""
    avif_from: int = 800
    thumbnail_quality: int = 80
    full_quality: int = 80
    avif_quality: int = 60
    keep_animation: bool = True
    placeholder: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One file to make."""

    name: str
    width: int
    height: int
    format: str
    quality: int
    animated: bool = False
    """All frames are put into it; whether they look different at this size is known when it is made."""
    must_shrink: bool = False
    """Dropped unless it turns out smaller than the source, because it has the source's size in pixels."""

    @property
    def content_type(self) -> str:
        return f"image/{self.format.lower()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to make of one picture, smallest first."""

    digest: str
    variants: tuple[Variant, ...]
    placeholder: bool
    note: str | None = None
    """What its owner should know of the variants: why an animation does not move."""


def options_for(family: Family, overrides: Mapping[str, Mapping[str, object]]) -> PlanOptions:
    """The defaults, with what the deployment says about this family."""
    options = PlanOptions()
    for name, override in overrides.items():
        if name not in {"*", *Family}:
            raise PlanError(f"MEDIA_PLANS names the family `{name}`; known are `*`, {', '.join(Family)}")
        if name in {"*", family}:
            options = _overridden(options, name, override)
    return options


def digest_of(options: PlanOptions) -> str:
    """Names the options, and the renderer that turns them into bytes."""
    text = json.dumps({"renderer": RENDERER_VERSION, **asdict(options)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def make_plan(options: PlanOptions, inspection: Inspection, limits: Limits) -> Plan:
    """The files to make of an accepted picture."""
    width, height = inspection.width or 1, inspection.height or 1
    longest = max(width, height)
    sizes = sorted(size for size in set(options.thumbnails) if size < longest)
    if not sizes and options.thumbnails:
        # A picture smaller than every thumbnail gets one at its own size, if that is the smaller file.
        sizes = [min(options.thumbnails)]
    variants: list[Variant] = []
    for size in sizes:
        variants += _outputs(options, f"thumb_{size}", fit(width, height, size), inspection, limits)
    is_webp = inspection.file_type.pillow_format == "WEBP"
    if options.full_webp and not is_webp and longest <= limits.longest_side:
        variants += _outputs(options, "full", (width, height), inspection, limits)
    return Plan(
        digest=digest_of(options),
        variants=tuple(variants),
        placeholder=options.placeholder,
        note=_why_still(options, inspection, limits),
    )


def fit(width: int, height: int, longest: int) -> tuple[int, int]:
    """The size that fits inside a square, keeping proportions; never enlarged, never under one pixel."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _outputs(
    options: PlanOptions, stem: str, size: tuple[int, int], inspection: Inspection, limits: Limits
) -> list[Variant]:
    """One size as WebP, and as AVIF where that was asked for and is worth its while."""
    animated = options.keep_animation and _stays_animated(inspection, limits)
    webp = Variant(
        name=f"{stem}.webp",
        width=size[0],
        height=size[1],
        format="WEBP",
        quality=options.full_quality if stem == "full" else options.thumbnail_quality,
        animated=animated,
        must_shrink=size == (inspection.width, inspection.height),
    )
    wants_avif = options.avif and not animated and max(size) >= options.avif_from
    source_pixels = _pixels(inspection)
    has_alpha = bool(inspection.has_alpha)
    pixels = size[0] * size[1]
    if not wants_avif or not limits.has_room_for_avif(pixels, source_pixels=source_pixels, has_alpha=has_alpha):
        return [webp]
    return [webp, replace(webp, name=f"{stem}.avif", format="AVIF", quality=options.avif_quality)]


def _stays_animated(inspection: Inspection, limits: Limits) -> bool:
    frames = inspection.frames or 1
    return 1 < frames <= limits.frames and frames * _pixels(inspection) <= limits.animation_pixels


def _why_still(options: PlanOptions, inspection: Inspection, limits: Limits) -> str | None:
    frames = inspection.frames or 1
    if frames == 1 or (options.keep_animation and _stays_animated(inspection, limits)):
        return None
    if not options.keep_animation:
        return "the animation is shown as its first frame: animations are not kept here"
    if frames > limits.frames:
        return f"the animation is shown as its first frame: it has more than {limits.frames} frames"
    return (
        f"the animation is shown as its first frame: {frames} frames of {inspection.width} × {inspection.height} "
        f"pixels are more than {limits.animation_pixels} pixels in all"
    )


def _pixels(inspection: Inspection) -> int:
    return (inspection.width or 1) * (inspection.height or 1)


def _overridden(options: PlanOptions, family: str, override: Mapping[str, object]) -> PlanOptions:
    known = {field.name: getattr(options, field.name) for field in fields(options)}
    changes: dict[str, object] = {}
    for name, value in override.items():
        if name not in known:
            raise PlanError(f"MEDIA_PLANS gives `{family}` the option `{name}`; known are {', '.join(known)}")
        changes[name] = _checked(f"{family}.{name}", value, known[name])
    return PlanOptions(**{**known, **changes})


def _checked(name: str, value: object, example: object) -> object:
    if isinstance(example, tuple):
        sizes = value if isinstance(value, list) else [None]
        if not all(type(size) is int and 1 <= size <= 16_383 for size in sizes):
            raise PlanError(f"MEDIA_PLANS `{name}` is `{value}`; it must be a list of sides from 1 to 16383")
        return tuple(sizes)
    if type(value) is not type(example):
        raise PlanError(f"MEDIA_PLANS `{name}` is `{value}`; it must be like `{example}`")
    if name.endswith("quality") and not 1 <= int(str(value)) <= 100:
        raise PlanError(f"MEDIA_PLANS `{name}` is `{value}`; it must be from 1 to 100")
    return value
