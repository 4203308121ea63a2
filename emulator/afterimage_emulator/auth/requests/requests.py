"""The requests of Auth's operations, each with the fields of its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from afterimage_emulator.auth.requests.request_reading import Numeral, Request

DELETED_ATTRIBUTES = (
    "USER_ATTRIBUTE_NAME_UNSPECIFIED", "EMAIL", "DISPLAY_NAME", "PROVIDER", "PHOTO_URL", "PASSWORD", "RAW_USER_INFO",
)  # fmt: skip
CODE_TYPES = (
    "OOB_REQ_TYPE_UNSPECIFIED", "PASSWORD_RESET", "OLD_EMAIL_AGREE", "NEW_EMAIL_ACCEPT", "VERIFY_EMAIL",
    "RECOVER_EMAIL", "EMAIL_SIGNIN", "VERIFY_AND_CHANGE_EMAIL", "REVERT_SECOND_FACTOR_ADDITION",
)  # fmt: skip
ORDERS = ("ORDER_UNSPECIFIED", "ASC", "DESC")
SORTED_BY = (
    "SORT_BY_FIELD_UNSPECIFIED", "USER_ID", "NAME", "CREATED_AT", "LAST_LOGIN_AT", "USER_EMAIL",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Described(Request):
    """What is told of a person, here or at another provider."""

    email: str | None = None
    display_name: str | None = None
    photo_url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _DescribedAccount(_Described):
    """What is told of an account where it is made, changed or imported."""

    local_id: str | None = None
    phone_number: str | None = None
    email_verified: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignUp(_DescribedAccount):
    NOT_HERE = ("captchaChallenge",)

    id_token: str | None = None
    password: str | None = None
    disabled: bool | None = None
    mfa_info: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithPassword(Request):
    NOT_HERE = ("captchaChallenge", "captchaResponse", "pendingIdToken", "idToken")

    email: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithEmailLink(Request):
    id_token: str | None = None
    email: str | None = None
    oob_code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithCustomToken(Request):
    token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LookUpAccounts(Request):
    NOT_HERE = ("initialEmail",)

    id_token: str | None = None
    local_id: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    phone_number: tuple[str, ...] = ()
    federated_user_id: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Update(_DescribedAccount):
    NOT_HERE = ("provider", "upgradeToFederatedLogin", "captchaChallenge")
    ALLOWED: ClassVar[Mapping[str, Sequence[str]]] = {"deleteAttribute": DELETED_ATTRIBUTES}

    id_token: str | None = None
    oob_code: str | None = None
    password: str | None = None
    disable_user: bool | None = None
    custom_attributes: str | None = None
    valid_since: Numeral | None = None
    created_at: Numeral | None = None
    last_login_at: Numeral | None = None
    delete_attribute: tuple[str, ...] = ()
    delete_provider: tuple[str, ...] = ()
    delete_passkey: tuple[str, ...] = ()
    link_provider_user_info: Mapping[str, object] | None = None
    mfa: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delete(Request):
    local_id: str | None = None
    id_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SendOobCode(Request):
    NOT_HERE = ("captchaResp",)
    ALLOWED: ClassVar[Mapping[str, Sequence[str]]] = {"requestType": CODE_TYPES}

    request_type: str | None = None
    email: str | None = None
    new_email: str | None = None
    id_token: str | None = None
    continue_url: str | None = None
    return_oob_link: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ResetPassword(Request):
    oob_code: str | None = None
    new_password: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateAuthUri(Request):
    identifier: str | None = None
    continue_uri: str | None = None
    provider_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchCreate(Request):
    users: tuple[Mapping[str, object], ...] = ()
    allow_overwrite: bool | None = None
    sanity_check: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchDelete(Request):
    local_ids: tuple[str, ...] = ()
    force: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryAccounts(Request):
    NOT_HERE = ("expression",)
    ALLOWED: ClassVar[Mapping[str, Sequence[str]]] = {
        "order": ORDERS,
        "sortBy": SORTED_BY,
    }

    return_user_info: bool | None = None
    limit: Numeral | None = None
    offset: Numeral | None = None
    sort_by: str | None = None
    order: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedUser(_DescribedAccount):
    """One of the users of a BatchCreate."""

    tenant_id: str | None = None
    initial_email: str | None = None
    screen_name: str | None = None
    passkey_info: tuple[Mapping[str, object], ...] = ()
    mfa_info: tuple[Mapping[str, object], ...] = ()
    password_hash: str | None = None
    salt: str | None = None
    raw_password: str | None = None
    password_updated_at: Numeral | None = None
    email_link_signin: bool | None = None
    custom_attributes: str | None = None
    custom_auth: bool | None = None
    created_at: Numeral | None = None
    last_login_at: Numeral | None = None
    last_refresh_at: str | None = None
    valid_since: Numeral | None = None
    disabled: bool | None = None
    provider_user_info: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedLink(_Described):
    """One identity of a user at a provider, as an import or an administrator tells it."""

    phone_number: str | None = None
    screen_name: str | None = None
    provider_id: str | None = None
    raw_id: str | None = None
    federated_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GrantToken(Request):
    """Its JSON, alone among these, is in snake case; the door turns it."""

    grant_type: str | None = None
    refresh_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithIdp(Request):
    NOT_HERE = ("returnRefreshToken", "pendingIdToken")

    request_uri: str | None = None
    post_body: str | None = None
    id_token: str | None = None
    pending_token: str | None = None
    return_idp_credential: bool | None = None
    auto_create: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SendVerificationCode(Request):
    phone_number: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithPhoneNumber(Request):
    session_info: str | None = None
    code: str | None = None
    phone_number: str | None = None
    temporary_proof: str | None = None
    id_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateSessionCookie(Request):
    id_token: str | None = None
    valid_duration: Numeral | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EnrollSecondFactor(Request):
    """Both steps: `phone_enrollment_info` or `totp_enrollment_info` first, then what proves it."""

    id_token: str | None = None
    display_name: str | None = None
    phone_enrollment_info: Mapping[str, object] | None = None
    totp_enrollment_info: Mapping[str, object] | None = None
    phone_verification_info: Mapping[str, object] | None = None
    totp_verification_info: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WithdrawSecondFactor(Request):
    id_token: str | None = None
    mfa_enrollment_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithSecondFactor(Request):
    mfa_pending_credential: str | None = None
    mfa_enrollment_id: str | None = None
    phone_verification_info: Mapping[str, object] | None = None
    totp_verification_info: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownCode(Request):
    """A code that somebody was sent or read off an authenticator app, and the session it belongs to."""

    NOT_HERE = ("androidVerificationProof",)

    session_info: str | None = None
    code: str | None = None
    verification_code: str | None = None
    phone_number: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsePasskey(Request):
    """Both steps of enrolling and of signing in."""

    id_token: str | None = None
    name: str | None = None
    display_name: str | None = None
    authenticator_registration_response: Mapping[str, object] | None = None
    authenticator_authentication_response: Mapping[str, object] | None = None
