"""Passkeys: enrolled and signed in with, as in the official emulator, which looks at a credential's id alone.

Nothing that a device signs is verified: whoever knows the id of a credential signs in with it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.auth.accounts.accounts import UNNAMED_PASSKEY, Passkey
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.requests.requests import UsePasskey
from afterimage_emulator.auth.tokens.sessions import SignedInUsers

PASSKEY_PROVIDER = "passkey"
_RELYING_PARTY = "localhost"
_TIMEOUT_MS = 60_000
# COSE's numbers: ECDSA with SHA-256, and RSA with SHA-256.
_ALGORITHMS = (-7, -257)


class Passkeys:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers) -> None:
        self._sessions = sessions

    def start_enrollment(self, project: Project, request: UsePasskey, *, is_admin: bool) -> dict[str, object]:
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN")
        account, _ = self._sessions.authenticate(project, request.id_token)
        return {
            "credentialCreationOptions": {
                "rp": {"name": _RELYING_PARTY, "id": _RELYING_PARTY},
                "user": {
                    "id": base64.b64encode(account.uid.encode()).decode(),
                    "name": account.email or "user@example.com",
                    "displayName": account.display_name or "User",
                },
                "challenge": _challenge(),
                "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in _ALGORITHMS],
                "timeout": _TIMEOUT_MS,
                "attestation": "none",
            }
        }

    def finalize_enrollment(self, project: Project, request: UsePasskey, *, is_admin: bool) -> dict[str, object]:
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN")
        shown = _shown(request.authenticator_registration_response)
        account, _ = self._sessions.authenticate(project, request.id_token)
        credential_id = _credential_id(shown)
        if project.accounts.by_passkey(credential_id) is not None:
            raise refused("CREDENTIAL_ALREADY_IN_USE")
        made = Passkey(credential_id=credential_id, name=request.name or request.display_name or UNNAMED_PASSKEY)
        account = project.accounts.put(replace(account, passkeys=(*account.passkeys, made)))
        tokens = self._sessions.issue(project, account, PASSKEY_PROVIDER)
        return {"localId": account.uid, "idToken": tokens["idToken"], "refreshToken": tokens["refreshToken"]}

    def start_sign_in(self, project: Project, request: UsePasskey, *, is_admin: bool) -> dict[str, object]:
        options = {"challenge": _challenge(), "rpId": _RELYING_PARTY, "userVerification": "required"}
        return {"credentialRequestOptions": options}

    def finalize_sign_in(self, project: Project, request: UsePasskey, *, is_admin: bool) -> dict[str, object]:
        account = project.accounts.by_passkey(_credential_id(_shown(request.authenticator_authentication_response)))
        if account is None:
            raise refused("PASSKEY_CREDENTIAL_NOT_FOUND")
        if account.disabled:
            raise refused("USER_DISABLED")
        account = replace(account, last_login_at_ms=self._sessions.now_ms())
        tokens = self._sessions.issue(project, account, PASSKEY_PROVIDER)
        return {"idToken": tokens["idToken"], "refreshToken": tokens["refreshToken"]}


def _challenge() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _shown(response: Mapping[str, object] | None) -> Mapping[str, object]:
    if response is None:
        raise refused("MISSING_AUTHENTICATOR_RESPONSE")
    return response


def _credential_id(response: Mapping[str, object]) -> str:
    credential_id = response.get("id")
    if not isinstance(credential_id, str) or not credential_id:
        raise refused("INVALID_CREDENTIAL_ID")
    return credential_id
