"""Firebase for Python programs that are users: sign-in, Firestore and Storage, always under the security rules.

`FirebaseApp` is the beginning of everything; docs/client.md shows the rest. What is imported here is loaded when it is
first asked for: a program that uses the local store or the queue alone loads no connection.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afterimage_client.app import FirebaseApp
    from afterimage_client.app_check import AppCheckToken, DebugAppCheckProvider
    from afterimage_client.backoff import BackoffPolicy
    from afterimage_client.blocking import BlockingApp
    from afterimage_client.errors import AppCheckError, AuthError, FirebaseError, FirestoreError, StorageError
    from afterimage_client.options import Endpoints, FirebaseOptions

_HOMES = {
    "app": ("FirebaseApp",),
    "app_check": ("AppCheckToken", "DebugAppCheckProvider"),
    "backoff": ("BackoffPolicy",),
    "blocking": ("BlockingApp",),
    "errors": ("AppCheckError", "AuthError", "FirebaseError", "FirestoreError", "StorageError"),
    "options": ("Endpoints", "FirebaseOptions"),
}

__all__ = [
    "AppCheckError",
    "AppCheckToken",
    "AuthError",
    "BackoffPolicy",
    "BlockingApp",
    "DebugAppCheckProvider",
    "Endpoints",
    "FirebaseApp",
    "FirebaseError",
    "FirebaseOptions",
    "FirestoreError",
    "StorageError",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"afterimage_client.{home}"), name)
    raise AttributeError(f"module `afterimage_client` has no `{name}`")
