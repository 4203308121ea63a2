"""Firebase for Python programs that are users: sign-in, Firestore and Storage, always under the security rules.

`FirebaseApp` is the beginning of everything; docs/client.md shows the rest.
"""

from __future__ import annotations

from afterimage_client.app import FirebaseApp
from afterimage_client.app_check import AppCheckToken, DebugAppCheckProvider
from afterimage_client.backoff import BackoffPolicy
from afterimage_client.errors import AppCheckError, AuthError, FirebaseError, FirestoreError, StorageError
from afterimage_client.options import Endpoints, FirebaseOptions

__all__ = [
    "AppCheckError",
    "AppCheckToken",
    "AuthError",
    "BackoffPolicy",
    "DebugAppCheckProvider",
    "Endpoints",
    "FirebaseApp",
    "FirebaseError",
    "FirebaseOptions",
    "FirestoreError",
    "StorageError",
]
