"""The repository: here at once, in the cloud later, from the cloud where it is not here, and each hit told once."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from afterimage_client import FirestoreError
from afterimage_client.repository import CacheTTL, CloudAIRepository, ContentType, FileOutput
from afterimage_client.store import Store, StoreKey
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps
from tests.client.repository.conftest import Home, dialogue, home_of


async def test_a_save_is_here_at_once_and_in_the_cloud_later(home: Home) -> None:
    """Read before it was pushed; pushed once; then nothing waits."""
    home.repository.save_dialogue(dialogue())
    assert await home.stored("c_1") is None
    assert await home.repository.get_dialogue("c", "1") == "hello"
    report = await home.repository.sync_all()
    assert (len(report.done), home.repository.stats.size) == (2, 0)
    assert (await home.stored("c_1") or {})["text"] == "hello"
    assert await home.hits("c_1") == 1


async def test_many_saves_go_up_together(home: Home) -> None:
    """One worker takes with an entry what waits beside it: 1,200 saves are three commits, not 1,200."""
    home.repository.save_dialogues([dialogue("c", str(number)) for number in range(1200)])
    worker = CloudAIRepository(home.store, home.service, parallel=1)
    report = await worker.sync_all()
    assert len(report.done) == 3
    assert await home.app.firestore.collection(f"ai_outputs/{home.uid}/dialogues").count() == 1200


async def test_a_refused_save_stops_itself_alone(home: Home) -> None:
    """Among others that go up together, one that the rules refuse is a dead letter, and the others are saved."""
    home.repository.save_dialogue(dialogue("bad", "1", cost_usd=10_000.0))
    home.repository.save_dialogues([dialogue("c", str(number)) for number in range(3)])
    worker = CloudAIRepository(home.store, home.service, parallel=1)
    await worker.sync_all()
    assert await home.app.firestore.collection(f"ai_outputs/{home.uid}/dialogues").count() == 3
    (dead,) = home.store.queue.dead_letters()
    assert "permission-denied" in dead.reason
    assert await home.repository.get_dialogue("bad", "1") == "hello"


async def test_a_miss_asks_the_cloud_and_the_next_read_does_not(home: Home) -> None:
    """A store that has not got it takes an output from the cloud once, then has it, and both reads are hits."""
    await home.service.save_output(dialogue())
    assert await home.repository.get_dialogue("c", "1") == "hello"
    await home.app.firestore.document(f"ai_outputs/{home.uid}/dialogues/c_1").update({"text": "changed there"})
    assert await home.repository.get_dialogue("c", "1") == "hello"
    await home.repository.sync_all()
    assert await home.hits("c_1") == 2
    assert await home.repository.get_dialogue("c", "2") is None


async def test_a_copy_is_good_until_it_expires_then_the_cloud_is_asked(home: Home) -> None:
    """Each kind has a time of its own; what the cloud has no more goes from here."""
    home.repository.save_dialogue(dialogue())
    await home.repository.sync_all()
    reference = home.app.firestore.document(f"ai_outputs/{home.uid}/dialogues/c_1")
    await reference.update({"text": "changed there"})
    home.clock.advance(CacheTTL().dialogue - 1)
    assert await home.repository.get_dialogue("c", "1") == "hello"
    home.clock.advance(1)
    assert await home.repository.get_dialogue("c", "1") == "changed there"
    await reference.delete()
    home.clock.advance(CacheTTL().dialogue)
    assert await home.repository.get_dialogue("c", "1") is None
    assert home.repository.cache.get(ContentType.DIALOGUE, "c_1") is None


async def test_an_old_copy_will_do_without_a_network(apps: Apps, home: Home, tmp_path: Path) -> None:
    """Without a network an expired copy is better than none; what was never here is an error."""
    home.repository.save_dialogue(dialogue())
    await home.repository.sync_all()
    home.clock.advance(CacheTTL().dialogue)
    nowhere = dataclasses.replace(apps.endpoints, firestore="127.0.0.1:1")
    lost = await apps.open(endpoints=nowhere)
    await lost.auth.sign_in_anonymously()
    service = type(home.service)(lost.firestore, user_id=home.uid)
    repository = CloudAIRepository(home.store, service)
    assert await repository.get_dialogue("c", "1") == "hello"
    with pytest.raises(FirestoreError) as failure:
        await repository.get_dialogue("c", "2")
    assert failure.value.is_transient
    assert (await repository.sync_all()).is_offline
    assert [entry.attempts for entry in home.store.queue.entries()] == [0]


async def test_what_was_not_pushed_never_expires(home: Home) -> None:
    """Cleaning up takes what the cloud has, and nothing else."""
    home.repository.save_dialogue(dialogue("c", "pushed"))
    await home.repository.sync_all()
    home.repository.save_dialogue(dialogue("c", "waiting"))
    home.clock.advance(CacheTTL().dialogue)
    assert home.repository.remove_expired() == 1
    assert await home.repository.get_dialogue("c", "waiting") == "hello"
    await home.repository.sync_all()
    assert (await home.stored("c_waiting") or {})["text"] == "hello"


@pytest.mark.parametrize("applied", [True, False])
async def test_a_hit_whose_answer_was_lost_counts_once(home: Home, applied: bool) -> None:
    """Whether the write was applied or not: the version that was written down before it was sent tells."""
    await home.service.save_output(dialogue())
    for _ in range(3):
        await home.repository.get_dialogue("c", "1")
    path = f"ai_outputs/{home.uid}/dialogues/c_1"
    version = (await home.app.firestore.document(path).get()).update_time
    assert version is not None
    # As a process leaves it that was killed between sending a hit and hearing of it.
    with home.store.database.transaction() as transaction:
        transaction.execute("UPDATE output_hits SET sent = ?", (version.isoformat(),))
    if applied:
        await home.service.record_hit(path)
    await home.repository.sync_all()
    assert await home.hits("c_1") == 3


@pytest.mark.parametrize("action", ["apply_then_fail", "fail", "disconnect"])
async def test_answers_that_are_lost_on_the_way_change_no_count(home: Home, apps: Apps, action: str) -> None:
    """The same with real losses, several in a row: three reads are three hits."""
    await home.service.save_output(dialogue())
    for _ in range(3):
        await home.repository.get_dialogue("c", "1")
    apps.suite.add_fault(FaultRule(action=action, match={"method": "Commit"}, times=4, code=Code.UNAVAILABLE))
    try:
        for _ in range(8):
            await home.repository.sync_all()
    finally:
        apps.suite.clear_faults()
    assert await home.hits("c_1") == 3
    assert home.repository.stats.size == 0


async def test_hits_of_two_stores_all_count(home: Home, tmp_path: Path) -> None:
    """Both tell at the same time; whoever meets the other reads again."""
    other = home_of(home.app, tmp_path / "other.db")
    await home.service.save_output(dialogue())
    for _ in range(4):
        for each in (home, other):
            await each.repository.get_dialogue("c", "1")
    await home.repository.sync_all()
    await other.repository.sync_all()
    assert await home.hits("c_1") == 8
    other.store.close()


async def test_ids_that_meet_are_told_apart_here_too(home: Home) -> None:
    """The second of two outputs with one id is refused before it replaces the first."""
    home.repository.save_dialogue(dialogue("a_b", "c", "first"))
    with pytest.raises(FirestoreError, match="same id"):
        home.repository.save_dialogue(dialogue("a", "b_c", "second"))
    assert await home.repository.get_dialogue("a", "b_c") is None
    assert await home.repository.get_dialogue("a_b", "c") == "first"


async def test_two_users_of_one_file_see_their_own(apps: Apps, home: Home) -> None:
    """Neither reads the other's copies, nor pushes what the other saved."""
    home.repository.save_dialogue(dialogue())
    other = await apps.open()
    user = await other.auth.sign_in_anonymously()
    theirs = CloudAIRepository(home.store, type(home.service)(other.firestore, user_id=user.uid))
    assert await theirs.get_dialogue("c", "1") is None
    assert (await theirs.sync_all()).done == []
    assert home.store.queue.dead_letters() == []
    await home.repository.sync_all()
    assert (await home.stored("c_1") or {})["text"] == "hello"


async def test_other_kinds_are_kept_the_same_way(home: Home) -> None:
    """What is told of a picture is here at once, and its content is the path of its file."""
    output = FileOutput(content_type=ContentType.IMAGE, model="m", card_id="c", image_type="action", path="p")
    home.repository.save_output(output)
    cached = home.repository.cache.get(ContentType.IMAGE, "c_action")
    assert cached is not None
    assert (cached.id, cached.content_type, cached.content) == ("c_action", "image", "p")
    await home.repository.sync_all()
    assert (await home.stored("c_action", "images") or {})["path"] == "p"
    assert await home.repository.get_output(ContentType.IMAGE, output.parts) == output


async def test_a_sealed_store_shows_no_output(home: Home, tmp_path: Path) -> None:
    """Copies and what waits are sealed as documents are."""
    path = tmp_path / "sealed.db"
    store = Store(path, key=StoreKey.of_bytes(bytes(32)), clock=home.clock)
    repository = CloudAIRepository(store, home.service)
    repository.save_dialogue(dialogue(text="a word that nobody else says"))
    assert await repository.get_dialogue("c", "1") == "a word that nobody else says"
    store.close()
    found = subprocess.run(["grep", "-rl", "nobody else says", str(tmp_path)], capture_output=True, check=False)
    assert found.stdout == b""
