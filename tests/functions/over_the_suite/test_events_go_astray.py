"""The deployed functions in their own processes, with events lost, repeated and shuffled: the end is the oracle's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from afterimage.jobs.progress import Turn
from afterimage.jobs.sweep import Sweep
from afterimage.media.google_stores import google_stores
from afterimage.media.pipeline import Pipeline
from afterimage.settings import read_settings
from google.cloud import firestore, storage
from PIL import Image

from emulator.background import BackgroundSuite
from emulator.configuration import Codebase, Configuration
from emulator.faults import FaultRule
from emulator.suite import Suite
from tests.functions.media.pictures import encoded
from tests.functions.media.test_once import oracle, settled
from tests.functions.memory_stores import World

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
PICTURES = [
    *(encoded(Image.new("RGB", (300, 200), (shade, 90, 160)), "JPEG") for shade in (10, 120, 240)),
    b"this is no picture",
]
FAULTS = {
    "repeated": [FaultRule(action="duplicate", copies=4, probability=0.7)],
    "shuffled": [FaultRule(action="reorder", seconds=0.3)],
    "repeated and shuffled": [
        FaultRule(action="duplicate", copies=2, probability=0.7),
        FaultRule(action="reorder", seconds=0.3),
    ],
    "lost": [FaultRule(action="drop", probability=0.5)],
    "lost, repeated and shuffled": [
        FaultRule(action="drop", probability=0.3),
        FaultRule(action="duplicate", copies=2, probability=0.5),
        FaultRule(action="reorder", seconds=0.3),
    ],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """The functions as they are deployed, with the services that they call."""
    configuration = Configuration(
        root=tmp_path_factory.mktemp("project"),
        project_id=f"demo-astray-{os.getpid()}",
        codebases=(Codebase(name="default", source=FUNCTIONS),),
    )
    suite = Suite(configuration, only=("firestore", "storage", "functions"), free_ports=True)
    with BackgroundSuite(suite) as running:
        yield running


class Apps:
    """Clients that store, overwrite and delete, and the view of an operator on what has become of it."""

    def __init__(self, suite: BackgroundSuite, uid: str) -> None:
        self.suite, self.uid = suite, uid
        self.settings = read_settings({"GCLOUD_PROJECT": suite.project_id})
        self.storage = storage.Client(project=suite.project_id)
        self.firestore = firestore.Client(project=suite.project_id)
        stores = google_stores(self.storage, self.firestore, self.settings.derived_bucket)
        self.pipeline = Pipeline(stores=stores, settings=self.settings)

    def names(self) -> list[str]:
        return [f"users/{self.uid}/ai_generated/images/card{number}_portrait.jpg" for number in range(10)]

    def act(self, random: Random, actions: int) -> None:
        bucket = self.storage.bucket(self.settings.originals_bucket)
        for _ in range(actions):
            blob = bucket.blob(random.choice(self.names()))
            if random.random() < 0.25 and blob.exists():
                blob.delete()
            else:
                blob.upload_from_string(random.choice(PICTURES), "image/jpeg")

    def sweep(self) -> None:
        work, cursor = Sweep(pipeline=self.pipeline), ""
        while True:
            page = work.turn(Turn(request={}, cursor=cursor, counts={}))
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def found(self) -> tuple[dict[str, Any], set[str]]:
        """Records and derived files of this user, as they are."""
        documents = {
            f"users/{self.uid}/objects/{document.id}": (document.to_dict() or {}, 0)
            for document in self.firestore.collection(f"users/{self.uid}/objects").stream()
        }
        prefix = f"{self.settings.originals_bucket}/users/{self.uid}/"
        files = {blob.name for blob in self.storage.list_blobs(self.settings.derived_bucket, prefix=prefix)}
        return settled(World(documents=documents)), files

    def expected(self) -> tuple[dict[str, Any], set[str]]:
        """The same, worked out from the live originals alone."""
        world = World()
        for name in self.names():
            original = self.pipeline.stores.originals.find(self.settings.originals_bucket, name)
            if original is not None:
                content = self.pipeline.stores.originals.read(original)
                world.originals[original.bucket, name] = (original, content)
        documents, derived = oracle(world, self.settings)
        return documents, set(derived)


@pytest.mark.parametrize("fault", FAULTS)
def test_events_that_go_astray(running: BackgroundSuite, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Where none is lost the functions alone reach the oracle's state; where some are, one sweep does the rest."""
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    apps = Apps(running, f"user{list(FAULTS).index(fault)}")
    for rule in FAULTS[fault]:
        running.add_fault(rule)
    try:
        apps.act(Random(fault), actions=40)
        running.settled(60)
    finally:
        running.clear_faults()
    if "lost" in fault:
        assert apps.found() != apps.expected(), "the losses must have done harm, or this proves nothing"
        apps.sweep()
        running.settled(60)
    assert apps.found() == apps.expected()
    assert apps.found()[0], "something must be left to compare"
