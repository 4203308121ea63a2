"""An account as the REST API, the listings and the exports write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from afterimage_emulator.auth.accounts.accounts import Account, ProviderLink
from afterimage_emulator.auth.accounts.second_factors import factor_json


def account_json(account: Account, *, with_secrets: bool = False) -> dict[str, object]:
    """The password hash is not hidden, as the official emulator does not hide it: tests look at it.

    `with_secrets`: those of authenticator apps too, for an export.
    """
    password = account.password
    fields: dict[str, object] = {
        "localId": account.uid,
        "tenantId": account.tenant_id,
        "email": account.email,
        "initialEmail": account.initial_email,
        "emailVerified": account.email_verified,
        "displayName": account.display_name,
        "photoUrl": account.photo_url,
        "screenName": account.screen_name,
        "phoneNumber": account.phone_number,
        "passwordHash": password.hash if password else None,
        "salt": password.salt if password else None,
        "passwordUpdatedAt": account.password_updated_at_ms,
        "emailLinkSignin": account.has_email_link or None,
        "validSince": _text(account.valid_since_seconds),
        "disabled": account.disabled,
        "createdAt": str(account.created_at_ms),
        "lastLoginAt": _text(account.last_login_at_ms),
        "lastRefreshAt": None if account.last_refresh_at_ms is None else iso_time(account.last_refresh_at_ms),
        "customAttributes": account.custom_claims,
        "customAuth": account.is_custom_auth or None,
        "providerUserInfo": [link_json(link) for link in account.links] or None,
        "passkeyInfo": [{"credentialId": one.credential_id, "name": one.name} for one in account.passkeys] or None,
        "mfaInfo": [factor_json(factor, with_secret=with_secrets) for factor in account.second_factors] or None,
    }
    return present(fields)


def link_json(link: ProviderLink) -> dict[str, object]:
    return present(
        {
            "providerId": link.provider_id,
            "rawId": link.raw_id,
            "federatedId": link.federated_id,
            "email": link.email,
            "phoneNumber": link.phone_number,
            "displayName": link.display_name,
            "photoUrl": link.photo_url,
            "screenName": link.screen_name,
        }
    )


def present(fields: dict[str, object]) -> dict[str, object]:
    """SDKs take a missing field for an unset one; null they do not expect."""
    return {name: value for name, value in fields.items() if value is not None}


def iso_time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
