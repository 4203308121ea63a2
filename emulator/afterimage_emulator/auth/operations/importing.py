"""Turns one imported user, as the Admin SDKs or an export write it, into an account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from afterimage_emulator.auth.accounts.account_json import iso_time
from afterimage_emulator.auth.accounts.accounts import (
    PASSWORD_PROVIDER,
    PHONE_PROVIDER,
    UNNAMED_PASSKEY,
    Account,
    Passkey,
    ProviderLink,
)
from afterimage_emulator.auth.accounts.custom_claims import check_serialized_claims
from afterimage_emulator.auth.accounts.passwords import StoredPassword, unchecked_password
from afterimage_emulator.auth.accounts.second_factors import imported_factors
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.requests.request_reading import check_phone_number, is_email, read_request
from afterimage_emulator.auth.requests.requests import ImportedLink, ImportedUser

_EPOCH = datetime.fromtimestamp(0, UTC)


def imported_account(user: ImportedUser, *, now_ms: int, tenant_id: str | None = None) -> Account:
    if not user.local_id:
        raise refused("localId is missing")
    if len(user.local_id) > 128:
        raise refused("localId is too long")
    if user.email and not is_email(user.email):
        raise refused("email is invalid")
    if user.custom_attributes:
        check_serialized_claims(user.custom_attributes)
    links = tuple(
        link
        for link in map(told_link, user.provider_user_info)
        if link.provider_id not in (PASSWORD_PROVIDER, PHONE_PROVIDER)
    )
    if user.mfa_info and not user.email:
        raise refused("Second factor account requires email to be presented.")
    if user.mfa_info and not user.email_verified:
        raise refused("Second factor account requires email to be verified.")
    password = _password(user)
    account = Account(
        uid=user.local_id,
        created_at_ms=now_ms if user.created_at is None else user.created_at,
        tenant_id=tenant_id,
        initial_email=user.initial_email.lower() if user.initial_email else None,
        screen_name=user.screen_name,
        email=user.email.lower() if user.email else None,
        email_verified=user.email_verified,
        display_name=user.display_name,
        photo_url=user.photo_url,
        phone_number=check_phone_number(user.phone_number) if user.phone_number else None,
        password=password,
        password_updated_at_ms=(now_ms if user.password_updated_at is None else int(user.password_updated_at))
        if password is not None
        else None,
        has_email_link=bool(user.email_link_signin),
        disabled=user.disabled,
        valid_since_seconds=user.valid_since,
        last_login_at_ms=user.last_login_at,
        last_refresh_at_ms=_milliseconds(user.last_refresh_at) if user.last_refresh_at else None,
        custom_claims=user.custom_attributes or None,
        is_custom_auth=bool(user.custom_auth),
        passkeys=tuple(_passkey(fields) for fields in user.passkey_info),
        second_factors=imported_factors(user.mfa_info, now=iso_time(now_ms)),
    )
    for link in links:  # of two at one provider, the later one counts
        account = account.with_link(link)
    return account


def _password(user: ImportedUser) -> StoredPassword | None:
    if user.password_hash:
        return StoredPassword(hash=user.password_hash, salt=user.salt)
    return unchecked_password(user.raw_password, salt=user.salt) if user.raw_password else None


def told_link(fields: Mapping[str, object]) -> ProviderLink:
    link = read_request(ImportedLink, fields)
    if link.provider_id in (PASSWORD_PROVIDER, PHONE_PROVIDER):
        # These follow from the account's own fields; only their name matters here.
        return ProviderLink(provider_id=link.provider_id, raw_id="")
    if not link.provider_id or not link.raw_id:
        raise refused(
            "((a federatedId alone names nobody here; give providerId and rawId))"
            if link.federated_id
            else "federatedId or (providerId & rawId) is required"
        )
    return ProviderLink(
        provider_id=link.provider_id,
        raw_id=link.raw_id,
        federated_id=link.federated_id,
        email=link.email,
        display_name=link.display_name,
        photo_url=link.photo_url,
        phone_number=link.phone_number,
        screen_name=link.screen_name,
    )


def _passkey(fields: Mapping[str, object]) -> Passkey:
    credential_id, name = fields.get("credentialId"), fields.get("name")
    if not isinstance(credential_id, str) or not credential_id:
        raise refused("passkeyInfo needs a credentialId")
    return Passkey(credential_id=credential_id, name=name if isinstance(name, str) else UNNAMED_PASSKEY)


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError):
        raise refused("lastRefreshAt is not a time such as 2026-01-31T12:00:00.000Z") from None
