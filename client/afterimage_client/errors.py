"""Owns the errors that callers see: a code in Firebase's words, what happened, and the way out."""

from __future__ import annotations


class FirebaseError(Exception):
    """Something that Firebase refused or that could not be asked of it.

    `code` is Firebase's own, without its service: `permission-denied`, `wrong-password`, `object-not-found`.
    `is_transient` says that the same request may succeed later, unchanged.
    """

    service = "app"

    def __init__(self, code: str, message: str, *, way_out: str = "", is_transient: bool = False) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.way_out = way_out
        self.is_transient = is_transient

    def __str__(self) -> str:
        text = f"{self.service}/{self.code}: {self.message}"
        return f"{text}; {self.way_out}" if self.way_out else text


CLOSED = ("app-deleted", "the app was closed")
"""Code and message of what is asked of an app after its end; the way out is another app."""


class AuthError(FirebaseError):
    """A refused sign-in, or a session that has ended. Codes are those of Firebase's own SDKs (`auth/…`)."""

    service = "auth"


class AppCheckError(FirebaseError):
    """The App Check provider gave no token."""

    service = "app-check"


class FirestoreError(FirebaseError):
    """A refused or failed Firestore call.

    `is_outcome_unknown` is true where the answer to a write was lost: the write may have been applied, so reading
    the document again is the only way to know.
    """

    service = "firestore"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        way_out: str = "",
        is_transient: bool = False,
        is_outcome_unknown: bool = False,
    ) -> None:
        super().__init__(code, message, way_out=way_out, is_transient=is_transient)
        self.is_outcome_unknown = is_outcome_unknown


class StorageError(FirebaseError):
    """A refused or failed transfer, or a checksum that does not fit."""

    service = "storage"


class WorkerError(FirebaseError):
    """A generation that is refused, or that somebody else has ended or taken over.

    Codes: `unauthenticated`, `permission-denied`, `invalid-request`, `already-exists`, `in-progress`, `lost`,
    `failed`, `unavailable`.
    """

    service = "worker"
