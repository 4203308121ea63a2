"""Looking after the folder while it is served: settling, the journal, what has expired, jobs that are due."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from afterimage.store.documents import ConflictError, NoRoomError, Remove
from afterimage_client.database.errors import StoreError
from afterimage_server.doors.upload_sessions import UploadSessions
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.work.machine_jobs import jobs_due
from afterimage_server.work.tasks import Tasks

logger = logging.getLogger("afterimage_server.tending")
EXPIRING: Final = (
    "_allowances", "_driveBegun", "_events", "_jobs", "_limits", "_operations", "_purges", "blobs", "uploads", "usage",
)  # fmt: skip
"""Collections whose documents say when they may go, as `firestore.indexes.json` has them deleted in the cloud."""
LEFT_ALONE_SECONDS: Final = 3600.0
"""A file without a row that is younger may be about to get one, by another process."""
LOOK_EVERY_SECONDS: Final = 2.0
_SETTLED_AT_ONCE: Final = 50


@dataclass(kw_only=True)
class Tending:
    """One thread's work; `look` does what is due, and whoever wants it at once calls it."""

    folder: MachineFolder
    tasks: Tasks
    sessions: UploadSessions
    cache_folder: Path
    cache_for: timedelta
    cleans_up: bool = True
    """Whether the cache is emptied of what nobody has read for its time, and old bytes are let go of."""
    let_go: Callable[[], int] = lambda: 0
    """Lets go of old bytes that the cloud has too; says of how many files."""
    clock: Callable[[], float] = time.time
    _due: frozenset[tuple[str, str]] = frozenset()
    _hour: int = -1
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="tending", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.folder.journal.flush()

    def look(self) -> None:
        for held in self.folder.keeping.unsettled(_SETTLED_AT_ONCE):
            self.folder.keeping.settle(held)
        self.folder.tend_journal()
        now = self.clock()
        due = frozenset(jobs_due(now))
        for topic, name in sorted(due - self._due):
            self.tasks.publish(topic, {"job": name})
        if due != self._due:
            # What was booked apart while many bookings of one user came together; nearly always there is none.
            self.tasks.jobs.bookkeeping.roll_up.empty_buckets()
        self._due = due
        if int(now // 3600) != self._hour:
            self._hour = int(now // 3600)
            self.tidy()

    def tidy(self) -> None:
        """What is due once an hour: expired documents, uploads that nobody finishes, the cache, old bytes."""
        gone = self.forget_expired()
        self.folder.erasures.forget_old(self.clock())
        ended, cached = self.sessions.forget_old(), self._empty_cache() if self.cleans_up else 0
        away = self.let_go() if self.cleans_up else 0
        swept = self.folder.keeping.sweep(older_than_seconds=LEFT_ALONE_SECONDS)
        if swept:
            logger.info("%d files of writes that nobody was told of were swept", swept)
        if gone or ended or cached or away:
            said = "%d documents expired, %d uploads ended, %d cached files deleted, %d old files let go of"
            logger.info(said, gone, ended, cached, away)

    def forget_expired(self) -> int:
        now = datetime.fromtimestamp(self.clock(), UTC)
        gone = 0
        for group in EXPIRING:
            for document in self.folder.documents.expired(group, now):
                try:
                    self.folder.documents.commit([Remove(path=document.path, expected=document.version)])
                    gone += 1
                except ConflictError:
                    continue
        return gone

    def _empty_cache(self) -> int:
        """Cached files that nobody has read for their time."""
        if not self.cache_folder.is_dir():
            return 0
        oldest = self.clock() - self.cache_for.total_seconds()
        old = [path for path in self.cache_folder.iterdir() if path.is_file() and path.stat().st_mtime < oldest]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_SECONDS):
            try:
                self.look()
            except (StoreError, NoRoomError, OSError) as error:
                # A full disk or a busy file passes, or somebody reads this line.
                logger.warning("the folder cannot be looked after now: %s", error)
            except Exception:
                # Every kind: the next look must come, whatever this one met.
                logger.exception("looking after the folder failed")
