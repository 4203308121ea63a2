"""What a blocking function is told: the claims of the JWT that stands in its request."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from afterimage_emulator.auth.accounts.account_json import present
from afterimage_emulator.auth.accounts.accounts import Account, ProviderLink
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.accounts.second_factors import SecondFactor

_LIFETIME_SECONDS = 600


class Event(StrEnum):
    """The questions, by the names of the payload and of a project's settings."""

    BEFORE_CREATE = "beforeCreate"
    BEFORE_SIGN_IN = "beforeSignIn"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInContext:
    """How somebody signs in: the method, what the provider told, and the tokens that it gave."""

    method: str
    second_factor: str | None = None
    raw_user_info: str | None = None
    attributes: Mapping[str, object] | None = None
    oauth: Mapping[str, object] = field(default_factory=dict)


def function_payload(
    event: Event,
    *,
    project: Project,
    account: Account,
    context: SignInContext,
    url: str,
    now_seconds: int,
    forwarded: Collection[str],
) -> dict[str, object]:
    payload: dict[str, object] = {
        "iss": f"https://securetoken.google.com/{project.id}",
        "aud": url,
        "iat": now_seconds,
        "exp": now_seconds + _LIFETIME_SECONDS,
        "event_id": secrets.token_urlsafe(12),
        "event_type": event.value,
        "user_agent": "afterimage-emulator",
        "ip_address": "127.0.0.1",
        "locale": "en",
        "sub": account.uid,
        "sign_in_method": context.method,
        "sign_in_second_factor": context.second_factor,
        "sign_in_attributes": context.attributes,  # an object, as in production
        "raw_user_info": context.raw_user_info,
        "tenant_id": project.tenant_id,
        "user_record": _user_record(account),
    }
    if "accessToken" in forwarded:
        payload["oauth_access_token"] = context.oauth.get("accessToken")
        payload["oauth_token_secret"] = context.oauth.get("tokenSecret")
        # A number, as in production: the Python SDK adds it to the time.
        payload["oauth_expires_in"] = context.oauth.get("expiresIn")
    if "idToken" in forwarded:
        payload["oauth_id_token"] = context.oauth.get("idToken")
    if "refreshToken" in forwarded:
        payload["oauth_refresh_token"] = context.oauth.get("refreshToken")
    return present(payload)


def _user_record(account: Account) -> dict[str, object]:
    metadata = {"last_sign_in_time": account.last_login_at_ms, "creation_time": account.created_at_ms}
    record = {
        "uid": account.uid,
        "email": account.email,
        "email_verified": account.email_verified,
        "display_name": account.display_name,
        "photo_url": account.photo_url,
        "disabled": account.disabled,
        "phone_number": account.phone_number,
        "custom_claims": json.loads(account.custom_claims) if account.custom_claims else {},
        "tenant_id": account.tenant_id,
        "provider_data": [_provider(link) for link in account.links],
        "multi_factor": {"enrolled_factors": [_factor(one) for one in account.second_factors]}
        if account.second_factors
        else None,
        "metadata": present({**metadata}),
    }
    return present(record)


def _provider(link: ProviderLink) -> dict[str, object]:
    return present(
        {
            "provider_id": link.provider_id,
            "display_name": link.display_name,
            "photo_url": link.photo_url,
            "email": link.email,
            "uid": link.raw_id,
            "phone_number": link.phone_number,
        }
    )


def _factor(factor: SecondFactor) -> dict[str, object]:
    enrolled_at = factor.enrolled_at
    if enrolled_at is not None and enrolled_at.endswith("Z"):
        # Python 3.10 cannot read a time that ends in Z, and functions may run on it.
        enrolled_at = f"{enrolled_at[:-1]}+00:00"
    return present(
        {
            "uid": factor.enrollment_id,
            "display_name": factor.display_name,
            # Python 3.10 cannot read a time that ends in Z, and functions may run on it.
            "enrollment_time": f"{enrolled_at[:-1]}+00:00"
            if enrolled_at and enrolled_at.endswith("Z")
            else enrolled_at,
            "phone_number": factor.phone_number,
            "factor_id": factor.kind,
        }
    )
