"""The requests of Auth's operations, each with the fields of its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterimage_emulator.auth.requests.request_reading import Numeral, Request


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
    NOT_HERE = ("mfaInfo", "tenantId", "captchaChallenge")

    id_token: str | None = None
    password: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithPassword(Request):
    NOT_HERE = ("tenantId", "captchaChallenge", "pendingIdToken", "idToken")

    email: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithEmailLink(Request):
    NOT_HERE = ("tenantId",)

    id_token: str | None = None
    email: str | None = None
    oob_code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInWithCustomToken(Request):
    NOT_HERE = ("tenantId",)

    token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LookUpAccounts(Request):
    NOT_HERE = ("tenantId", "initialEmail")

    id_token: str | None = None
    local_id: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    phone_number: tuple[str, ...] = ()
    federated_user_id: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Update(_DescribedAccount):
    NOT_HERE = ("tenantId", "mfa", "provider", "upgradeToFederatedLogin", "linkProviderUserInfo", "captchaChallenge")

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Delete(Request):
    NOT_HERE = ("tenantId",)

    local_id: str | None = None
    id_token: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SendOobCode(Request):
    NOT_HERE = ("tenantId", "captchaResp")

    request_type: str | None = None
    email: str | None = None
    new_email: str | None = None
    id_token: str | None = None
    continue_url: str | None = None
    return_oob_link: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ResetPassword(Request):
    NOT_HERE = ("tenantId",)

    oob_code: str | None = None
    new_password: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateAuthUri(Request):
    NOT_HERE = ("tenantId", "providerId")

    identifier: str | None = None
    continue_uri: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchCreate(Request):
    NOT_HERE = ("tenantId",)

    users: tuple[Mapping[str, Any], ...] = ()
    allow_overwrite: bool | None = None
    sanity_check: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchDelete(Request):
    NOT_HERE = ("tenantId",)

    local_ids: tuple[str, ...] = ()
    force: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryAccounts(Request):
    NOT_HERE = ("tenantId", "expression")

    return_user_info: bool | None = None
    limit: Numeral | None = None
    offset: Numeral | None = None
    sort_by: str | None = None
    order: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedUser(_DescribedAccount):
    """One of the users of a BatchCreate."""

    NOT_HERE = ("mfaInfo", "tenantId")

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
    """One identity of an imported user."""

    provider_id: str | None = None
    raw_id: str | None = None
    federated_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GrantToken(Request):
    """Its JSON, alone among these, is in snake case; the door turns it."""

    grant_type: str | None = None
    refresh_token: str | None = None
