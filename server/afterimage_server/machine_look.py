"""How one machine is: names and plain values, for people, programs and Prometheus alike."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from afterimage_client.queue import DurableQueue
from afterimage_server.cloud.outbox import CLOUD_KINDS
from afterimage_server.configuration import ServerSettings
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.work.worker_thread import WorkerThread

WARN_FROM_PERCENT: Final = (80, 90, 95)


@dataclass(frozen=True, kw_only=True)
class MachineLook:
    """Looks when it is called."""

    settings: ServerSettings
    folder: MachineFolder
    queue: DurableQueue
    worker: WorkerThread
    """The one that goes to the cloud, where there is one."""
    began: float = field(default_factory=time.time)

    def __call__(self) -> dict[str, Any]:
        stats = self.queue.stats()
        held, limit = self.folder.files.bytes_held(), self.settings.most_bytes
        disk = shutil.disk_usage(self.folder.path)
        documents = self.folder.database.row("SELECT count(*) FROM documents") or (0,)
        files = self.folder.database.row("SELECT count(*) FROM files") or (0,)
        percent = round(100 * held / limit, 2)
        return {
            "uptime_seconds": round(time.time() - self.began, 1),
            "documents": documents[0],
            "files": files[0],
            "bytes_held": held,
            "bytes_limit": limit,
            "usage_percentage": percent,
            "disk_free_bytes": disk.free,
            "queue_pending": stats.pending,
            "queue_in_progress": stats.in_progress,
            "queue_failed": stats.failed,
            "queue_oldest_seconds": round(time.time() - stats.oldest, 1) if stats.oldest is not None else 0,
            "is_offline": self.worker.is_offline,
            "is_sealed": self.folder.vault.is_sealed,
            "cloud_storage_enabled": self.settings.uses_cloud,
            "not_in_cloud": sum(stats.by_kind.get(kind, 0) for kind in CLOUD_KINDS),
            "conflicts": self._conflicts(),
            "warnings": self._warnings(percent, disk.free, stats.failed),
            "rescued": asdict(self.folder.rescue) if self.folder.rescue is not None else None,
        }

    def _conflicts(self) -> int:
        if not self.settings.uses_cloud:
            return 0
        found = self.folder.database.row("SELECT count(*) FROM cloud_conflicts")
        return int(found[0]) if found is not None else 0

    def _warnings(self, percent: float, free: int, failed: int) -> list[str]:
        found = []
        reached = [level for level in WARN_FROM_PERCENT if percent >= level]
        if reached:
            found.append(f"the folder is {percent} % full: clean up, or raise MAX_LOCAL_STORAGE_GB")
        if free < self.settings.most_bytes // 20:
            found.append(f"the disk has {free} bytes left, less than a twentieth of what the folder may hold")
        conflicts = self._conflicts()
        if conflicts:
            found.append(f"{conflicts} documents were changed in the cloud too: see `GET /local/conflicts`")
        if failed:
            found.append(f"{failed} entries of the queue were given up: see `GET /local/queue`")
        if self.folder.rescue is not None:
            found.append("the database was broken at the start and was made anew: see `rescued`")
        return found
