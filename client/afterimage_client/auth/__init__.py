"""Sign-in as a Firebase user through Identity Toolkit: who is signed in, with a token that is always good."""

from __future__ import annotations

from afterimage_client.auth.auth import Auth
from afterimage_client.auth.persistence import FileStore, KeyringStore, MemoryStore, SessionStore, default_store
from afterimage_client.auth.session import User

__all__ = ["Auth", "FileStore", "KeyringStore", "MemoryStore", "SessionStore", "User", "default_store"]
