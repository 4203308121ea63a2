"""Loops: derived files can start nothing. Each guard is turned off in turn, and the others still hold.

The guards: triggers listen to the originals' bucket alone; derived files go to a bucket of their own; and a derived
path is outside the grammar, whatever bucket it lies in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.media import pipeline as pipeline_module
from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import DerivedFiles, MediaStores
from afterimage.paths import Family, Output, Place, derived_path, place_of
from tests.functions.media.pictures import corners, encoded
from tests.functions.media.test_once import NAMES, SETTINGS
from tests.functions.media_world import DERIVED, World

MOST_INVOCATIONS = 40
SIZES = tuple(range(1, 13))
"""Every derived file gives all smaller ones, so without guards one upload means thousands of invocations."""


@dataclass(frozen=True, kw_only=True)
class OneBucketForAll(DerivedFiles):
    """Derived files that land among the originals and raise events as they do."""

    world: World
    listeners: list[str]

    def put(self, name: str, data: bytes, content_type: str) -> None:
        super().put(name, data, content_type)
        if ("uploads", name) not in self.world.originals:
            self.world.upload(name, data, content_type)
            self.listeners.append(name)


def invocations(*, own_bucket: bool, only_originals_trigger: bool) -> int:
    """Stores one picture and hands every event that follows to the pipeline; how often it ran."""
    world, events = World(), list[str]()
    stores = world.stores()
    if not (own_bucket and only_originals_trigger):
        # A trigger on the derived bucket, or derived files among the originals: an event for each file, either way.
        derived = OneBucketForAll(files=world.made, bucket=DERIVED, world=world, listeners=events)
        stores = MediaStores(originals=stores.originals, derived=derived, records=stores.records)
    settings = replace(
        SETTINGS,
        derived_bucket="derived" if own_bucket else SETTINGS.originals_bucket,
        plan_overrides={"*": {"thumbnails": list(SIZES), "full_webp": False}},
    )
    pipeline = Pipeline(stores=stores, settings=settings, workers=1)
    world.upload(NAMES[0], encoded(corners(16, 16), "PNG"))
    events.append(NAMES[0])
    ran = 0
    while events and ran < MOST_INVOCATIONS:
        name = events.pop()
        ran += 1
        pipeline.finalized("uploads", name, world.originals["uploads", name][0].generation)
    return ran


@pytest.mark.parametrize("own_bucket", [True, False])
@pytest.mark.parametrize("only_originals_trigger", [True, False])
def test_with_any_two_guards_gone_the_grammar_holds(own_bucket: bool, only_originals_trigger: bool) -> None:
    """At worst one more invocation for each derived file, which does nothing; never one that derives again."""
    ran = invocations(own_bucket=own_bucket, only_originals_trigger=only_originals_trigger)
    assert ran == (1 if own_bucket and only_originals_trigger else 1 + len(SIZES))


def everything_is_media(_name: str, _metadata: object = None) -> Place:
    return Place(family=Family.MEDIA, owner=None, output=Output(), records="mediaObjects")


def test_without_the_grammar_the_buckets_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """If every path were ours, a bucket without a trigger would still end it after one invocation."""
    monkeypatch.setattr(pipeline_module, "place_of", everything_is_media)
    assert invocations(own_bucket=True, only_originals_trigger=True) == 1


def test_without_any_guard_it_would_run_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above can fail: with all guards gone there is no end."""
    monkeypatch.setattr(pipeline_module, "place_of", everything_is_media)
    assert invocations(own_bucket=False, only_originals_trigger=False) == MOST_INVOCATIONS


segments = st.text(min_size=1, max_size=6).filter(lambda text: "/" not in text)
inside = st.one_of(
    st.tuples(st.just("users"), segments, st.just("ai_generated/images"), segments).map("/".join),
    st.tuples(st.just("users"), segments, st.just("ai_generated/audio/stems"), segments).map("/".join),
    st.tuples(st.just("generating"), segments, st.sampled_from(["image", "video"]), segments).map("/".join),
    st.tuples(st.just("media"), segments).map("/".join),
    st.tuples(st.just("media"), segments, segments).map("/".join),
    st.tuples(st.just("artifacts"), segments, segments, st.just("v1"), segments).map("/".join),
)


@given(
    bucket=st.sampled_from(["users", "generating", "media", "projects", "artifacts", "uploads"]),
    name=inside,
    generation=st.integers(1, 10**17),
    variant=st.sampled_from(["full.webp", "thumb_200.webp"]),
)
def test_no_derived_path_is_inside_the_grammar(bucket: str, name: str, generation: int, variant: str) -> None:
    """Even in a bucket that is called like a folder of the grammar."""
    assert place_of(str(derived_path(bucket, name, generation, "0123456789ab", variant))) is None
