"""The ways in which a storage request can fail: reasons as Cloud Storage names them, free of any transport."""

from __future__ import annotations

from enum import StrEnum

from afterimage_emulator.status import Code, StatusError


class Reason(StrEnum):
    """Why a request was refused; the values are what Cloud Storage prints as `reason`."""

    INVALID = "invalid"
    REQUIRED = "required"
    LOGIN_REQUIRED = "authError"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "notFound"
    CONFLICT = "conflict"
    GONE = "gone"
    CONDITION_NOT_MET = "conditionNotMet"
    NOT_MODIFIED = "notModified"
    RANGE_NOT_SATISFIABLE = "requestedRangeNotSatisfiable"
    UPLOAD_CANCELLED = "uploadCancelled"
    TOO_LARGE = "uploadTooLarge"
    RETENTION_NOT_MET = "retentionPolicyNotMet"
    KEY_ALGORITHM_INVALID = "customerEncryptionAlgorithmIsInvalid"
    KEY_FORMAT_INVALID = "customerEncryptionKeyFormatIsInvalid"
    KEY_HASH_INVALID = "customerEncryptionKeySha256IsInvalid"
    KEY_INCORRECT = "customerEncryptionKeyIsIncorrect"
    KEY_REQUIRED = "resourceIsEncryptedWithCustomerEncryptionKey"
    NOT_ENCRYPTED = "resourceNotEncryptedWithCustomerEncryptionKey"
    TOO_MANY_ENTRIES = "tooManyAccessControlEntries"
    DISK_FULL = "insufficientStorage"
    NOT_IMPLEMENTED = "notImplemented"
    BACKEND_ERROR = "backendError"
    RATE_LIMITED = "rateLimitExceeded"


_CODES = {
    Reason.LOGIN_REQUIRED: Code.UNAUTHENTICATED,
    Reason.FORBIDDEN: Code.PERMISSION_DENIED,
    Reason.NOT_FOUND: Code.NOT_FOUND,
    Reason.CONFLICT: Code.ALREADY_EXISTS,
    Reason.GONE: Code.NOT_FOUND,
    Reason.CONDITION_NOT_MET: Code.FAILED_PRECONDITION,
    Reason.NOT_MODIFIED: Code.FAILED_PRECONDITION,
    Reason.RANGE_NOT_SATISFIABLE: Code.OUT_OF_RANGE,
    Reason.UPLOAD_CANCELLED: Code.CANCELLED,
    Reason.RETENTION_NOT_MET: Code.PERMISSION_DENIED,
    Reason.DISK_FULL: Code.RESOURCE_EXHAUSTED,
    Reason.NOT_IMPLEMENTED: Code.UNIMPLEMENTED,
    Reason.BACKEND_ERROR: Code.UNAVAILABLE,
    Reason.RATE_LIMITED: Code.RESOURCE_EXHAUSTED,
}
"""Every other reason is one of an invalid argument."""


class StorageError(StatusError):
    """A refused storage request; `reason` says more than the canonical code can."""

    def __init__(self, reason: Reason, message: str, *, details: tuple[bytes, ...] = ()) -> None:
        super().__init__(_CODES.get(reason, Code.INVALID_ARGUMENT), message, details=details)
        self.reason = reason


class SpecificError(StorageError):
    """A refusal with a code of its own in Cloud Storage's XML, such as `ExpiredToken`; it says what it looked at."""

    def __init__(
        self,
        reason: Reason,
        code: str,
        details: str,
        *,
        parameter: str | None = None,
        string_to_sign: str | None = None,
        canonical_request: str | None = None,
    ) -> None:
        super().__init__(reason, details)
        self.specific_code = code
        self.parameter = parameter
        self.string_to_sign = string_to_sign
        self.canonical_request = canonical_request


def invalid(message: str) -> StorageError:
    return StorageError(Reason.INVALID, message)


def no_such_object(bucket: str, name: str) -> StorageError:
    return StorageError(Reason.NOT_FOUND, f"No such object: {bucket}/{name}")


def no_such_bucket() -> StorageError:
    return SpecificError(Reason.NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist.")


def condition_not_met() -> StorageError:
    return StorageError(Reason.CONDITION_NOT_MET, "At least one of the pre-conditions you specified did not hold.")


def not_implemented(feature: str) -> StorageError:
    return StorageError(Reason.NOT_IMPLEMENTED, f"`{feature}` is not implemented here; see docs/storage.md")
