"""The jobs of one machine, and when each begins by itself: they are those of the cloud, over this folder's stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from afterimage.artifacts.collector import Collector
from afterimage.delivery.dead_letters import DeadLetters
from afterimage.edges.drive.links.links import DriveLinks
from afterimage.generations.expire_versions import ExpireVersions
from afterimage.generations.records import VersionKey
from afterimage.generations.working import Workshop
from afterimage.jobs import ledger_jobs
from afterimage.jobs.artifact_jobs import ArtifactCleanup, quota_audit_job
from afterimage.jobs.erase import Erase
from afterimage.jobs.ledger_jobs import PerUser
from afterimage.jobs.progress import Work
from afterimage.jobs.replay import Replay
from afterimage.ledger.closing import Closing
from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import media_stores
from afterimage.paths import is_document_id
from afterimage.publications.publications import Publications
from afterimage.quota.audit import QuotaAuditor
from afterimage.settings import Settings
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.work.bookkeeping import Bookkeeping
from afterimage_server.work.erasing import EraseHere, ForgetUser

ERASE: Final = "user.erase"
BY_TURN: Final[Mapping[str, str]] = {
    "versions.expire": "%Y-%m-%dT%H-%M",
    "artifacts.cleanup": "%Y-%m-%d",
    "ledger.audit": "%Y-%m-%d",
    "ledger.close-day": "%Y-%m-%d",
    "quota.audit": "%Y-%m-%d",
}
"""How often each job begins by itself, as what its name changes by; minutes are fives. The others are asked for."""


@dataclass(frozen=True, kw_only=True)
class MachineJobs:
    """What the jobs of one folder work with."""

    folder: MachineFolder
    settings: Settings
    workshop: Callable[[], Workshop]
    collector: Callable[[], Collector]
    bookkeeping: Bookkeeping
    cache_folder: Path
    forget_user: Sequence[ForgetUser]
    """What keeps something of a user beside documents and files."""
    drive_links: DriveLinks | None = None
    """None where no user can link a Google Drive."""

    def works(self, enqueue_version: Callable[[VersionKey], None]) -> Mapping[str, Callable[[], Work]]:
        """By topic, what makes the work of one turn."""
        documents, books = self.folder.documents, self.bookkeeping
        found: dict[str, Callable[[], Work]] = {
            "versions.expire": lambda: ExpireVersions(workshop=self.workshop(), enqueue=enqueue_version).turn,
            "artifacts.cleanup": lambda: (
                ArtifactCleanup(collector=self.collector(), letters=self._letters(), alert=lambda _event: None).turn
            ),
            "quota.audit": lambda: quota_audit_job(QuotaAuditor(store=documents, collector=self.collector())).turn,
            ERASE: lambda: self._erase().turn,
            "media.replay": lambda: Replay(pipeline=self._pipeline(), letters=self._letters()).turn,
            "ledger.replay": lambda: ledger_jobs.LedgerReplay(auditor=books.auditor, letters=self._letters()).turn,
            "ledger.audit": lambda: self._per_user("ledger.audit", ledger_jobs.audit_of(books.auditor)).turn,
            "ledger.close-day": lambda: (
                self._per_user(
                    "ledger.close-day", ledger_jobs.close_day_of(Closing(store=documents), books.roll_up)
                ).turn
            ),
        }
        links = self.drive_links
        if links is not None:
            from afterimage.edges.drive.keys.key_rotation import RewrapJob

            found["drive.rewrap"] = lambda: RewrapJob(links=links).turn
        return found

    def _per_user(self, name: str, work: ledger_jobs.Checked) -> PerUser:
        return PerUser(name=name, store=self.folder.documents, work=work, options={"repair": bool})

    def _letters(self) -> DeadLetters:
        return DeadLetters(self.folder.documents, keep_for=self.settings.keep_finished_for)

    def _pipeline(self) -> Pipeline:
        """Nothing is derived here; a file's record and pictures go with it where the cloud's once came here."""
        stores = media_stores(self.folder.files, self.folder.documents, self.settings.derived_bucket)
        return Pipeline(stores=stores, settings=self.settings)

    def _erase(self) -> EraseHere:
        erase = Erase(
            pipeline=self._pipeline(),
            documents=self.folder.documents,
            publications=Publications(documents=self.folder.documents, has_cdn=False),
            drive_links=self.drive_links,
        )
        return EraseHere(erase=erase, folder=self.folder, cache_folder=self.cache_folder, forget_user=self.forget_user)


def jobs_due(now: float) -> list[tuple[str, str]]:
    """The topic and the name of each job of this moment: a name that has run already runs no more."""
    moment = datetime.fromtimestamp(now - now % timedelta(minutes=5).total_seconds(), UTC)
    due = [(topic, f"{topic}-{moment.strftime(pattern)}") for topic, pattern in BY_TURN.items()]
    assert all(is_document_id(name) for _, name in due)
    return due
