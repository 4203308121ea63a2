"""Keeps a local store and Firestore in step: pushes by compare-and-set, pulls by listening, merges field by field."""

from afterimage_client.sync.configuration import CollectionSyncConfig, content_configs
from afterimage_client.sync.engine import SyncEngine
from afterimage_client.sync.events import DocumentState, EventKind, SyncEvent, SyncStatus
from afterimage_client.sync.merging import UNRESOLVED
from afterimage_client.sync.remote import value_kinds
from afterimage_client.sync.repository import Repository

__all__ = [
    "UNRESOLVED",
    "CollectionSyncConfig",
    "DocumentState",
    "EventKind",
    "Repository",
    "SyncEngine",
    "SyncEvent",
    "SyncStatus",
    "content_configs",
    "value_kinds",
]
