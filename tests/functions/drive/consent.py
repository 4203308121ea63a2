"""Owns consent as Google gives it: the page, codes good once, verifiers, tokens that run out and are taken back."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.functions.drive.published_contract import DRIVE_FILE

CODE_LIVES = timedelta(minutes=10)
TOKEN_LIVES_SECONDS = 3600


class OAuthRefusalError(Exception):
    """Google's own words for no."""

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


@dataclass
class Code:
    email: str
    challenge: str
    redirect: str
    until: datetime
    scope: str


@dataclass
class Consents:
    """One app, and what its users have allowed it."""

    clock: list[datetime]
    client_id: str = "the-app.apps.googleusercontent.com"
    client_secret: str = "the-app's secret"
    redirects: tuple[str, ...] = ("https://api.example.com/api/phase5/auth/callback",)
    codes: dict[str, Code] = field(default_factory=dict)
    grants: dict[str, str] = field(default_factory=dict)
    """Refresh tokens, and whose they are."""
    access: dict[str, tuple[str, datetime, str]] = field(default_factory=dict)
    """Access tokens: of which refresh token, until when, for what."""
    revoked: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    """Tokens of the account that the functions run as."""

    def consent(self, url: str, email: str, *, allows: str = DRIVE_FILE) -> str:
        """A person says yes on Google's page; the address that Google then sends the browser to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if query["client_id"] != self.client_id or query["redirect_uri"] not in self.redirects:
            raise OAuthRefusalError("redirect_uri_mismatch")
        assert query["response_type"] == "code"
        assert (query["scope"], query["access_type"], query["prompt"]) == (DRIVE_FILE, "offline", "consent")
        assert query["code_challenge_method"] == "S256"
        code = f"4/{secrets.token_urlsafe(30)}"
        until = self.clock[0] + CODE_LIVES
        self.codes[code] = Code(email, query["code_challenge"], query["redirect_uri"], until, allows)
        back = {"state": query["state"], "iss": "https://accounts.google.com", "code": code, "scope": allows}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            # An account of the cloud's, which shows a signed assertion; what it may do is not this app's.
            self.own.append(f"ya29.own-{secrets.token_urlsafe(20)}")
            return {"access_token": self.own[-1], "expires_in": TOKEN_LIVES_SECONDS, "token_type": "Bearer"}
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
            raise OAuthRefusalError("invalid_client", "The OAuth client was not found.", 401)
        if form.get("grant_type") == "refresh_token":
            refresh = form["refresh_token"]
            if refresh not in self.grants:
                raise OAuthRefusalError("invalid_grant", "Token has been expired or revoked.")
            return self._access(refresh, DRIVE_FILE)
        code = self.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if code is None or self.clock[0] >= code.until or code.challenge != challenge or not 43 <= len(verifier) <= 128:
            raise OAuthRefusalError("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect:
            raise OAuthRefusalError("redirect_uri_mismatch")
        refresh = f"1//{secrets.token_urlsafe(40)}"
        self.grants[refresh] = code.email
        return self._access(refresh, code.scope) | {"refresh_token": refresh}

    def revoke(self, form: Mapping[str, str]) -> dict[str, Any]:
        token = form["token"]
        if token not in self.grants:
            raise OAuthRefusalError("invalid_token", "Token expired or revoked")
        # The whole permission of that account goes, whichever of its tokens is named.
        self.end(self.grants[token])
        return {}

    def end(self, email: str) -> None:
        """The user takes the permission back, here or in the account's own settings."""
        self.revoked.append(email)
        gone = {token for token, owner in self.grants.items() if owner == email}
        self.grants = {token: owner for token, owner in self.grants.items() if owner != email}
        self.access = {token: held for token, held in self.access.items() if held[0] not in gone}

    def forget_access(self) -> None:
        """Access tokens run out earlier than they said."""
        self.access.clear()

    def account_of(self, authorization: str) -> str | None:
        held = self.access.get(authorization.removeprefix("Bearer "))
        if held is None or self.clock[0] >= held[1] or DRIVE_FILE not in held[2]:
            return None
        return self.grants.get(held[0])

    def _access(self, refresh: str, scope: str) -> dict[str, Any]:
        token = f"ya29.{secrets.token_urlsafe(40)}"
        self.access[token] = (refresh, self.clock[0] + timedelta(seconds=TOKEN_LIVES_SECONDS), scope)
        return {"access_token": token, "expires_in": TOKEN_LIVES_SECONDS - 1, "scope": scope, "token_type": "Bearer"}
