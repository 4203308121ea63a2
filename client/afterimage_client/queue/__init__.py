"""One durable queue for all that must happen later: in order per key, parallel across, never lost, never twice."""

from afterimage_client.queue.durable import DurableQueue
from afterimage_client.queue.entries import Entry, EntryStatus, OfflineError, PostponedError, QueueStats, RefusedError
from afterimage_client.queue.schema import QUEUE_SCHEMA
from afterimage_client.queue.worker import QueueWorker, SyncReport

__all__ = [
    "QUEUE_SCHEMA",
    "DurableQueue",
    "Entry",
    "EntryStatus",
    "OfflineError",
    "PostponedError",
    "QueueStats",
    "QueueWorker",
    "RefusedError",
    "SyncReport",
]
