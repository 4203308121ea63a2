"""The deployed functions in their own processes, with events lost, repeated and shuffled: the end is the oracle's."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from google.cloud import firestore, pubsub_v1, storage
from PIL import Image

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import media_stores
from afterimage.settings import read_settings
from afterimage.store.cloud_files import CloudFiles
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage.store.memory_documents import MemoryDocuments
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.suite import Suite
from tests.functions.jobs.test_nights import NIGHTS
from tests.functions.media.pictures import encoded
from tests.functions.media.test_once import oracle, settled
from tests.functions.media_world import World
from tests.waiting import waited_for

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
    suite = Suite(configuration, only=("firestore", "storage", "auth", "pubsub", "functions"), free_ports=True)
    with BackgroundSuite(suite) as running:
        yield running


class Apps:
    """Clients that store, overwrite and delete, and the view of an operator on what has become of it."""

    def __init__(self, suite: BackgroundSuite, uid: str) -> None:
        self.suite, self.uid = suite, uid
        self.settings = read_settings({"GCLOUD_PROJECT": suite.project_id})
        self.storage = storage.Client(project=suite.project_id)
        self.firestore = firestore.Client(project=suite.project_id)
        stores = media_stores(
            CloudFiles(self.storage), FirestoreDocuments(self.firestore), self.settings.derived_bucket
        )
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

    def act_unheard(self) -> None:
        """Every event of what is done here is lost."""
        self.suite.add_fault(FaultRule(action="drop"))
        try:
            self.act(Random(5), actions=6)
            self.suite.settled(60)
        finally:
            self.suite.clear_faults()
        assert self.found()[0] == {}

    def start(self, topic: str, job: str, **request: Any) -> dict[str, Any]:
        """Publishes a job's message, twice, as an operator's nervous finger does; returns the job when it is done."""
        publisher = pubsub_v1.PublisherClient()
        body = json.dumps({"job": job, **request}).encode()
        for _ in range(2):
            publisher.publish(publisher.topic_path(self.suite.project_id, topic), body).result(timeout=30)
        self.suite.settled(60)
        return self.firestore.document(f"_jobs/{job}").get().to_dict() or {}

    def found(self) -> tuple[dict[str, Any], set[str]]:
        """Records and derived files of this user, as they are."""
        documents = {
            f"users/{self.uid}/objects/{document.id}": (document.to_dict() or {}, 0, 0)
            for document in self.firestore.collection(f"users/{self.uid}/objects").stream()
        }
        prefix = f"{self.settings.originals_bucket}/users/{self.uid}/"
        files = {blob.name for blob in self.storage.list_blobs(self.settings.derived_bucket, prefix=prefix)}
        return settled(World(store=MemoryDocuments(documents=documents))), files

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


@pytest.fixture
def environment(running: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The official SDKs find the suite."""
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("fault", FAULTS)
def test_events_that_go_astray(running: BackgroundSuite, fault: str) -> None:
    """Where none is lost the functions alone reach the oracle's state; where some are, one sweep does the rest."""
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
        assert apps.start("media.sweep", f"sweep-{apps.uid}")["state"] == "done"
    assert apps.found() == apps.expected()
    assert apps.found()[0], "something must be left to compare"


@pytest.mark.usefixtures("environment")
def test_recorded_events_are_made_good_by_one_message(running: BackgroundSuite) -> None:
    """`media.replay`, started over Pub/Sub, derives what was recorded instead of handled, and closes the letters."""
    apps = Apps(running, "rae")
    apps.act_unheard()
    letters = DeadLetters(FirestoreDocuments(apps.firestore))
    bucket = apps.settings.originals_bucket
    live = list(apps.storage.list_blobs(bucket, prefix="users/rae/"))
    for number, blob in enumerate(live):
        data = {"bucket": bucket, "name": blob.name, "generation": str(blob.generation)}
        attributes = {"id": f"rae-{number}", "type": "t", "source": "s", "time": "2026-11-01T00:00:00Z"}
        letters.record(
            DeadLetter.of(
                trigger="media_finalized", attributes=attributes, data=data, reason="too old", at=datetime.now(UTC)
            )
        )
    # The message comes twice and both may be at work at once, so who settled which is chance; the end is not.
    assert apps.start("media.replay", "replay-rae")["state"] == "done"
    assert apps.found() == apps.expected() != ({}, set())
    still_open = letters.open_letters(after="", limit=50)
    readable = [one for one in still_open if isinstance(one, DeadLetter)]
    assert [one for one in readable if one.attributes["id"].startswith("rae-")] == []
    assert readable == still_open


@pytest.mark.usefixtures("environment")
def test_a_user_is_erased_by_one_message(running: BackgroundSuite) -> None:
    """Files, what was derived, and documents go; a neighbour whose id begins the same keeps everything."""
    gone, stays = Apps(running, "eve"), Apps(running, "evelyn")
    for apps in (gone, stays):
        apps.act(Random(apps.uid), actions=6)
        apps.firestore.document(f"ai_outputs/{apps.uid}/dialogues/one").set({"text": "x"})
        shared = apps.storage.bucket(apps.settings.originals_bucket).blob(f"media/{apps.uid}/map.png")
        shared.metadata = {"owner": apps.uid}
        shared.upload_from_string(PICTURES[0], "image/jpeg")
    running.settled(60)
    objects = gone.firestore.collection("mediaObjects")
    assert {one.get("owner") for one in objects.stream()} >= {"eve", "evelyn"}
    before = stays.found()
    job = gone.start("user.erase", "erase-eve", uid="eve")
    assert job["state"] == "done"
    assert gone.found() == ({}, set())
    assert not gone.firestore.document("ai_outputs/eve/dialogues/one").get().exists
    # The deletes above were events too, some of which came after the books had gone: they must not open them again.
    running.settled(60)
    books = gone.firestore.document("usage/eve")
    assert set(books.get().to_dict() or {}) == {"erased_at", "expires_at"}
    assert list(books.collections()) == []
    assert stays.firestore.document("usage/evelyn").get().get("total_generations") == 1
    owners = {one.get("owner") for one in objects.stream()}
    assert ("eve" in owners, "evelyn" in owners) == (False, True)
    assert stays.found() == before == stays.expected()


@pytest.mark.usefixtures("environment")
def test_a_backfill_first_counts_then_derives_what_events_have_missed(running: BackgroundSuite) -> None:
    """A dry run leaves everything as it was; the same request without it derives, and then finds nothing more."""
    apps = Apps(running, "bea")
    apps.act_unheard()
    dry = apps.start("media.backfill", "dry", prefix="users/bea/", dry_run=True)
    assert dry["counts"]["would derive"] == len(apps.expected()[0]) > 0
    assert apps.found()[0] == {}
    assert apps.start("media.backfill", "wet", prefix="users/bea/")["counts"]["settled"] > 0
    assert apps.found() == apps.expected()
    again = apps.start("media.backfill", "again", prefix="users/bea/")["counts"]
    assert again["seen"] == again["as it should be"]


@pytest.mark.soak
@pytest.mark.usefixtures("environment")
def test_a_job_that_dies_in_the_middle_of_its_turn_leaves_the_others_of_that_night_alone(
    running: BackgroundSuite,
) -> None:
    """One hangs in the middle of a commit while the others end; its process is killed, and it ends like them."""
    apps = Apps(running, "nina")
    apps.act(Random(1), actions=6)
    running.settled(60)
    topics = sorted({topic for night in NIGHTS.values() for topic in night})
    # Behind the commits with which most jobs open their documents: whichever comes then never gets its answer.
    running.add_fault(
        FaultRule(
            action="stall", match={"service": "firestore", "method": "Commit"}, skip=len(topics), times=1, seconds=3600
        )
    )
    publisher = pubsub_v1.PublisherClient()
    for topic in topics:
        path = publisher.topic_path(running.project_id, topic)
        publisher.publish(path, json.dumps({"job": f"{topic}-night"}).encode()).result(timeout=30)

    def states() -> dict[str, str]:
        documents = [apps.firestore.document(f"_jobs/{topic}-night").get() for topic in topics]
        return {document.id: (document.to_dict() or {}).get("state", "") for document in documents}

    def has_struck() -> bool:
        [fault] = running.call(lambda: running.suite.faults.listing())
        return bool(fault["struck"])

    # A schedule of that minute may be the one that hangs; then all of the night's are done.
    waited_for(lambda: has_struck() and list(states().values()).count("done") >= len(topics) - 1)
    hung = [job for job, state in states().items() if state != "done"]
    running.clear_faults()
    os.kill(process_of_functions(), signal.SIGKILL)
    running.settled(60)
    assert set(states().values()) == {"done"}, hung
    letters = DeadLetters(FirestoreDocuments(apps.firestore)).open_letters(after="", limit=50)
    assert letters == []


def process_of_functions() -> int:
    """The process that the suite has started for the functions, which this one's tests are in."""
    return max(family_of_functions().items(), key=lambda process: process[1])[0]


def memory_of_functions_mib() -> int:
    """What the largest process started by this one holds."""
    return max(family_of_functions().values())


def family_of_functions() -> dict[int, int]:
    """Processes started by this one, and what each holds in MiB."""
    parents, sizes = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError, IndexError):
            text = status.read_text()
            parents[int(status.parent.name)] = int(text.partition("PPid:")[2].split()[0])
            sizes[int(status.parent.name)] = int(text.partition("VmRSS:")[2].split()[0]) // 1024
    family = {os.getpid()}
    for _ in parents:
        family |= {pid for pid, parent in parents.items() if parent in family}
    return {pid: sizes.get(pid, 0) for pid in family - {os.getpid()}}


@pytest.mark.soak
@pytest.mark.usefixtures("environment")
def test_a_burst_of_two_hundred_uploads_loses_none_and_keeps_memory_flat(running: BackgroundSuite) -> None:
    """Every picture ends as a settled record, and the second hundred takes no more memory than the first."""
    apps = Apps(running, "burst")
    bucket = apps.storage.bucket(apps.settings.originals_bucket)
    picture = encoded(Image.effect_noise((1000, 750), 30).convert("RGB"), "JPEG")
    held = []
    for first in (0, 100):
        with ThreadPoolExecutor(8) as pool:
            names = [f"users/burst/ai_generated/images/{first + at}_portrait.jpg" for at in range(100)]
            list(pool.map(lambda name: bucket.blob(name).upload_from_string(picture, "image/jpeg"), names))
        running.settled(300)
        held.append(memory_of_functions_mib())
    found = [document.to_dict() or {} for document in apps.firestore.collection("users/burst/objects").stream()]
    assert len(found) == 200
    assert {document["status"] for document in found} == {"ready"}
    sys.stdout.write(f"memory of the largest function process: {held[0]} MiB after 100, {held[1]} MiB after 200\n")
    assert held[1] <= held[0] * 1.15 + 10, held
