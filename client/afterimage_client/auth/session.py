"""Owns what is known of a signed-in user, and what of it is written down between runs (pure)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from afterimage_client.freshness import Lifetime

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """The account that is signed in, as the server last described it."""

    uid: str
    email: str | None = None
    is_email_verified: bool = False
    display_name: str | None = None
    photo_url: str | None = None
    is_anonymous: bool = False
    providers: tuple[str, ...] = ()

    @classmethod
    def from_account(cls, account: Mapping[str, Any]) -> Self:
        """From one entry of `accounts:lookup`."""
        providers = tuple(
            entry["providerId"]
            for entry in account.get("providerUserInfo", ())
            if isinstance(entry, Mapping) and isinstance(entry.get("providerId"), str)
        )
        email = account.get("email")
        return cls(
            uid=account["localId"],
            email=email,
            is_email_verified=account.get("emailVerified") is True,
            display_name=account.get("displayName"),
            photo_url=account.get("photoUrl"),
            is_anonymous=not (email or providers or account.get("phoneNumber") or account.get("customAuth")),
            providers=providers,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class IdToken:
    """A token for the services, and how long it is good."""

    text: str
    lifetime: Lifetime

    @property
    def claims(self) -> Mapping[str, Any]:
        return read_claims(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A user and what stands for them. The ID token is never written down: the refresh token brings a new one."""

    user: User
    refresh_token: str = field(repr=False)
    id_token: IdToken | None = field(default=None, repr=False)

    def to_text(self) -> str:
        return json.dumps({"format": FORMAT, "user": asdict(self.user), "refresh_token": self.refresh_token})

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """None where the text is not what `to_text` wrote: whoever is not surely signed in is signed out."""
        try:
            body = json.loads(text)
            user = body["user"]
            if body["format"] != FORMAT or not isinstance(body["refresh_token"], str) or not user["uid"]:
                return None
            return cls(
                user=User(**{**user, "providers": tuple(user["providers"])}), refresh_token=body["refresh_token"]
            )
        except (ValueError, KeyError, TypeError):
            return None


def read_claims(token: str) -> Mapping[str, Any]:
    """The claims of a JWT, unverified: they are for showing, the services verify. Empty where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}
