"""What can go wrong with a store, in words that say the way out."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do what it was asked; nothing was changed."""


class StoreBusyError(StoreError):
    """Another process held the file for longer than this one waits."""


class StoreFullError(StoreError):
    """The disk has no room; the transaction was rolled back."""


class StoreVersionError(StoreError):
    """The file was written by a newer version of this library."""


class StoreKeyError(StoreError):
    """The file is sealed with another key, or sealed where no key was given, or the other way round."""


class InvalidDocumentError(StoreError, ValueError):
    """A document or an operation that cannot be stored."""


class RevisionChangedError(StoreError):
    """The caller patched a revision that is no longer the current one."""

    def __init__(self, reference: str, asked: int, current: int | None) -> None:
        super().__init__(
            f"`{reference}` is at rev `{current}`, the patch was made on `{asked}`: read it and patch it again"
        )
        self.reference = reference
        self.asked = asked
        self.current = current
