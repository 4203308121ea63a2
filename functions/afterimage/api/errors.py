"""Refusals: what a caller is told when a request is not served, in one shape, whoever refuses."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct


class ErrorCode(StrEnum):
    """What a program can tell errors apart by."""

    AUTHENTICATION_FAILED = "AUTHENTICATION_FAILED"
    APP_CHECK_FAILED = "APP_CHECK_FAILED"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    CONFLICT = "CONFLICT"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    FORBIDDEN = "FORBIDDEN"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    INTERNAL = "INTERNAL"
    INVALID_FILE_TYPE = "INVALID_FILE_TYPE"
    INVALID_REQUEST = "INVALID_REQUEST"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_FOUND = "NOT_FOUND"
    RATE_LIMITED = "RATE_LIMITED"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    STORAGE_QUOTA_EXCEEDED = "STORAGE_QUOTA_EXCEEDED"
    SYNC_FAILED = "SYNC_FAILED"
    UNAVAILABLE = "UNAVAILABLE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"


STATUS_OF: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.AUTHENTICATION_FAILED: 401,
    ErrorCode.APP_CHECK_FAILED: 401,
    ErrorCode.BUDGET_EXCEEDED: 402,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.FILE_TOO_LARGE: 413,
    ErrorCode.REQUEST_TOO_LARGE: 413,
    ErrorCode.INVALID_FILE_TYPE: 415,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.SYNC_FAILED: 502,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.STORAGE_QUOTA_EXCEEDED: 507,
}
"""The HTTP status that carries each code."""


class ErrorBody(Struct, frozen=True, kw_only=True):
    """The body of every answer that is no success."""

    success: Literal[False] = False
    error: str
    """What went wrong, in one sentence."""
    detail: str
    """What to do about it, or where it went wrong; may be empty."""
    code: str


class ApiError(Exception):
    """Ends a request with an answer that says why; a handler raises it with nothing left half done."""

    def __init__(
        self, code: ErrorCode, error: str, detail: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.code = code
        self.error = error
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return STATUS_OF[self.code]

    @property
    def body(self) -> ErrorBody:
        return ErrorBody(error=self.error, detail=self.detail, code=self.code.value)
