"""What can go wrong between here and Google, sorted by what helps."""

from __future__ import annotations

from datetime import timedelta

from afterimage.faults import PermanentError, TransientError


class DriveBusyError(TransientError):
    """Google does not take this now: too many requests, a fault of its own, or no answer at all."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None, is_rate: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_rate = is_rate
        """Whether there were too many requests: then all work for this user waits."""


class DriveFullError(TransientError):
    """The user's room at Google is used up; it passes when the user makes room, or buys some."""


class DriveRefusedError(PermanentError):
    """Google will not take this, however often it is asked."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class DriveMissingError(DriveRefusedError):
    """The file, revision or folder is not there, or this app may not see it any more."""


class DriveThereError(DriveRefusedError):
    """Something is there already under the id that was to be given."""


class SessionGoneError(TransientError):
    """The upload's session has run out; nothing of it was kept, and another one begins."""


class LinkBrokenError(PermanentError):
    """The user's permission is gone: taken back, run out, or never whole. Only the user can give it again."""


class KeyUnknownError(PermanentError):
    """What was sealed cannot be opened with the keys at hand."""
