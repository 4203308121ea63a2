"""Making accounts: anonymous ones, which may become lasting later, those with a password, and those by an admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.auth.accounts.account_json import present
from afterimage_emulator.auth.accounts.accounts import PASSWORD_PROVIDER, Account
from afterimage_emulator.auth.accounts.passwords import new_password
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.accounts.second_factors import factors_of_request
from afterimage_emulator.auth.blocking.function_payload import SignInContext
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.operations.entrance import Entrance
from afterimage_emulator.auth.requests.request_reading import check_phone_number, is_email
from afterimage_emulator.auth.requests.requests import SignUp
from afterimage_emulator.auth.settings.password_policy import check_password
from afterimage_emulator.auth.tokens.sessions import SignedInUsers


class SigningUp:
    """The operation, which takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers, entrance: Entrance) -> None:
        self._sessions = sessions
        self._entrance = entrance

    async def sign_up(self, project: Project, request: SignUp, *, is_admin: bool) -> dict[str, object]:
        if is_admin:
            return self._create_for_admin(project, request)
        if request.local_id:
            raise refused("UNEXPECTED_PARAMETER : User ID")
        if request.id_token is None and request.password is None and request.email is None:
            return self._sign_up_anonymously(project)
        # As there: two empty strings are a bad address, one of them is a missing field.
        if not request.email and (request.password or request.id_token):
            raise refused("MISSING_EMAIL")
        if not request.email or not is_email(request.email):
            if request.email and not request.password:
                raise refused("MISSING_PASSWORD")
            raise refused("INVALID_EMAIL")
        if not request.password:
            raise refused("MISSING_PASSWORD")
        if not project.sign_in.allows_password:
            raise refused("OPERATION_NOT_ALLOWED")
        email = free_email(project, request.email)
        password = new_password(request.password)
        check_password(project.sign_in.password_policy, request.password)
        now_ms = self._sessions.now_ms()
        changes: dict[str, object] = {
            "email": email,
            "email_verified": False,
            "password": password,
            "password_updated_at_ms": now_ms,
            "valid_since_seconds": self._sessions.now_seconds(),
            "last_login_at_ms": now_ms,
        }
        if request.display_name is not None:
            changes["display_name"] = request.display_name
        if request.id_token is not None:
            account, _ = self._sessions.authenticate(project, request.id_token)
            account = account.changed(changes)
            return _signed_up(account, self._sessions.issue(project, account, PASSWORD_PROVIDER))
        context = SignInContext(method=PASSWORD_PROVIDER)
        account = await self._entrance.create(project, self._entrance.new_account(project).changed(changes), context)
        account, tokens = await self._entrance.enter(project, account, context, provider=PASSWORD_PROVIDER)
        return _signed_up(account, tokens)

    def _sign_up_anonymously(self, project: Project) -> dict[str, object]:
        if not project.sign_in.allows_anonymous:
            raise refused("ADMIN_ONLY_OPERATION")
        account = replace(self._entrance.new_account(project), last_login_at_ms=self._sessions.now_ms())
        return _signed_up(account, self._sessions.issue(project, account, "anonymous"))

    def _create_for_admin(self, project: Project, request: SignUp) -> dict[str, object]:
        if request.id_token is not None:
            raise refused("UNEXPECTED_PARAMETER : ID token")
        if request.local_id is not None and not 0 < len(request.local_id) <= 128:
            raise refused("INVALID_LOCAL_ID")
        if request.local_id is not None and project.accounts.by_uid(request.local_id) is not None:
            raise refused("DUPLICATE_LOCAL_ID")
        phone_number = check_phone_number(request.phone_number) if request.phone_number else None
        if phone_number is not None and project.accounts.by_phone_number(phone_number) is not None:
            raise refused("PHONE_NUMBER_EXISTS")
        email = free_email(project, request.email) if request.email else None
        account = self._entrance.new_account(project)
        account = replace(
            account,
            uid=request.local_id or account.uid,
            email=email,
            email_verified=bool(request.email_verified),
            display_name=request.display_name,
            photo_url=request.photo_url,
            phone_number=phone_number,
            disabled=request.disabled or None,
        )
        if request.password:
            account = replace(
                account,
                password=new_password(request.password),
                password_updated_at_ms=self._sessions.now_ms(),
                valid_since_seconds=self._sessions.now_seconds(),
            )
            check_password(project.sign_in.password_policy, request.password)
        if request.mfa_info:
            account = replace(account, second_factors=factors_of_request(request.mfa_info, make_ids=True))
        return _signed_up(project.accounts.create(account), {})


def _signed_up(account: Account, tokens: Mapping[str, object]) -> dict[str, object]:
    answer = {
        "kind": "identitytoolkit#SignupNewUserResponse",
        "localId": account.uid,
        "email": account.email,
        "displayName": account.display_name,
    }
    return present({**answer, **tokens})


def free_email(project: Project, email: str) -> str:
    if not is_email(email):
        raise refused("INVALID_EMAIL")
    email = email.lower()
    if project.accounts.by_email(email) is not None:
        raise refused("EMAIL_EXISTS")
    return email
