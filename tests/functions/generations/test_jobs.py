"""Jobs about what the API has made: erase takes all of it, expiry ends what stands still."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from afterimage.generations.expire_versions import ASKED_AGAIN_AFTER, GIVEN_UP_AFTER, ExpireVersions
from afterimage.generations.records import VersionKey
from afterimage.jobs.erase import Erase
from afterimage.jobs.progress import Page, Turn
from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import DerivedFiles, MediaRecords, MediaStores
from afterimage.publications.publications import Publications
from afterimage.store.memory_files import MemoryFiles
from tests.functions.generations.workshop_world import WORST, MadeWorld
from tests.functions.media.test_once import SETTINGS


def run(turn: Any, request: dict[str, Any]) -> dict[str, int]:
    """All turns of a job."""
    cursor, counts = "", dict[str, int]()
    for _ in range(200):
        page: Page = turn(Turn(request=request, cursor=cursor, counts=counts))
        assert page.failures == ()
        for name, count in page.counts.items():
            counts[name] = counts.get(name, 0) + count
        if page.next_cursor is None:
            return counts
        cursor = page.next_cursor
    raise AssertionError("the job never ended")


def test_erasing_a_user_takes_projects_archives_outputs_and_budget() -> None:
    """Nothing of the user is left in documents or files, whatever a project is called; a neighbour keeps everything."""
    world = MadeWorld()
    stores = MediaStores(
        originals=world.files,
        derived=DerivedFiles(files=MemoryFiles(), bucket="derived"),
        records=MediaRecords(documents=world.documents),
    )
    for uid in ("ann", "anna"):
        world.budget(100 * WORST, uid)
        for project in (f"{uid}-shop", None):
            key = world.begun(uid, project)
            workshop = world.workshop()
            object.__setattr__(workshop, "bucket", SETTINGS.originals_bucket)
            workshop.work(key)
    before = len(world.documents.documents), len(world.files.files)
    erase = Erase(
        pipeline=Pipeline(stores=stores, settings=SETTINGS, workers=1),
        documents=world.documents,
        publications=Publications(documents=world.documents, has_cdn=False),
        page=2,
    )
    counts = run(erase.turn, {"uid": "ann"})
    assert counts["project files deleted"] == 2
    left = world.documents.documents
    assert [path for path in left if "ann" in path.split("/")] == ["usage/ann"]
    assert not [fields for fields, *_ in left.values() if fields.get("owner") == "ann"]
    assert (len(left) - 1, len(world.files.files)) == (before[0] // 2, before[1] // 2)


def test_the_nightly_look_at_archives_deletes_orphans_and_takes_up_what_was_restored() -> None:
    """An archive of no version goes; one that came back as another generation is offered again, in the version and, of
    the newest, in the generation; what no worker wrote, and what is as it should be, stays as it is."""
    world = MadeWorld()
    key = world.begun()
    world.workshop().work(key)
    second = world.opening().iteration(world.wish(), key.generation)
    world.workshop().work(second)
    gone = world.begun("bob")
    world.workshop().work(gone)
    for path in [path for path in world.documents.documents if "bob" in path]:
        world.documents.drop(path)
    world.files.put("b", "projects/p/generations/g/v1.tar.gz", b"a program's own", content_type="application/gzip")
    for (_, name), (file, data) in list(world.files.files.items()):
        if file.metadata.get("afterimage_version", "").startswith("alice"):
            world.files.put("b", name, data, content_type=file.content_type, metadata=file.metadata)
    job = ExpireVersions(workshop=world.workshop(), enqueue=lambda _key: None, now=world.now, page=1)
    assert run(job.turn, {}) == {}
    counts = run(job.turn, {"files": True})
    assert counts == {"archives seen": 3, "archives of no version deleted": 1, "archives taken up anew": 2}
    for each in (key, second):
        archive = world.documents.fields(each.path)["archive"]
        assert world.files.files["b", archive["name"]][0].generation == archive["generation"]
    assert world.head(key)["archive"] == world.documents.fields(second.path)["archive"]
    assert len(world.files.files) == 3
    assert run(job.turn, {"files": True}) == {"archives seen": 2, "as it should be": 2}


def test_what_nobody_took_up_is_asked_for_again_and_given_up_at_last() -> None:
    """A version whose task was lost goes to the queue once more; after two hours it ends, and its reservation."""
    world = MadeWorld()
    world.budget(100 * WORST)
    key = world.begun()
    done = world.begun("bob")
    world.workshop().work(done)
    # Anybody may own collections of this name elsewhere; they are nobody's versions.
    world.documents.put("users/eve/players/x/versions/000001", {"status": "processing"})
    asked: list[VersionKey] = []
    job = ExpireVersions(workshop=world.workshop(), enqueue=asked.append, now=world.now, page=1)
    assert run(job.turn, {}) == {"seen": 1}
    world.time += ASKED_AGAIN_AFTER + timedelta(seconds=1)
    assert run(job.turn, {}) == {"seen": 1, "asked again": 1}
    assert (asked, world.figures()) == ([key], (WORST, 0))
    assert asked[0].project == world.documents.fields(key.path)["project_id"]
    world.time += GIVEN_UP_AFTER
    assert run(job.turn, {}) == {"seen": 1, "failed": 1}
    assert run(job.turn, {}) == {}
    assert world.figures() == (0, 0)
    assert world.head(key)["status"] == "failed"
