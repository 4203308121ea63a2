"""What a user is told when something cannot be kept or found: a kind that a program can tell apart, and a sentence."""

from __future__ import annotations

from enum import StrEnum

from afterimage.faults import PermanentError


class RefusalKind(StrEnum):
    """Why something was refused; the values are what clients see."""

    INVALID_REQUEST = "INVALID_REQUEST"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    INVALID_FILE_TYPE = "INVALID_FILE_TYPE"
    STORAGE_QUOTA_EXCEEDED = "STORAGE_QUOTA_EXCEEDED"


class RefusedError(PermanentError):
    """The answer is no: nothing was changed, and asking again in the same way gets the same answer."""

    def __init__(self, kind: RefusalKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def invalid(sentence: str) -> RefusedError:
    return RefusedError(RefusalKind.INVALID_REQUEST, sentence)


def not_found(sentence: str) -> RefusedError:
    return RefusedError(RefusalKind.NOT_FOUND, sentence)


def in_the_way(sentence: str) -> RefusedError:
    """What is there forbids it; once that has changed, the same may succeed."""
    return RefusedError(RefusalKind.CONFLICT, sentence)
