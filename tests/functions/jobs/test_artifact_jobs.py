"""The artifacts' jobs: page by page, delivered twice and cut off, they clear away, take over and put right."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.delivery.events import DocumentEvent
from afterimage.jobs.artifact_jobs import ArtifactCleanup, quota_audit_job
from afterimage.jobs.progress import Jobs
from afterimage.quota.audit import QuotaAuditor
from tests.functions.artifacts.desk import BUCKET, Desk
from tests.functions.jobs.job_runner import Topic, dying
from tests.functions.media_world import World


@dataclass
class Night:
    """The jobs over one desk, and what they say in the end."""

    desk: Desk = field(default_factory=Desk)
    alerts: list[DocumentEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(uploads=self.desk.uploads, store=self.desk.store)
        self.letters = DeadLetters(self.desk.store, now=lambda: self.desk.clock)

    def clean(self, seed: int = 0) -> dict[str, int]:
        job = ArtifactCleanup(collector=self.desk.collector, letters=self.letters, alert=self.alerts.append, page=2)
        return self._run("artifacts.cleanup", job.turn, {}, seed)

    def audit(self, seed: int = 0, **request: Any) -> dict[str, int]:
        auditor = QuotaAuditor(store=self.desk.store, collector=self.desk.collector)
        return self._run("quota.audit", quota_audit_job(auditor).turn, request, seed)

    def _run(self, kind: str, work: Any, request: dict[str, Any], seed: int) -> dict[str, int]:
        for path in [path for path in self.desk.store.documents if path.startswith("_jobs/")]:
            self.desk.store.drop(path)
        topic = Topic(self.world, kind)
        topic.messages.append((request, "begin"))
        dice = random.Random(seed)
        heal = dying(self.world, dice, 0.03) if seed else lambda: None
        topic.run(work, random=dice, duplicates=2 if seed else 1)
        heal()
        assert topic.job()["state"] == "done"
        return dict(topic.job()["counts"])


@pytest.mark.parametrize("seed", range(8))
def test_the_clean_up_leaves_what_is_needed_and_nothing_else(seed: int) -> None:
    """Released and stray bytes, lost events, ended reservations and letters, whatever dies on the way."""
    night = Night()
    desk = night.desk
    kept = [desk.save(b"kept %d" % number, name=f"{number}.txt").head.file for number in range(5)]
    for number in range(3):
        desk.library.remove("ana", desk.save(b"gone %d" % number, name="g.txt").head.file)
    lost, never = desk.announce(10), desk.announce(20)
    desk.send(lost, b"0123456789")
    refused = desk.send(desk.announce(5), b"\x7fELF!")
    attributes = {
        "id": "1", "type": "t", "source": "s", "time": "2026-11-01T00:00:00Z", "subject": refused.name,
    }  # fmt: skip
    event = {"bucket": BUCKET, "name": refused.name, "generation": str(refused.generation)}
    night.letters.record(
        DeadLetter.of(
            trigger="artifact_finalized",
            attributes=attributes,
            data=json.dumps(event).encode(),
            reason="r",
            at=desk.clock,
        )
    )
    desk.uploads.put(BUCKET, "artifacts/ana/blobs/" + "0b" * 32, b"stray", content_type="text/plain")
    desk.pass_time(hours=26)
    night.clean(seed)
    assert desk.faults() == []
    assert (desk.upload(lost)["state"], desk.upload(never)["state"]) == ("done", "expired")
    assert list(night.letters.open_letters(after="", limit=9)) == []
    assert len(desk.uploads.files) == len(kept) + 1
    assert desk.quota()["reserved_bytes"] == 0


def test_the_clean_up_says_what_it_did() -> None:
    """Counts by outcome; a file that cannot be decided about is named, and the others go on."""
    night = Night()
    night.desk.save(b"kept")
    night.desk.uploads.put(BUCKET, "artifacts/ana/blobs/" + "0c" * 32, b"stray", content_type="text/plain")
    night.desk.uploads.put(BUCKET, "artifacts/strange", b"", content_type="text/plain")
    night.desk.pass_time(hours=2)
    counts = night.clean()
    assert counts["left-over bytes deleted"] == 1
    assert counts["outside the grammar"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_audit_goes_from_user_to_user(seed: int) -> None:
    """All who have an account, or the one that is named; what is wrong is named, and put right unless not wanted."""
    night = Night()
    desk = night.desk
    for user in ("ana", "борис", "chen"):
        desk.save(b"some bytes", user=user)
    fields, created, updated = desk.store.documents["quota/борис"]
    desk.store.documents["quota/борис"] = ({**fields, "used_bytes": 1}, created, updated)
    assert night.audit(user="ana")["clean"] == 1
    assert night.audit(repair=False)["clean"] == 2
    assert desk.quota("борис")["used_bytes"] == 1
    night.audit(seed)
    assert desk.quota("борис")["used_bytes"] == 10
    assert desk.faults() == []
    assert night.audit() == {"users": 3, "clean": 3, "repaired": 0, "contents lost": 0}


def test_a_job_of_another_kind_is_not_mistaken_for_this_one() -> None:
    """An option nobody knows is refused: it was meant to change something."""
    night = Night()
    topic = Topic(night.world, "quota.audit")
    auditor = QuotaAuditor(store=night.desk.store, collector=night.desk.collector)
    jobs = Jobs(kind="quota.audit", documents=night.desk.store, publish=topic.publish)
    with pytest.raises(Exception, match="knows no `uid`"):
        jobs.receive({"uid": "ana"}, "m", quota_audit_job(auditor).turn)
