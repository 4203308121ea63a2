"""Cloud Storage as a user, in Firebase's own dialect: transfers that resume, metadata, listings, download URLs."""

from __future__ import annotations

from afterimage_client.storage.downloads import Download
from afterimage_client.storage.metadata import Listing, NewMetadata, ObjectMetadata
from afterimage_client.storage.storage import Storage, StoredObject
from afterimage_client.storage.transfers import Progress, Transfer, TransferState
from afterimage_client.storage.uploads import Upload, UploadSession

__all__ = [
    "Download",
    "Listing",
    "NewMetadata",
    "ObjectMetadata",
    "Progress",
    "Storage",
    "StoredObject",
    "Transfer",
    "TransferState",
    "Upload",
    "UploadSession",
]
