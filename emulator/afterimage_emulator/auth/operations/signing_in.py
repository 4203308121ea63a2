"""Making accounts and signing in: anonymously (to become lasting later), by password, e-mail link or custom token."""

from __future__ import annotations

import secrets
import string
from dataclasses import replace
from typing import Any

from afterimage_emulator.auth.accounts.account_json import present
from afterimage_emulator.auth.accounts.accounts import PASSWORD_PROVIDER, Account
from afterimage_emulator.auth.accounts.oob_codes import Purpose
from afterimage_emulator.auth.accounts.passwords import new_password
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.requests.request_reading import check_phone_number, is_email
from afterimage_emulator.auth.requests.requests import (
    CreateAuthUri,
    SignInWithCustomToken,
    SignInWithEmailLink,
    SignInWithPassword,
    SignUp,
)
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.auth.tokens.sign_in_tokens import read_custom_token

_UID_CHARACTERS = string.ascii_letters + string.digits


class SigningIn:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers) -> None:
        self._sessions = sessions

    def sign_up(self, project: Project, request: SignUp, *, is_admin: bool) -> dict[str, object]:
        if is_admin:
            return self._create_for_admin(project, request)
        if request.local_id:
            raise refused("UNEXPECTED_PARAMETER : User ID")
        if request.id_token is None and not request.password and not request.email:
            return self._sign_up_anonymously(project)
        if not request.email:
            raise refused("MISSING_EMAIL")
        if not request.password:
            raise refused("MISSING_PASSWORD")
        email = _free_email(project, request.email)
        password = new_password(request.password, now_ms=self._sessions.now_ms())
        if request.id_token is not None:
            account, _ = self._sessions.authenticate(project, request.id_token)
        else:
            account = self._new_account(project)
        account = replace(
            account,
            email=email,
            email_verified=False,
            password=password,
            display_name=request.display_name or account.display_name,
            valid_since_seconds=self._sessions.now_seconds(),
            last_login_at_ms=self._sessions.now_ms(),
        )
        return self._signed_up(account, self._sessions.issue(project, account, PASSWORD_PROVIDER))

    def _sign_up_anonymously(self, project: Project) -> dict[str, object]:
        account = replace(self._new_account(project), last_login_at_ms=self._sessions.now_ms())
        return self._signed_up(account, self._sessions.issue(project, account, "anonymous"))

    def _create_for_admin(self, project: Project, request: SignUp) -> dict[str, object]:
        if request.id_token is not None:
            raise refused("UNEXPECTED_PARAMETER : ID token")
        if request.local_id is not None and not 0 < len(request.local_id) <= 128:
            raise refused("INVALID_LOCAL_ID")
        if request.local_id is not None and project.accounts.by_uid(request.local_id) is not None:
            raise refused("DUPLICATE_LOCAL_ID")
        phone_number = check_phone_number(request.phone_number) if request.phone_number else None
        email = _free_email(project, request.email) if request.email else None
        now_ms = self._sessions.now_ms()
        account = self._new_account(project)
        account = replace(
            account,
            uid=request.local_id or account.uid,
            email=email,
            email_verified=bool(request.email_verified),
            password=new_password(request.password, now_ms=now_ms) if request.password else None,
            display_name=request.display_name,
            photo_url=request.photo_url,
            phone_number=phone_number,
            disabled=bool(request.disabled),
            valid_since_seconds=self._sessions.now_seconds() if request.password else None,
        )
        return self._signed_up(project.accounts.create(account), {})

    def _new_account(self, project: Project) -> Account:
        uid = ""
        while not uid or project.accounts.by_uid(uid) is not None:
            uid = "".join(secrets.choice(_UID_CHARACTERS) for _ in range(28))
        return Account(uid=uid, created_at_ms=self._sessions.now_ms())

    def _signed_up(self, account: Account, tokens: dict[str, str]) -> dict[str, object]:
        answer = {
            "kind": "identitytoolkit#SignupNewUserResponse",
            "localId": account.uid,
            "email": account.email,
            "displayName": account.display_name,
        }
        return present({**answer, **tokens})

    def sign_in_with_password(
        self, project: Project, request: SignInWithPassword, *, is_admin: bool
    ) -> dict[str, object]:
        if request.email is None:
            raise refused("MISSING_EMAIL")
        if not is_email(request.email):
            raise refused("INVALID_EMAIL")
        if not request.password:
            raise refused("MISSING_PASSWORD")
        email = request.email.lower()
        account = project.accounts.by_email(email)
        private = project.improved_email_privacy
        if account is None:
            raise refused("INVALID_LOGIN_CREDENTIALS" if private else "EMAIL_NOT_FOUND")
        if account.disabled:
            raise refused("USER_DISABLED")
        if account.password is None or not account.password.matches(request.password):
            raise refused("INVALID_LOGIN_CREDENTIALS" if private else "INVALID_PASSWORD")
        account = replace(account, last_login_at_ms=self._sessions.now_ms())
        answer = {
            "kind": "identitytoolkit#VerifyPasswordResponse",
            "registered": True,
            "localId": account.uid,
            "email": email,
            "displayName": account.display_name,
        }
        return present({**answer, **self._sessions.issue(project, account, PASSWORD_PROVIDER)})

    def sign_in_with_email_link(
        self, project: Project, request: SignInWithEmailLink, *, is_admin: bool
    ) -> dict[str, object]:
        """The account of the address that the code went to, a new one if need be; an ID token's account is given it."""
        holder = self._sessions.authenticate(project, request.id_token)[0] if request.id_token else None
        if not request.email:
            raise refused("MISSING_EMAIL")
        email = request.email.lower()
        if not request.oob_code:
            raise refused("MISSING_OOB_CODE")
        code = project.oob_codes.get(request.oob_code)
        if code is None or code.purpose is not Purpose.EMAIL_SIGNIN:
            raise refused("INVALID_OOB_CODE")
        if code.email != email:
            raise refused("INVALID_EMAIL : The email provided does not match the sign-in email address.")
        project.oob_codes.use(code.code)
        known = holder or project.accounts.by_email(email)
        if known is not None and known.disabled:
            raise refused("USER_DISABLED")
        account = replace(
            known or self._new_account(project),
            email=email,
            email_verified=True,
            has_email_link=True,
            last_login_at_ms=self._sessions.now_ms(),
        )
        answer = {
            "kind": "identitytoolkit#EmailLinkSigninResponse",
            "email": email,
            "localId": account.uid,
            "isNewUser": known is None,
        }
        return {**answer, **self._sessions.issue(project, account, PASSWORD_PROVIDER)}

    def sign_in_with_custom_token(
        self, project: Project, request: SignInWithCustomToken, *, is_admin: bool
    ) -> dict[str, object]:
        if not request.token:
            raise refused("MISSING_CUSTOM_TOKEN")
        token = read_custom_token(request.token)
        now_ms = self._sessions.now_ms()
        known = project.accounts.by_uid(token.uid)
        if known is not None and known.disabled:
            raise refused("USER_DISABLED")
        account = replace(
            known or Account(uid=token.uid, created_at_ms=now_ms), is_custom_auth=True, last_login_at_ms=now_ms
        )
        tokens = self._sessions.issue(project, account, "custom", extra_claims=token.claims)
        return {"kind": "identitytoolkit#VerifyCustomTokenResponse", "isNewUser": known is None, **tokens}

    def create_auth_uri(self, project: Project, request: CreateAuthUri, *, is_admin: bool) -> dict[str, object]:
        """How somebody with this email address may sign in; nothing, where the project keeps that private."""
        if not request.identifier:
            raise refused("MISSING_IDENTIFIER")
        if not request.continue_uri:
            raise refused("MISSING_CONTINUE_URI")
        if not is_email(request.identifier):
            raise refused("INVALID_IDENTIFIER")
        answer: dict[str, Any] = {
            "kind": "identitytoolkit#CreateAuthUriResponse",
            "sessionId": secrets.token_urlsafe(20),
        }
        if project.improved_email_privacy:
            return answer
        account = project.accounts.by_email(request.identifier.lower())
        providers = (
            [] if account is None else [link.provider_id for link in account.links if link.provider_id != "phone"]
        )
        methods = [] if account is None else _sign_in_methods(account, providers)
        return {**answer, "registered": account is not None, "allProviders": providers, "signinMethods": methods}


def _sign_in_methods(account: Account, providers: list[str]) -> list[str]:
    """One provider stands for both ways of e-mail addresses."""
    methods = [provider for provider in providers if provider != PASSWORD_PROVIDER or account.password is not None]
    return [*methods, "emailLink"] if account.has_email_link else methods


def _free_email(project: Project, email: str) -> str:
    if not is_email(email):
        raise refused("INVALID_EMAIL")
    email = email.lower()
    if project.accounts.by_email(email) is not None:
        raise refused("EMAIL_EXISTS")
    return email
