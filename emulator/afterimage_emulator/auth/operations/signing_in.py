"""Signing in by password, by a link in an e-mail and with a custom token; and which ways somebody has."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from afterimage_emulator.auth.accounts.account_json import present
from afterimage_emulator.auth.accounts.accounts import PASSWORD_PROVIDER, PHONE_PROVIDER, Account
from afterimage_emulator.auth.accounts.links import is_absolute_url
from afterimage_emulator.auth.accounts.oob_codes import Purpose
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.blocking.function_payload import SignInContext
from afterimage_emulator.auth.errors import not_in_auth, refused
from afterimage_emulator.auth.operations.entrance import Entrance
from afterimage_emulator.auth.requests.request_reading import is_email
from afterimage_emulator.auth.requests.requests import (
    CreateAuthUri,
    SignInWithCustomToken,
    SignInWithEmailLink,
    SignInWithPassword,
)
from afterimage_emulator.auth.settings.password_policy import check_password
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.auth.tokens.sign_in_tokens import read_custom_token


class SigningIn:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers, entrance: Entrance) -> None:
        self._sessions = sessions
        self._entrance = entrance

    async def sign_in_with_password(
        self, project: Project, request: SignInWithPassword, *, is_admin: bool
    ) -> dict[str, object]:
        if not project.sign_in.allows_password:
            raise refused("PASSWORD_LOGIN_DISABLED")
        if request.email is None:
            raise refused("MISSING_EMAIL")
        if not is_email(request.email):
            raise refused("INVALID_EMAIL")
        if not request.password:
            raise refused("MISSING_PASSWORD")
        email = request.email.lower()
        account = project.accounts.by_email(email)
        private = project.settings.improved_email_privacy
        if account is None:
            raise refused("INVALID_LOGIN_CREDENTIALS" if private else "EMAIL_NOT_FOUND")
        if account.disabled:
            raise refused("USER_DISABLED")
        if account.password is None or not account.password.matches(request.password):
            raise refused("INVALID_LOGIN_CREDENTIALS" if private else "INVALID_PASSWORD")
        policy = project.sign_in.password_policy
        if policy is not None and policy.at_sign_in:
            check_password(policy, request.password)
        account, tokens = await self._entrance.enter(
            project, account, SignInContext(method=PASSWORD_PROVIDER), provider=PASSWORD_PROVIDER
        )
        answer = {
            "kind": "identitytoolkit#VerifyPasswordResponse",
            "registered": True,
            "localId": account.uid,
            "email": email,
            # As in production; the official emulator leaves it out.
            "displayName": account.display_name,
        }
        return present({**answer, **tokens})

    async def sign_in_with_email_link(
        self, project: Project, request: SignInWithEmailLink, *, is_admin: bool
    ) -> dict[str, object]:
        """The account of the address that the code went to, a new one if need be; an ID token's account is given it."""
        if not project.sign_in.allows_email_link:
            raise refused("OPERATION_NOT_ALLOWED")
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
        owner = project.accounts.by_email(email)
        known = holder or owner
        if known is not None and known.disabled:
            raise refused("USER_DISABLED")
        if holder is not None and owner is not None and holder.uid != owner.uid:
            raise refused("EMAIL_EXISTS")
        changes: dict[str, object] = {"email": email, "email_verified": True, "has_email_link": True}
        context = SignInContext(method="emailLink")
        if known is None:
            account = await self._entrance.create(
                project, self._entrance.new_account(project).changed(changes), context
            )
            changes = {}
        else:
            account = known
        account, tokens = await self._entrance.enter(
            project, account, context, provider=PASSWORD_PROVIDER, changes=changes
        )
        answer = {
            "kind": "identitytoolkit#EmailLinkSigninResponse",
            "email": email,
            "localId": account.uid,
            "isNewUser": known is None,
        }
        return {**answer, **tokens}

    def sign_in_with_custom_token(
        self, project: Project, request: SignInWithCustomToken, *, is_admin: bool
    ) -> dict[str, object]:
        """A server vouches for this user: neither second factors nor functions are asked."""
        if not request.token:
            raise refused("MISSING_CUSTOM_TOKEN")
        token = read_custom_token(request.token)
        if token.tenant_id != project.tenant_id and (token.is_jwt or token.tenant_id is not None):
            raise refused("TENANT_ID_MISMATCH")
        now_ms = self._sessions.now_ms()
        known = project.accounts.by_uid(token.uid)
        if known is not None and known.disabled:
            raise refused("USER_DISABLED")
        made = Account(uid=token.uid, created_at_ms=now_ms, tenant_id=project.tenant_id)
        account = replace(known or made, is_custom_auth=True, last_login_at_ms=now_ms)
        tokens = self._sessions.issue(project, account, "custom", extra_claims=token.claims)
        return {"kind": "identitytoolkit#VerifyCustomTokenResponse", "isNewUser": known is None, **tokens}

    def create_auth_uri(self, project: Project, request: CreateAuthUri, *, is_admin: bool) -> dict[str, object]:
        """How somebody with this email address may sign in; nothing, where the project keeps that private."""
        session_id = request.session_id or secrets.token_urlsafe(20)
        if request.provider_id:
            raise not_in_auth("createAuthUri with `providerId`")
        if not request.identifier:
            raise refused("MISSING_IDENTIFIER")
        if not request.continue_uri:
            raise refused("MISSING_CONTINUE_URI")
        if not is_email(request.identifier):
            raise refused("INVALID_IDENTIFIER")
        if not is_absolute_url(request.continue_uri):
            raise refused("INVALID_CONTINUE_URI")
        answer: dict[str, object] = {"kind": "identitytoolkit#CreateAuthUriResponse", "sessionId": session_id}
        if project.settings.improved_email_privacy:
            return answer
        email = request.identifier.lower()
        accounts = project.accounts.at_address(email)
        if project.settings.allow_duplicate_emails:
            accounts = [account for account in accounts if account.email is not None]
        account = accounts[0] if accounts else None
        providers = [] if account is None else [link.provider_id for link in account.links]
        if project.settings.allow_duplicate_emails:
            providers = [provider for provider in providers if provider == PASSWORD_PROVIDER]
        providers = [provider for provider in providers if provider != PHONE_PROVIDER]
        methods = [] if account is None else _sign_in_methods(account, providers)
        return {**answer, "registered": account is not None, "allProviders": providers, "signinMethods": methods}


def _sign_in_methods(account: Account, providers: Sequence[str]) -> list[str]:
    """One provider stands for both ways of e-mail addresses."""
    methods: list[str] = []
    for provider in providers:
        if provider != PASSWORD_PROVIDER:
            methods.append(provider)
            continue
        methods += ["password"] if account.password is not None else []
        methods += ["emailLink"] if account.has_email_link else []
    return methods
