"""Exactly-once effects: whatever happens to events and processes, the end is a function of what is stored."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from PIL import Image

from afterimage.faults import TransientError
from afterimage.media.pipeline import MediaOutcome, Pipeline
from afterimage.paths import object_id
from afterimage.settings import Settings, read_settings
from tests.functions.delivered import Delivered
from tests.functions.interleaving import Turns
from tests.functions.media_world import Crash, World

SETTINGS = read_settings({"GCLOUD_PROJECT": "demo-once", "MEDIA_PLANS": '{"*": {"thumbnails": [2, 4]}}'})
NAMES = ("users/u/ai_generated/images/a_portrait.png", "media/asset/b.png", "generating/u/image/x_0.png")
SEEDS_PER_BATCH = 60
Event = tuple[str, str, int]
VOLATILE = ("updated_at", "work")


def picture(shade: int) -> bytes:
    """A tiny PNG, or (for zero) a broken one."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (shade * 40, 20, 200)).save(buffer, "PNG")
    return buffer.getvalue()[:40] if shade == 0 else buffer.getvalue()


def photo(*, is_whole: bool) -> bytes:
    """A JPEG large enough for its smallest file to be made ahead of the rest; that half of it lacks shows only then."""
    buffer = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((64, 48), 60)] * 3).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    return data if is_whole else data[: len(data) * 2 // 3] + b"\xff\xd9"


PICTURES = (*(picture(shade) for shade in range(4)), photo(is_whole=True), photo(is_whole=False))


@dataclass
class Simulation:
    """A world, the events it raised, and deliveries of them under way."""

    world: World = field(default_factory=World)
    turns: Turns = field(default_factory=Turns)
    random: Random = field(default_factory=Random)
    delivered: Delivered = field(default_factory=Delivered)
    waiting: list[Event] = field(default_factory=list)
    """Events that are still to be delivered: each one to three times, and again after a kill."""

    def __post_init__(self) -> None:
        self.world.before = self.turns.pause
        self.pipeline = Pipeline(stores=self.world.stores(), settings=SETTINGS, workers=1)

    def upload(self, name: str, data: bytes) -> None:
        replaced = self.world.originals.get(("uploads", name))
        original = self.world.upload(name, data)
        self.raise_event(("finalized", name, original.generation))
        if replaced:
            self.raise_event(("deleted", name, replaced[0].generation))

    def raise_event(self, event: Event) -> None:
        self.waiting += [event] * self.random.choice((1, 1, 2, 3))

    def remove(self, name: str) -> None:
        if ("uploads", name) in self.world.originals:
            self.raise_event(("deleted", name, self.world.remove(name).generation))

    def bump(self, name: str) -> None:
        """A client changes the object's metadata meanwhile."""
        if found := self.world.originals.get(("uploads", name)):
            self.world.stores().originals.stamp(found[0], {"client": str(self.random.random())})

    def deliver(self, event: Event) -> None:
        """Starts one delivery. Whoever is killed, or asks for it, is delivered again; nobody else is."""
        kind, name, generation = event
        handle = getattr(self.pipeline, kind)

        def work() -> None:
            try:
                self.delivered.once(f"media_{kind}", name, lambda: handle("uploads", name, generation))
            except (TransientError, Crash):
                self.waiting.append(event)

        self.turns.start(work)


def oracle(world: World, settings: Settings = SETTINGS) -> tuple[dict[str, Any], dict[str, tuple[bytes, str]]]:
    """What must be there: every live original, settled alone in a world without any trouble."""
    clean = World()
    for (bucket, name), (original, data) in world.originals.items():
        clean.originals[bucket, name] = (original, data)
        Pipeline(stores=clean.stores(), settings=settings, workers=1).finalized(bucket, name, original.generation)
    return settled(clean), clean.derived


def settled(world: World) -> dict[str, Any]:
    return {
        path: {key: value for key, value in fields.items() if key not in VOLATILE}
        for path, (fields, *_) in world.documents.items()
    }


def play(simulation: Simulation, random: Random) -> None:
    """Stores, overwrites, deletes; delivers each event up to three times in any order; kills; lets all overlap."""
    actions = random.randint(2, 7)
    names = random.sample(NAMES, random.choice((1, 1, 2)))
    while actions or simulation.waiting or simulation.turns.running:
        running = len(simulation.turns.running)
        choice = random.random()
        if actions and choice < 0.1:
            actions -= 1
            act = random.choices(("upload", "remove", "bump"), (4, 3, 1))[0]
            arguments = (random.choice(PICTURES),) if act == "upload" else ()
            getattr(simulation, act)(random.choice(names), *arguments)
        elif simulation.waiting and choice < 0.3:
            simulation.deliver(simulation.waiting.pop(random.randrange(len(simulation.waiting))))
        elif running and choice < 0.33:
            simulation.turns.kill(random.randrange(running))
        elif running:
            which = random.randrange(running)
            for _ in range(random.choice((1, 1, 2, 5))):
                if which < len(simulation.turns.running):
                    simulation.turns.step(which)


@pytest.mark.parametrize("batch", range(10))
def test_every_order_of_events_ends_in_the_same_state(batch: int) -> None:
    """Duplicates, reordering, overlap, kills and concurrent deletes end in the oracle's state, with no orphan."""
    for seed in range(batch * SEEDS_PER_BATCH, (batch + 1) * SEEDS_PER_BATCH):
        simulation = Simulation(random=Random(seed))
        play(simulation, simulation.random)
        documents, derived = oracle(simulation.world)
        assert settled(simulation.world) == documents, f"seed {seed}"
        assert simulation.world.derived == derived, f"seed {seed}"
        assert simulation.delivered.open_letters() == [], f"seed {seed}"
        for original, _ in simulation.world.originals.values():
            assert original.metadata["afterimage_status"] in {"ready", "quarantined"}, f"seed {seed}"


def crashing_world(operations_before_crash: int) -> tuple[World, Callable[[], None]]:
    """A world whose process dies ahead of the n-th store operation, until it is healed."""
    world, left = World(), [operations_before_crash]

    def before(_operation: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise Crash

    def heal() -> None:
        world.before = lambda _operation: None

    world.before = before
    return world, heal


def test_a_crash_at_any_step_is_completed_by_the_next_delivery() -> None:
    """For every n: killed ahead of operation n and delivered again, the result is that of a run without trouble."""
    name, operations = NAMES[0], 0
    while True:
        world, heal = crashing_world(operations)
        original = world.upload(name, PICTURES[2])
        pipeline = Pipeline(stores=world.stores(), settings=SETTINGS, workers=1)
        try:
            pipeline.finalized("uploads", name, original.generation)
            break
        except Crash:
            heal()
        assert pipeline.finalized("uploads", name, original.generation) in {MediaOutcome.SETTLED, MediaOutcome.ALREADY}
        documents, derived = oracle(world)
        assert (settled(world), world.derived) == (documents, derived), f"killed ahead of operation {operations}"
        operations += 1
    assert operations >= 9


def test_a_name_outside_the_grammar_touches_no_store() -> None:
    """A path that is not ours costs no request at all."""
    world, heal = crashing_world(0)
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS)
    assert pipeline.finalized("uploads", "somewhere/else.png", 1) is MediaOutcome.OUTSIDE
    assert pipeline.deleted("uploads", "users/u/profile.png", 1) is MediaOutcome.OUTSIDE
    heal()


def test_delete_removes_its_own_generation_and_no_other() -> None:
    """The delete event of an overwritten generation leaves the record and files of the new one alone."""
    world = World()
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS)
    first = world.upload(NAMES[0], PICTURES[1])
    pipeline.finalized("uploads", NAMES[0], first.generation)
    second = world.upload(NAMES[0], PICTURES[2])
    pipeline.finalized("uploads", NAMES[0], second.generation)
    assert {path.split("/")[-3] for path in world.derived} == {str(first.generation), str(second.generation)}
    pipeline.deleted("uploads", NAMES[0], first.generation)
    assert {path.split("/")[-3] for path in world.derived} == {str(second.generation)}
    record = world.record(f"users/u/objects/{object_id('uploads', NAMES[0])}")
    assert record is not None
    assert record["generation"] == second.generation


def test_a_file_whose_name_looks_like_a_derived_folder_is_not_swept_along() -> None:
    """`media/a` and `media/a/7` share prefixes in the derived bucket; deleting one spares the other."""
    world = World()
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS)
    outer = world.upload("media/a", PICTURES[1])
    inner = world.upload(f"media/a/{outer.generation}", PICTURES[2])
    pipeline.finalized("uploads", outer.name, outer.generation)
    pipeline.finalized("uploads", inner.name, inner.generation)
    before = len(world.derived)
    world.remove(outer.name)
    pipeline.deleted("uploads", outer.name, outer.generation)
    assert 0 < len(world.derived) < before
    assert all(path.startswith(f"uploads/{inner.name}/{inner.generation}/") for path in world.derived)


class Meanwhile:
    """Lets something happen ahead of the n-th operation of a name, or right after it, once."""

    def __init__(
        self, world: World, operation: str, nth: int, happen: Callable[[], object], *, after: bool = False
    ) -> None:
        self.left, self.operation, self.happen, self.happened = nth, operation, happen, False
        if after:
            world.after = self.notice
        else:
            world.before = self.notice

    def notice(self, operation: str) -> None:
        if operation == self.operation and not self.happened:
            self.left -= 1
            if self.left == 0:
                self.happened = True
                self.happen()


def test_a_delivery_that_was_overtaken_takes_its_files_back() -> None:
    """Overwritten half-way, with the new generation done and the old one's delete gone by: nothing old stays."""
    world = World()
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS, workers=1)
    old = world.upload(NAMES[0], PICTURES[1])

    def overtake() -> None:
        new = world.upload(NAMES[0], PICTURES[2])
        pipeline.finalized("uploads", NAMES[0], new.generation)
        pipeline.deleted("uploads", NAMES[0], old.generation)

    meanwhile = Meanwhile(world, "write", 2, overtake)
    assert pipeline.finalized("uploads", NAMES[0], old.generation) is MediaOutcome.SUPERSEDED
    assert meanwhile.happened
    assert (settled(world), world.derived) == oracle(world)


def test_a_stamp_that_was_there_before_proves_nothing() -> None:
    """Even if somebody has forged the stamp, a delete that came and went before the end is noticed."""
    rehearsal = World()
    rehearsed = rehearsal.upload(NAMES[0], PICTURES[1])
    Pipeline(stores=rehearsal.stores(), settings=SETTINGS).finalized("uploads", NAMES[0], rehearsed.generation)
    forged = rehearsal.originals["uploads", NAMES[0]]
    world = World()
    world.originals["uploads", NAMES[0]] = forged
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS, workers=1)

    def vanish() -> None:
        # Its delete event was delivered before anything was stored, so it finds nothing to remove.
        world.remove(NAMES[0])

    # After the last write of the record: only the proof at the end can find out.
    meanwhile = Meanwhile(world, "commit records", 3, vanish, after=True)
    assert pipeline.finalized("uploads", NAMES[0], forged[0].generation) is MediaOutcome.GONE
    assert meanwhile.happened
    assert (world.documents, world.derived) == ({}, {})


@pytest.mark.parametrize("operation", ["stamp", "commit records", "write"])
def test_deleted_right_before_any_last_step(operation: str) -> None:
    """An object that dies between two steps leaves neither record nor files, even if its delete event came first."""
    for nth in (1, 2, 3):
        world = World()
        pipeline = Pipeline(stores=world.stores(), settings=SETTINGS, workers=1)
        original = world.upload(NAMES[0], PICTURES[1])

        def vanish(world: World = world, pipeline: Pipeline = pipeline, generation: int = original.generation) -> None:
            world.remove(NAMES[0])
            pipeline.deleted("uploads", NAMES[0], generation)

        meanwhile = Meanwhile(world, operation, nth, vanish)
        outcome = pipeline.finalized("uploads", NAMES[0], original.generation)
        if meanwhile.happened:
            assert outcome is MediaOutcome.GONE
            assert (world.documents, world.derived) == ({}, {})


def test_settled_objects_are_announced_once_each() -> None:
    """Who wants to be told is told what became of an object when it is settled, and not again for a duplicate."""
    world, news = World(), list[Mapping[str, Any]]()
    pipeline = Pipeline(stores=world.stores(), settings=SETTINGS, workers=1, announce=news.append)
    original = world.upload(NAMES[1], PICTURES[1])
    for _ in range(3):
        pipeline.finalized("uploads", NAMES[1], original.generation)
    assert [(item["name"], item["status"]) for item in news] == [(NAMES[1], "ready")]
