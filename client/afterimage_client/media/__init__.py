"""Files that documents name: moved through the queue, kept in a folder of limited size, shown step by step."""

from __future__ import annotations

from afterimage_client.media.cache import CachedFile, MediaCache, RepairReport
from afterimage_client.media.library import MediaLibrary, Step, StepKind
from afterimage_client.media.records import MediaRecord, Variant, object_id, record_path
from afterimage_client.media.shrinking import smaller_webp
from afterimage_client.media.transfers import MediaTransfers
from afterimage_client.store.transfers import ASKED_FOR, PREFETCH, VISIBLE

__all__ = [
    "ASKED_FOR",
    "PREFETCH",
    "VISIBLE",
    "CachedFile",
    "MediaCache",
    "MediaLibrary",
    "MediaRecord",
    "MediaTransfers",
    "RepairReport",
    "Step",
    "StepKind",
    "Variant",
    "object_id",
    "record_path",
    "smaller_webp",
]
