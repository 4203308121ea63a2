"""Changing and deleting an account, by its owner, by an admin, or by a code that came by e-mail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from afterimage_emulator.auth.accounts.account_json import link_json, present
from afterimage_emulator.auth.accounts.accounts import PASSWORD_PROVIDER, PHONE_PROVIDER, Account
from afterimage_emulator.auth.accounts.custom_claims import check_serialized_claims
from afterimage_emulator.auth.accounts.links import checked_continue_url
from afterimage_emulator.auth.accounts.oob_codes import OobCode, Purpose
from afterimage_emulator.auth.accounts.passwords import new_password
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import not_in_auth, refused
from afterimage_emulator.auth.requests.request_reading import check_phone_number, is_email
from afterimage_emulator.auth.requests.requests import Delete, ResetPassword, SendOobCode, Update
from afterimage_emulator.auth.tokens.sessions import SignedInUsers


class AccountChanges:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers) -> None:
        self._sessions = sessions

    # -- updating

    def update(self, project: Project, request: Update, *, is_admin: bool) -> dict[str, Any]:
        if request.oob_code:
            return self._apply_code(project, request.oob_code)
        if is_admin and not request.id_token:
            if not request.local_id:
                raise refused("MISSING_LOCAL_ID")
            account = project.accounts.by_uid(request.local_id)
            if account is None:
                raise refused("USER_NOT_FOUND")
            changed = self._changed(account, request, is_admin=True)
            return _updated(project.accounts.put(changed))
        if not request.id_token:
            raise refused("INVALID_REQ_TYPE : Unsupported request parameters.")
        if request.custom_attributes is not None:
            raise refused("INSUFFICIENT_PERMISSION")
        account, provider = self._sessions.authenticate(project, request.id_token)
        if request.disable_user is not None:
            raise refused("OPERATION_NOT_ALLOWED")
        changed = project.accounts.put(self._changed(account, request, is_admin=False))
        if not request.password and changed.email == account.email:
            return _updated(changed)
        # The change has ended the sessions of before; the one that made it goes on with new tokens.
        tokens = self._sessions.issue(project, changed, PASSWORD_PROVIDER if request.password else provider)
        return {**_updated(changed), **tokens}

    def _changed(self, account: Account, request: Update, *, is_admin: bool) -> Account:
        changes: dict[str, Any] = {}
        if request.email:
            if not is_email(request.email):
                raise refused("INVALID_EMAIL")
            if request.email.lower() != account.email:
                changes.update(email=request.email.lower(), email_verified=False)
        if request.password:
            changes["password"] = new_password(request.password, now_ms=self._sessions.now_ms())
        if changes:
            changes["valid_since_seconds"] = self._sessions.now_seconds()
        if request.display_name is not None:
            changes["display_name"] = request.display_name
        if request.photo_url is not None:
            changes["photo_url"] = request.photo_url
        if is_admin:
            changes.update(_admin_changes(request))
        changes.update(_removals(account, request))
        return replace(account, **changes)

    # -- deleting

    def delete(self, project: Project, request: Delete, *, is_admin: bool) -> dict[str, object]:
        if is_admin and not request.id_token:
            if not request.local_id:
                raise refused("MISSING_LOCAL_ID")
            uid = request.local_id
        else:
            if not request.id_token:
                raise refused("MISSING_ID_TOKEN")
            uid = self._sessions.authenticate(project, request.id_token)[0].uid
        if not project.accounts.delete(uid):
            raise refused("USER_NOT_FOUND")
        return {"kind": "identitytoolkit#DeleteAccountResponse"}

    # -- codes by e-mail

    def send_oob_code(self, project: Project, request: SendOobCode, *, is_admin: bool) -> dict[str, object]:
        purpose = _purpose(request.request_type)
        if request.return_oob_link and not is_admin:
            raise refused("INSUFFICIENT_PERMISSION")
        continue_url = checked_continue_url(request.continue_url) if request.continue_url else None
        answer = {"kind": "identitytoolkit#GetOobConfirmationCodeResponse"}
        account = None
        if purpose is Purpose.EMAIL_SIGNIN:
            email = _required_email(request.email)
        elif purpose is Purpose.PASSWORD_RESET:
            email = _required_email(request.email)
            account = project.accounts.by_email(email)
            if account is None:
                if project.improved_email_privacy:
                    return {**answer, "email": email}
                raise refused("EMAIL_NOT_FOUND")
        else:
            account = self._account_of_code_request(project, request, is_admin=is_admin)
            if account.email is None:
                raise refused("MISSING_EMAIL")
            email = account.email
        new_email = None
        if purpose is Purpose.VERIFY_AND_CHANGE_EMAIL:
            if not request.new_email:
                raise refused("MISSING_NEW_EMAIL")
            if not is_email(request.new_email):
                raise refused("INVALID_NEW_EMAIL")
            new_email = request.new_email.lower()
            if project.accounts.by_email(new_email) is not None:
                raise refused("EMAIL_EXISTS")
        made = project.oob_codes.create(
            purpose=purpose,
            uid=None if account is None else account.uid,
            email=email,
            new_email=new_email,
            origin=request.origin,
            continue_url=continue_url,
        )
        if request.return_oob_link:
            return {**answer, "email": made.email, "oobCode": made.code, "oobLink": made.link}
        return {**answer, "email": made.email}

    def _account_of_code_request(self, project: Project, request: SendOobCode, *, is_admin: bool) -> Account:
        if is_admin and request.return_oob_link and not request.id_token:
            account = project.accounts.by_email(_required_email(request.email))
            if account is None:
                raise refused("USER_NOT_FOUND")
            return account
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN")
        return self._sessions.authenticate(project, request.id_token)[0]

    def reset_password(self, project: Project, request: ResetPassword, *, is_admin: bool) -> dict[str, object]:
        """Without a new password it only tells what the code is for."""
        if not request.oob_code:
            raise refused("MISSING_OOB_CODE")
        code = project.oob_codes.get(request.oob_code)
        if code is None:
            raise refused("INVALID_OOB_CODE")
        if request.new_password:
            if code.purpose is not Purpose.PASSWORD_RESET:
                raise refused("INVALID_OOB_CODE")
            password = new_password(request.new_password, now_ms=self._sessions.now_ms())
            account = self._account_of(project, code)
            # The reader of the mailbox owns the address; identities linked before may be somebody else's.
            project.accounts.put(
                replace(
                    account,
                    email_verified=True,
                    password=password,
                    valid_since_seconds=self._sessions.now_seconds(),
                    federated=(),
                )
            )
        return present(
            {
                "kind": "identitytoolkit#ResetPasswordResponse",
                "requestType": code.purpose.value,
                # Whoever signs in by a link has to know the address that it went to.
                "email": None if code.purpose is Purpose.EMAIL_SIGNIN else code.email,
                "newEmail": code.new_email,
            }
        )

    def _apply_code(self, project: Project, text: str) -> dict[str, object]:
        code = project.oob_codes.get(text)
        if code is None or code.purpose in (Purpose.PASSWORD_RESET, Purpose.EMAIL_SIGNIN):
            raise refused("INVALID_OOB_CODE")
        account = self._account_of(project, code)
        if code.purpose is Purpose.VERIFY_EMAIL:
            return _updated(project.accounts.put(replace(account, email_verified=True)))
        changed = replace(
            account, email=code.new_email, email_verified=True, valid_since_seconds=self._sessions.now_seconds()
        )
        return present({**_updated(project.accounts.put(changed)), "newEmail": code.new_email})

    def _account_of(self, project: Project, code: OobCode) -> Account:
        """Uses the code up. It was for one address: once the account has another, it is worth nothing."""
        project.oob_codes.use(code.code)
        account = None if code.uid is None else project.accounts.by_uid(code.uid)
        if account is None or account.email != code.email:
            raise refused("INVALID_OOB_CODE")
        if account.disabled:
            raise refused("USER_DISABLED")
        return account


def _admin_changes(request: Update) -> dict[str, object]:
    changes: dict[str, object] = {}
    if request.phone_number:
        changes["phone_number"] = check_phone_number(request.phone_number)
    if request.custom_attributes is not None:
        if request.custom_attributes:
            check_serialized_claims(request.custom_attributes)
        changes["custom_claims"] = request.custom_attributes or None
    asked = {
        "email_verified": request.email_verified,
        "disabled": request.disable_user,
        "valid_since_seconds": request.valid_since,
        "created_at_ms": request.created_at,
        "last_login_at_ms": request.last_login_at,
    }
    changes.update({name: value for name, value in asked.items() if value is not None})
    return changes


def _removals(account: Account, request: Update) -> dict[str, object]:
    removed: dict[str, object] = {}
    for attribute in request.delete_attribute:
        match attribute:
            case "USER_ATTRIBUTE_NAME_UNSPECIFIED":
                continue
            case "DISPLAY_NAME":
                removed["display_name"] = None
            case "PHOTO_URL":
                removed["photo_url"] = None
            case "PASSWORD":
                removed["password"] = None
            case "EMAIL":
                removed.update(email=None, email_verified=False, has_email_link=False)
            case _:
                raise not_in_auth(f"deleteAttribute {attribute}")
    if PASSWORD_PROVIDER in request.delete_provider:
        removed.update(email=None, email_verified=False, password=None, has_email_link=False)
    if PHONE_PROVIDER in request.delete_provider:
        removed["phone_number"] = None
    kept = tuple(link for link in account.federated if link.provider_id not in request.delete_provider)
    if kept != account.federated:
        removed["federated"] = kept
    return removed


def _updated(account: Account) -> dict[str, object]:
    return present(
        {
            "kind": "identitytoolkit#SetAccountInfoResponse",
            "localId": account.uid,
            "email": account.email,
            "emailVerified": account.email_verified,
            "displayName": account.display_name,
            "photoUrl": account.photo_url,
            "passwordHash": account.password.hash if account.password else None,
            "providerUserInfo": [link_json(link) for link in account.links] or None,
        }
    )


def _purpose(request_type: str | None) -> Purpose:
    if not request_type or request_type == "OOB_REQ_TYPE_UNSPECIFIED":
        raise refused("MISSING_REQ_TYPE")
    if request_type == "RECOVER_EMAIL":
        raise not_in_auth(f"requestType {request_type}")
    try:
        return Purpose(request_type)
    except ValueError:
        raise refused("INVALID_REQ_TYPE : Unsupported request type.") from None


def _required_email(email: str | None) -> str:
    if not email:
        raise refused("MISSING_EMAIL")
    if not is_email(email):
        raise refused("INVALID_EMAIL")
    return email.lower()
