"""Whoever waits for a picture sees its smallest file first, for as few writes of its record as can be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from afterimage.allowances.day_allowances import DayAllowances
from afterimage.media.inspection.inspect import Inspection, inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.pipeline import Pipeline
from afterimage.media.plan import Plan, PlanOptions, make_plan
from afterimage.media.render import BrokenImageError, Doubt, Placeholder, RenderedFile, render
from afterimage.paths import object_id
from afterimage.settings import read_settings
from tests.functions.media.damaged.test_damage import END, photo
from tests.functions.media.pictures import corners, encoded
from tests.functions.media_world import World

LIMITS = limits_for(512)
LARGE = encoded(photo().resize((1600, 1200)), "JPEG", quality=90)
DAMAGED = LARGE[: len(LARGE) * 2 // 3] + END
PATH = "users/u/ai_generated/images/a_portrait.jpg"
News = Doubt | Placeholder | RenderedFile


def planned(data: bytes, **options: Any) -> tuple[Inspection, Plan]:
    found = inspect_image(data, declared_type="", limits=LIMITS)
    return found, make_plan(PlanOptions(**{"thumbnails": (100, 800)} | options), found, LIMITS)


def rendering(data: bytes, workers: int = 2) -> Iterator[News]:
    return render(data, *planned(data), LIMITS, workers=workers)


@dataclass
class Served:
    """A picture's way through the pipeline: each state of its record, in order."""

    states: list[dict[str, Any]]
    world: World


def served(data: bytes, *, is_counted: bool = True) -> Served:
    world = World()
    states: list[dict[str, Any]] = []
    record = f"users/u/objects/{object_id('uploads', PATH)}"

    def note(_operation: str) -> None:
        found = world.record(record)
        if found is not None and (not states or found != states[-1]):
            states.append(found)

    original = world.upload(PATH, data, "image/jpeg")
    world.after = note
    allowances = DayAllowances(
        documents=world.store,
        limits={"files": 10, "bytes": 10**9, "pixels": 10**9, "documents": 10},
        anonymous_accounts=8,
        is_anonymous=lambda _account: False,
    )
    settings = read_settings({"GCLOUD_PROJECT": "demo-first", "MEDIA_PLANS": '{"*": {"thumbnails": [100, 800]}}'})
    pipeline = Pipeline(
        stores=world.stores(), settings=settings, workers=1, allowances=allowances if is_counted else None
    )
    pipeline.finalized("uploads", PATH, original.generation)
    return Served(states, world)


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_record_is_written_three_times_for_a_picture(is_counted: bool) -> None:
    """Claimed and counted; placeholder and smallest file; then all."""
    states = served(LARGE, is_counted=is_counted).states
    told = [
        (state["status"], bool(state["placeholder"]), [file["name"] for file in state["variants"]]) for state in states
    ]
    assert told == [
        ("processing", False, []),
        ("processing", True, ["thumb_100.webp"]),
        ("ready", True, ["thumb_100.webp", "thumb_800.webp", "full.webp"]),
    ]
    assert states[0]["source"]["width"] == 1600
    assert states[-1]["variants"][0] == states[1]["variants"][0], "what is shown first stays"


@pytest.mark.parametrize(
    "data", [b"", b"nothing", encoded(corners(), "TIFF")], ids=["empty", "no picture", "unsupported"]
)
def test_a_record_is_written_once_where_there_is_nothing_to_make(data: bytes) -> None:
    """What becomes of it is known before anything is claimed."""
    assert [state["work"] for state in served(data).states] == [None]


def test_a_picture_whose_damage_shows_late_is_shown_to_nobody_in_the_end() -> None:
    """Its first file goes again, with its placeholder."""
    seen = served(DAMAGED)
    assert [state["status"] for state in seen.states] == ["processing", "processing", "quarantined"]
    assert [len(state["variants"]) for state in seen.states] == [0, 1, 0]
    assert seen.states[-1]["placeholder"] is None
    assert seen.world.derived == {}


def test_the_first_file_of_a_photo_does_not_wait_for_the_whole() -> None:
    """It is there even where the whole picture turns out to be damaged."""
    news = rendering(DAMAGED, workers=1)
    first = [next(news), next(news)]
    assert isinstance(first[0], Placeholder)
    assert isinstance(first[1], RenderedFile)
    with pytest.raises(BrokenImageError):
        list(news)


@pytest.mark.parametrize(
    "data", [LARGE, encoded(photo(), "JPEG"), encoded(photo(), "PNG")], ids=["large", "small", "PNG"]
)
def test_every_machine_makes_the_same_files(data: bytes) -> None:
    """However many threads it has: a delivery on another one finds its own bytes there."""
    assert named(rendering(data, 1)) == named(rendering(data, 2)) == named(rendering(data, 4))


def smooth() -> Image.Image:
    """Something that every size shows as it is."""
    sides = Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90)
    return Image.merge("RGB", sides).resize((1600, 1200))


def named(news: Iterator[News]) -> list[tuple[str, str]]:
    """All there is to keep of a picture, each once: its files and its placeholder."""
    kept = [
        (file.variant.name, file.sha256) if isinstance(file, RenderedFile) else ("placeholder", file.blurhash)
        for file in news
        if not isinstance(file, Doubt)
    ]
    assert len({name for name, _ in kept}) == len(kept)
    return sorted(kept)


@pytest.mark.parametrize(
    "make",
    [
        lambda: encoded(smooth(), "JPEG"),
        lambda: encoded(smooth(), "JPEG", progressive=True),
        lambda: encoded(smooth().convert("CMYK"), "JPEG"),
        lambda: encoded(smooth(), "PNG"),
        lambda: encoded(smooth(), "WEBP"),
    ],
    ids=["baseline", "progressive", "four inks", "PNG", "WebP"],
)
def test_the_first_file_looks_as_the_picture_does(make: Callable[[], bytes]) -> None:
    """Whichever way it is made, no pixel's mean differs by more than an encoder's own noise."""
    data = make()
    files = [file for file in rendering(data) if isinstance(file, RenderedFile)]
    assert files[0].variant.name == "thumb_100.webp"
    shown = Image.open(io.BytesIO(files[0].data or b"")).convert("RGB")
    ideal = Image.open(io.BytesIO(data)).convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
    apart = [abs(a - b) for a, b in zip(shown.tobytes(), ideal.tobytes(), strict=True)]
    assert sum(apart) / len(apart) < 4
