"""Brings what users save to their Google Drives, in a thread of its own: in the cloud, triggers and a schedule do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Final

from afterimage.artifacts.drive_notes import WAITING
from afterimage.drive_paths import DRIVE_QUEUE
from afterimage.edges.drive.mirroring.queue import DriveQueue
from afterimage_client.database import FileTransaction
from afterimage_server.store.erasures import Erasures
from afterimage_server.store.local_documents import DocumentChanged

logger = logging.getLogger("afterimage_server.drive")
LOOK_EVERY_SECONDS: Final = 15.0
"""How soon after its time what was postponed is looked at; what is new wakes the thread by itself."""


class DriveThread:
    """Starts, wakes and stops the work of one queue."""

    def __init__(
        self, queue: DriveQueue, erasures: Erasures, *, look_every_seconds: float = LOOK_EVERY_SECONDS
    ) -> None:
        self._queue = queue
        self._erasures = erasures
        self._look_every = look_every_seconds
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drive", daemon=True)

    def start(self) -> None:
        """Whoever starts is alone in the folder: what a killed process had claimed goes on at once."""
        released = self._queue.release_claims()
        if released:
            logger.info("%d files were on their way to Drive and go on", released)
        self._thread.start()

    def stop(self) -> None:
        """Calls off what runs, which ends between two steps and goes on at the next start."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def documents_changed(self, transaction: FileTransaction, changes: Sequence[DocumentChanged]) -> None:
        """Wakes the thread once a note is committed that wants something new."""
        for change in changes:
            if change.path.startswith(f"{DRIVE_QUEUE}/") and _wants_more(change):
                transaction.after_commit(self._woken.set)
                return

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                with self._erasures.work():
                    counts = self._queue.run(is_called_off=self._stopped.is_set)
            except Exception:
                # Every kind: a busy folder or a full disk passes, and the notes are still there at the next look.
                logger.exception("the work for Drive was cut short")
            else:
                if counts:
                    logger.info("drive: %s", counts)
            if not self._stopped.is_set():
                self._woken.wait(self._look_every)


def _wants_more(change: DocumentChanged) -> bool:
    after, before = change.after, change.before or {}
    return after is not None and after.get("state") == WAITING and after.get("wants") != before.get("wants")
