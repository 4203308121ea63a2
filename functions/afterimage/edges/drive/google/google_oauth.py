"""Consent at Google: the address where a user gives it, the codes and tokens that come of it, and taking it back."""

from __future__ import annotations

import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
import msgspec

from afterimage.edges.asked_wait import asked_wait
from afterimage.edges.drive.faults import DriveBusyError, DriveRefusedError, LinkBrokenError

DRIVE_SCOPE: Final = "https://www.googleapis.com/auth/drive.file"
"""Only what this app makes, or is handed by the user: no other file of theirs can be seen with it."""
AUTHORIZE_URL: Final = "https://accounts.google.com/o/oauth2/v2/auth"
OAUTH_API: Final = "https://oauth2.googleapis.com"
_TIMEOUT_SECONDS: Final = 20.0
_ATTEMPTS: Final = 3
_FIRST_WAIT_SECONDS: Final = 0.3


class GrantedTokens(msgspec.Struct, frozen=True, kw_only=True):
    """What Google gives for a code or for a refresh token."""

    access_token: str
    expires_in: int = 3600
    refresh_token: str = ""
    scope: str = ""

    def __repr__(self) -> str:
        return f"GrantedTokens(expires_in={self.expires_in}, scope={self.scope!r})"


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """Why Google's tokens were not given."""

    error: str = ""
    error_description: str = ""


def _new_oauth_client() -> httpx2.Client:
    return httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False)


def challenge_of(verifier: str) -> str:
    """What Google is shown of a verifier: whoever brings the code has to bring the verifier itself."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, kw_only=True)
class GoogleOAuth:
    """This app at Google."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    """Exactly as it was registered at Google; nothing in a request can change it."""
    authorize_url: str = AUTHORIZE_URL
    oauth_api: str = OAUTH_API
    client: httpx2.Client = field(default_factory=_new_oauth_client)
    wait: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def consent_url(self, state: str, verifier: str) -> str:
        """Where a user says yes. `consent` each time, or Google would give no refresh token to who said yes before."""
        asked = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": DRIVE_SCOPE,
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
            "access_type": "offline",
            "prompt": "consent",
        }
        return f"{self.authorize_url}?{urlencode(asked)}"

    def exchanged(self, code: str, verifier: str) -> GrantedTokens:
        """What a code is good for, once; LinkBrokenError where Google does not take it, or the consent is not whole."""
        # A code is good once: asked again after a lost answer, Google would refuse it, so it is asked once.
        granted = self._tokens(
            {"grant_type": "authorization_code", "code": code, "code_verifier": verifier,
             "redirect_uri": self.redirect_uri},
            attempts=1,
        )  # fmt: skip
        if DRIVE_SCOPE not in granted.scope.split():
            raise LinkBrokenError("the user did not allow files to be kept in Google Drive")
        if not granted.refresh_token:
            raise LinkBrokenError("Google gave no lasting permission; link once more")
        return granted

    def refreshed(self, refresh_token: str) -> GrantedTokens:
        """A new access token; LinkBrokenError where the permission was taken back or has run out."""
        return self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token}, attempts=_ATTEMPTS)

    def revoke(self, refresh_token: str) -> None:
        """Takes the permission back; one that is gone already is taken back."""
        answer = self._post("/revoke", {"token": refresh_token}, attempts=_ATTEMPTS)
        if answer.is_success or answer.status_code == 400:
            return
        raise DriveRefusedError(f"Google answered {answer.status_code} to a permission that was given back")

    def _tokens(self, asked: Mapping[str, str], *, attempts: int) -> GrantedTokens:
        body = {**asked, "client_id": self.client_id, "client_secret": self.client_secret}
        answer = self._post("/token", body, attempts=attempts)
        if not answer.is_success:
            raise self._refusal(answer)
        try:
            return msgspec.json.decode(answer.content, type=GrantedTokens)
        except msgspec.DecodeError as error:
            raise DriveBusyError("Google's tokens cannot be read") from error

    def _refusal(self, answer: httpx2.Response) -> Exception:
        try:
            told = msgspec.json.decode(answer.content, type=_Told)
        except msgspec.DecodeError:
            told = _Told()
        if told.error == "invalid_grant":
            return LinkBrokenError(f"Google does not take the permission any more: {_shown(told.error_description)}")
        # The app's own credentials: an operator's to mend, and no reason to break anybody's link.
        return DriveRefusedError(
            f"Google refuses this app: {_shown(told.error)}; look at GOOGLE_CLIENT_ID, its secret and the redirect",
            reason=told.error,
        )

    def _post(self, path: str, body: Mapping[str, str], *, attempts: int) -> httpx2.Response:
        fault = DriveBusyError("Google was not asked")
        for attempt in range(attempts):
            if attempt:
                self.wait(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
            try:
                answer = self.client.post(f"{self.oauth_api}{path}", data=dict(body))
            except httpx2.HTTPError as error:
                fault = DriveBusyError(f"no answer from `{httpx2.URL(self.oauth_api).host}`: {type(error).__name__}")
                continue
            if answer.status_code != 429 and answer.status_code < 500:
                return answer
            fault = DriveBusyError(
                f"`{httpx2.URL(self.oauth_api).host}` answered {answer.status_code}",
                retry_after=asked_wait(answer, self.now()),
            )
        raise fault


def _shown(said: Any) -> str:
    """What others say, short, and in one line."""
    return " ".join(str(said).split())[:200] or "it does not say why"
