"""The local store: one SQLite file of documents, their metadata, and everything that is still to be done."""

from afterimage_client.database.clock import Clock
from afterimage_client.database.errors import (
    InvalidDocumentError,
    RevisionChangedError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreKeyError,
    StoreVersionError,
)
from afterimage_client.database.file import Database, Schema
from afterimage_client.database.sealing import StoreKey
from afterimage_client.store.metadata import DownloadStatus, LocalMeta
from afterimage_client.store.operations import PatchOp
from afterimage_client.store.schema import COLLECTIONS
from afterimage_client.store.store import Store
from afterimage_client.store.transfers import TransferRow
from afterimage_client.store.watching import LocalQuery

__all__ = [
    "COLLECTIONS",
    "Clock",
    "Database",
    "DownloadStatus",
    "InvalidDocumentError",
    "LocalMeta",
    "LocalQuery",
    "PatchOp",
    "RevisionChangedError",
    "Schema",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreFullError",
    "StoreKey",
    "StoreKeyError",
    "StoreVersionError",
    "TransferRow",
]
