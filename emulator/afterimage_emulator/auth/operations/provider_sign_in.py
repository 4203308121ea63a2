"""Signing in at an identity provider, and linking an account to one: whose account it is, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from afterimage_emulator.auth.accounts.account_json import present
from afterimage_emulator.auth.accounts.accounts import OWN_PROVIDERS, Account
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.blocking.function_payload import SignInContext
from afterimage_emulator.auth.errors import AuthError, refused
from afterimage_emulator.auth.operations.entrance import Entrance
from afterimage_emulator.auth.operations.provider_identities import ProviderIdentity, read_identity
from afterimage_emulator.auth.requests.requests import SignInWithIdp
from afterimage_emulator.auth.tokens.pending_credentials import PendingCredentials
from afterimage_emulator.auth.tokens.sessions import SignedInUsers


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """Whose account an identity is: nobody's yet, or one with changes that this sign-in makes to it."""

    account: Account | None
    changes: Mapping[str, object] = field(default_factory=dict)
    is_recycled: bool = False
    needs_confirmation: bool = False


class ProviderSignIn:
    """The operation, which takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers, entrance: Entrance) -> None:
        self._sessions = sessions
        self._entrance = entrance
        self._pending = PendingCredentials()

    async def sign_in_with_idp(self, project: Project, request: SignInWithIdp, *, is_admin: bool) -> dict[str, object]:
        request = self._pending.redeemed(request)
        identity = read_identity(request)
        answer = _answer(identity)
        holder = self._sessions.authenticate(project, request.id_token)[0] if request.id_token else None
        try:
            if holder is not None:
                found = _linking(project, identity, holder)
            else:
                found = _signing_in(project, identity, now_seconds=self._sessions.now_seconds())
        except AuthError as error:
            if not request.return_idp_credential:
                raise
            return {**answer, **self._kept(request, identity), "errorMessage": error.message}
        if found.needs_confirmation:
            assert found.account is not None
            verified = [link.provider_id for link in found.account.links if link.provider_id not in OWN_PROVIDERS]
            return {
                **answer,
                "needConfirmation": True,
                "localId": found.account.uid,
                "verifiedProvider": verified,
                **self._kept(request, identity),
            }
        if found.account is None and request.auto_create is False:
            # Reauthentication makes nobody; SDKs read in this code that somebody else was meant.
            raise refused("EMAIL_NOT_FOUND")
        return await self._enter(project, identity, found, answer)

    def _kept(self, request: SignInWithIdp, identity: ProviderIdentity) -> dict[str, str]:
        """SDKs link an OAuth credential by the tokens of the answer; of a SAML one they have only this."""
        return {"pendingToken": self._pending.keep(request)} if identity.provider_id.startswith("saml.") else {}

    async def _enter(
        self, project: Project, identity: ProviderIdentity, found: _Found, answer: dict[str, object]
    ) -> dict[str, object]:
        context = SignInContext(
            method=identity.provider_id,
            raw_user_info=identity.raw_user_info,
            attributes=identity.attributes,
            oauth={"idToken": identity.id_token, "accessToken": identity.access_token},
        )
        account, changes = found.account, dict(found.changes)
        if account is None:
            made = self._entrance.new_account(project)
            made = made.changed({**changes, "last_login_at_ms": self._sessions.now_ms()})
            account = await self._entrance.create(project, made.with_link(identity.link()), context)
            answer["isNewUser"], changes = True, {}
        else:
            changes["links"] = account.with_link(identity.link()).links
        account, tokens = await self._entrance.enter(
            project, account, context, provider=identity.provider_id, changes=changes
        )
        answer["localId"] = account.uid
        if found.is_recycled:
            answer["emailRecycled"] = True
        if account.email == identity.email:
            answer["emailVerified"] = account.email_verified
        if project.tenant_id is not None:
            answer["tenantId"] = project.tenant_id
        return present({**answer, **tokens})


def _answer(identity: ProviderIdentity) -> dict[str, object]:
    return present(
        {
            "kind": "identitytoolkit#VerifyAssertionResponse",
            "context": "",
            "providerId": identity.provider_id,
            "federatedId": identity.federated_id,
            "displayName": identity.display_name,
            "fullName": identity.display_name,
            "firstName": identity.first_name,
            "lastName": identity.last_name,
            "screenName": identity.screen_name,
            "email": identity.email,
            "emailVerified": identity.email_verified,
            "photoUrl": identity.photo_url,
            "rawUserInfo": identity.raw_user_info,
            "oauthAccessToken": identity.access_token,
            "oauthIdToken": identity.id_token,
        }
    )


def _linking(project: Project, identity: ProviderIdentity, holder: Account) -> _Found:
    if project.accounts.by_identity(identity.provider_id, identity.raw_id) is not None:
        raise refused("FEDERATED_USER_ID_ALREADY_LINKED")
    changes: dict[str, object] = {}
    email = identity.email
    if email is not None and not project.settings.allow_duplicate_emails:
        owner = project.accounts.by_email(email)
        if owner is not None and owner.uid != holder.uid:
            raise refused("EMAIL_EXISTS")
        if holder.email is None:
            changes.update(email=email, email_verified=identity.email_verified)
    if email is not None and identity.email_verified and changes.get("email", holder.email) == email:
        changes["email_verified"] = True
    return _Found(account=holder, changes=changes)


def _signing_in(project: Project, identity: ProviderIdentity, *, now_seconds: int) -> _Found:
    known = project.accounts.by_identity(identity.provider_id, identity.raw_id)
    if known is not None:
        return _Found(account=known)
    profile = {
        "display_name": identity.display_name,
        "photo_url": identity.photo_url,
        "screen_name": identity.screen_name,
    }
    if project.settings.allow_duplicate_emails or identity.email is None:
        return _Found(account=None, changes=profile)
    owner = project.accounts.by_email(identity.email)
    if owner is None:
        return _Found(
            account=None, changes={**profile, "email": identity.email, "email_verified": identity.email_verified}
        )
    if not identity.email_verified:
        return _Found(account=owner, needs_confirmation=True)
    changes: dict[str, object] = {**profile, "email_verified": True}
    if not owner.email_verified:
        # Whoever made the account never showed that the address is theirs.
        changes.update(password=None, phone_number=None, valid_since_seconds=now_seconds)
    others = [link for link in owner.links if link.provider_id == identity.provider_id]
    return _Found(account=owner, changes=changes, is_recycled=bool(others))
