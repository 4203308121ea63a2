"""One request to Drive: with a token that is renewed as it runs out, tried again where that is safe, faults sorted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import httpx2
import msgspec

from afterimage.edges.asked_wait import asked_wait
from afterimage.edges.drive.faults import (
    DriveBusyError,
    DriveFullError,
    DriveMissingError,
    DriveRefusedError,
    DriveThereError,
    LinkBrokenError,
)

_TIMEOUT_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3
_FIRST_WAIT_SECONDS: Final = 0.3
_RATE_REASONS: Final = frozenset(
    {"userRateLimitExceeded", "rateLimitExceeded", "dailyLimitExceeded", "sharingRateLimitExceeded"}
)
_FULL_REASONS: Final = frozenset({"storageQuotaExceeded", "activeItemCreationLimitExceeded"})
_MISSING_REASONS: Final = frozenset(
    {"appNotAuthorizedToFile", "insufficientFilePermissions", "insufficientParentPermissions", "fileNeverWritable"}
)
"""Somebody took the file out of this app's hands: to this app it is as good as gone."""
_SCOPE_REASONS: Final = frozenset({"insufficientPermissions", "appAccessDenied", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})


class AccessTokens(Protocol):
    """Access tokens of one user."""

    def token(self) -> str: ...

    def renewed(self, refused: str) -> str:
        """Another one than that which was refused."""
        ...


class _Reason(msgspec.Struct, frozen=True):
    """One of the reasons in Google's error body."""

    reason: str = ""


class _Error(msgspec.Struct, frozen=True):
    """What Google says went wrong."""

    message: str = ""
    errors: list[_Reason] = []


class _ErrorBody(msgspec.Struct, frozen=True):
    """Google's error body."""

    error: _Error = _Error()


def new_drive_client() -> httpx2.Client:
    return httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False)


@dataclass(frozen=True, kw_only=True)
class DriveExchange:
    """Sends the requests of one user."""

    tokens: AccessTokens
    client: httpx2.Client = field(default_factory=new_drive_client)
    wait: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        taken: Collection[int] = (),
        attempts: int = _ATTEMPTS,
    ) -> httpx2.Response:
        """The answer, if it is a success or one of those `taken`.

        What may not be sent twice without a look in between is sent with one attempt.
        """
        fault: DriveBusyError = DriveBusyError("was not asked")
        token = self.tokens.token()
        is_renewed = False
        attempt = 0
        while attempt < attempts:
            if attempt:
                self.wait(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            sent = {**(headers or {}), "Authorization": f"Bearer {token}"}
            try:
                answer = self.client.request(method, url, content=content, headers=sent)
            except httpx2.HTTPError as error:
                fault = DriveBusyError(f"no answer from `{httpx2.URL(url).host}`: {type(error).__name__}")
                attempt += 1
                continue
            if answer.is_success or answer.status_code in taken:
                return answer
            if answer.status_code == 401 and not is_renewed:
                # Refused unread: it ran out earlier than it said, and the same request may go with another.
                token, is_renewed = self.tokens.renewed(token), True
                continue
            refusal = self._refusal(answer)
            if not isinstance(refusal, DriveBusyError) or refusal.is_rate:
                raise refusal
            fault = refusal
            attempt += 1
        raise fault

    def _refusal(self, answer: httpx2.Response) -> Exception:
        status = answer.status_code
        error = _error_in(answer)
        reasons = {each.reason for each in error.errors}
        message = " ".join(error.message.split())[:200]
        told = f"`{httpx2.URL(answer.request.url).host}` answered {status} {' '.join(sorted(reasons))}: {message}"
        if status == 429 or (status == 403 and reasons & _RATE_REASONS):
            return DriveBusyError(told, retry_after=asked_wait(answer, self.now()), is_rate=True)
        if status >= 500 or status == 408:
            return DriveBusyError(told, retry_after=asked_wait(answer, self.now()))
        if status == 401 or (status == 403 and reasons & _SCOPE_REASONS):
            return LinkBrokenError(f"Google does not take the permission any more: {message or status}")
        if status == 403 and reasons & _FULL_REASONS:
            return DriveFullError("the user's room at Google is used up")
        if status == 404 or (status == 403 and reasons & _MISSING_REASONS):
            return DriveMissingError(told, reason=min(reasons, default=""))
        if status == 409:
            return DriveThereError(told, reason=min(reasons, default=""))
        return DriveRefusedError(told, reason=min(reasons, default=""))


def _error_in(answer: httpx2.Response) -> _Error:
    try:
        return msgspec.json.decode(answer.content, type=_ErrorBody).error
    except msgspec.DecodeError:
        return _Error(message=answer.text[:200])
