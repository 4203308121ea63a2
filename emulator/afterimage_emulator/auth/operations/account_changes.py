"""Changing and deleting an account, by its owner, by an admin, or by a code that came by e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.auth.accounts.account_json import link_json, present
from afterimage_emulator.auth.accounts.accounts import PASSWORD_PROVIDER, PHONE_PROVIDER, Account, ProviderLink
from afterimage_emulator.auth.accounts.custom_claims import check_serialized_claims
from afterimage_emulator.auth.accounts.links import checked_continue_url
from afterimage_emulator.auth.accounts.oob_codes import OobCode, Purpose
from afterimage_emulator.auth.accounts.passwords import new_password
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.accounts.second_factors import SecondFactor, factors_of_request
from afterimage_emulator.auth.errors import malformed, not_in_auth, refused
from afterimage_emulator.auth.operations.importing import told_link
from afterimage_emulator.auth.requests.request_reading import check_phone_number, is_email, read_request
from afterimage_emulator.auth.requests.requests import Delete, ImportedLink, ResetPassword, SendOobCode, Update
from afterimage_emulator.auth.settings.password_policy import check_password
from afterimage_emulator.auth.tokens.sessions import SignedInUsers

ASKED_FOR = frozenset(
    (Purpose.PASSWORD_RESET, Purpose.VERIFY_EMAIL, Purpose.VERIFY_AND_CHANGE_EMAIL, Purpose.EMAIL_SIGNIN)
)


class AccountChanges:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers) -> None:
        self._sessions = sessions

    # -- updating

    def update(self, project: Project, request: Update, *, is_admin: bool) -> dict[str, object]:
        if not is_admin:
            if not request.id_token and not request.oob_code:
                raise refused("INVALID_REQ_TYPE : Unsupported request parameters.")
            if request.custom_attributes is not None:
                raise refused("INSUFFICIENT_PERMISSION")
        elif not request.local_id:
            raise refused("MISSING_LOCAL_ID")
        if request.custom_attributes:
            check_serialized_claims(request.custom_attributes)
        for attribute in request.delete_attribute:
            if attribute in ("PROVIDER", "RAW_USER_INFO"):
                raise not_in_auth(f"deleteAttribute {attribute}")
        if request.oob_code:
            return self._apply_code(project, request.oob_code)
        provider = None
        if request.id_token:
            account, token = self._sessions.authenticate(project, request.id_token)
            provider = token.sign_in_provider
            if request.disable_user is not None:
                raise refused("OPERATION_NOT_ALLOWED")
        else:
            known = project.accounts.by_uid(request.local_id or "")
            if known is None:
                raise refused("USER_NOT_FOUND")
            account = known
        return self._update(project, account, request, provider=provider, is_admin=is_admin)

    def _update(
        self, project: Project, account: Account, request: Update, *, provider: str | None, is_admin: bool
    ) -> dict[str, object]:
        new_email = self._checked_new_email(project, account, request)
        takes_address = new_email not in (None, account.email)
        ends_sessions = bool(request.password or request.valid_since is not None or takes_address)
        changed = self._changed(project, account, request, new_email, provider, ends_sessions, is_admin=is_admin)
        changed = project.accounts.put(changed)
        if takes_address and provider != "anonymous" and changed.initial_email is not None:
            # Whoever lost the account to a thief gets it back by the mail that this is.
            project.oob_codes.create(
                purpose=Purpose.RECOVER_EMAIL, uid=changed.uid, email=changed.initial_email, origin=request.origin
            )
        provider = PASSWORD_PROVIDER if request.password else provider
        answer = {**_updated(changed), **({} if new_email is None else {"newEmail": new_email})}
        if not ends_sessions or provider is None:
            return answer
        # The change has ended the sessions of before; the one that made it goes on with new tokens.
        return {**answer, **self._sessions.issue(project, changed, provider)}

    def _checked_new_email(self, project: Project, account: Account, request: Update) -> str | None:
        if not request.email:
            return None
        if not is_email(request.email):
            raise refused("INVALID_EMAIL")
        email = request.email.lower()
        if email != account.email and project.accounts.by_email(email) is not None:
            raise refused("EMAIL_EXISTS")
        return email

    def _changed(
        self,
        project: Project,
        account: Account,
        request: Update,
        new_email: str | None,
        provider: str | None,
        ends_sessions: bool,
        *,
        is_admin: bool,
    ) -> Account:
        changes: dict[str, object] = {}
        if new_email is not None and new_email != account.email:
            changes.update(email=new_email, email_verified=False)
            if provider != "anonymous" and account.email is not None and account.initial_email is None:
                changes["initial_email"] = account.email
        if request.password:
            changes.update(password=new_password(request.password), password_updated_at_ms=self._sessions.now_ms())
            check_password(project.sign_in.password_policy, request.password)
        if ends_sessions:
            changes["valid_since_seconds"] = self._sessions.now_seconds()
        if request.display_name is not None:
            changes["display_name"] = request.display_name
        if request.photo_url is not None:
            changes["photo_url"] = request.photo_url
        if request.mfa is not None:
            if not is_admin:
                raise refused("INSUFFICIENT_PERMISSION")
            changes["second_factors"] = _listed_factors(account, request.mfa)
        if is_admin:
            changes.update(_admin_changes(request))
        changes.update(_removals(request))
        changed = account.changed(changes).without_links(request.delete_provider)
        if request.delete_passkey:
            kept = tuple(one for one in changed.passkeys if one.credential_id not in request.delete_passkey)
            changed = replace(changed, passkeys=kept)
        if request.link_provider_user_info is not None:
            changed = changed.with_link(_link_to_add(request.link_provider_user_info, is_admin=is_admin))
        return changed

    # -- deleting

    def delete(self, project: Project, request: Delete, *, is_admin: bool) -> dict[str, object]:
        if is_admin:
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
        account = new_email = None
        if purpose is Purpose.EMAIL_SIGNIN:
            if not project.sign_in.allows_email_link:
                raise refused("OPERATION_NOT_ALLOWED")
            email = _required_email(request.email)
        elif purpose is Purpose.PASSWORD_RESET:
            email = _required_email(request.email)
            account = project.accounts.by_email(email)
            if account is None:
                if project.settings.improved_email_privacy:
                    return {**answer, "email": email}
                raise refused("EMAIL_NOT_FOUND")
        else:
            changes = purpose is Purpose.VERIFY_AND_CHANGE_EMAIL
            new_email = _checked_email_to_be(request.new_email) if changes else None
            account = self._account_of_code_request(project, request, changes=changes, is_admin=is_admin)
            if account.email is None:
                raise refused("MISSING_EMAIL")
            email = account.email
            if new_email is not None and project.accounts.by_email(new_email) is not None:
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

    def _account_of_code_request(
        self, project: Project, request: SendOobCode, *, changes: bool, is_admin: bool
    ) -> Account:
        if is_admin and request.return_oob_link and not request.id_token:
            account = project.accounts.by_email(_required_email(request.email))
            if account is None:
                raise refused("USER_NOT_FOUND")
            return account
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN" if changes else "INVALID_ID_TOKEN")
        return self._sessions.authenticate(project, request.id_token)[0]

    def reset_password(self, project: Project, request: ResetPassword, *, is_admin: bool) -> dict[str, object]:
        """Without a new password it only tells what the code is for."""
        if not project.sign_in.allows_password:
            raise refused("PASSWORD_LOGIN_DISABLED")
        if not request.oob_code:
            raise refused("MISSING_OOB_CODE")
        code = project.oob_codes.get(request.oob_code)
        if code is None:
            raise refused("INVALID_OOB_CODE")
        if request.new_password:
            if code.purpose is not Purpose.PASSWORD_RESET:
                raise refused("INVALID_OOB_CODE")
            password = new_password(request.new_password)
            check_password(project.sign_in.password_policy, request.new_password)
            account = self._account_of(project, code)
            # The reader of the mailbox owns the address; identities linked before may be somebody else's.
            project.accounts.put(
                replace(
                    account,
                    email_verified=True,
                    password=password,
                    password_updated_at_ms=self._sessions.now_ms(),
                    valid_since_seconds=self._sessions.now_seconds(),
                    links=(),
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
        if code.purpose is Purpose.RECOVER_EMAIL:
            return _updated(project.accounts.put(replace(account, email=code.email, email_verified=True)))
        changed = replace(
            account, email=code.new_email, email_verified=True, valid_since_seconds=self._sessions.now_seconds()
        )
        return present({**_updated(project.accounts.put(changed)), "newEmail": code.new_email})

    def _account_of(self, project: Project, code: OobCode) -> Account:
        """Uses the code up. It was for one address: once the account has another, it is worth nothing."""
        project.oob_codes.use(code.code)
        account = None if code.uid is None else project.accounts.by_uid(code.uid)
        known_by = None if account is None else account.email
        if account is not None and code.purpose is Purpose.RECOVER_EMAIL:
            known_by = account.initial_email
        if account is None or known_by != code.email:
            raise refused("INVALID_OOB_CODE")
        if account.disabled:
            raise refused("USER_DISABLED")
        return account


def _admin_changes(request: Update) -> dict[str, object]:
    changes: dict[str, object] = {}
    if request.phone_number:
        changes["phone_number"] = check_phone_number(request.phone_number)
    if request.custom_attributes is not None:
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


def _removals(request: Update) -> dict[str, object]:
    removed: dict[str, object] = {}
    for attribute in request.delete_attribute:
        match attribute:
            case "DISPLAY_NAME":
                removed["display_name"] = None
            case "PHOTO_URL":
                removed["photo_url"] = None
            case "PASSWORD":
                removed["password"] = None
            case "EMAIL":
                removed.update(email=None, email_verified=None, has_email_link=False)
    if PASSWORD_PROVIDER in request.delete_provider:
        removed.update(email=None, email_verified=None, password=None, has_email_link=False)
    if PHONE_PROVIDER in request.delete_provider:
        removed["phone_number"] = None
    return removed


def _listed_factors(account: Account, mfa: Mapping[str, object]) -> tuple[SecondFactor, ...]:
    """The phones that are listed, in the place of those before; authenticator apps stay where their ids are named."""
    enrollments = mfa.get("enrollments") or []
    if not isinstance(enrollments, list) or not all(isinstance(entry, dict) for entry in enrollments):
        raise malformed("/mfa/enrollments must be array")
    apps = {one.enrollment_id: one for one in account.second_factors if one.totp_secret is not None}
    named = [entry for entry in enrollments if entry.get("mfaEnrollmentId") in apps and not entry.get("phoneInfo")]
    phones = factors_of_request([entry for entry in enrollments if entry not in named], make_ids=False)
    return (*phones, *(apps[entry["mfaEnrollmentId"]] for entry in named))


def _link_to_add(fields: Mapping[str, object], *, is_admin: bool) -> ProviderLink:
    if not is_admin:
        raise refused("INSUFFICIENT_PERMISSION")
    told = read_request(ImportedLink, fields, path="/linkProviderUserInfo")
    if not told.provider_id:
        raise refused("MISSING_PROVIDER_ID")
    if not told.raw_id:
        raise refused("MISSING_RAW_ID")
    return told_link(fields)


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
    if request_type not in ASKED_FOR:
        raise not_in_auth(f"requestType {request_type}")
    return Purpose(request_type)


def _checked_email_to_be(email: str | None) -> str:
    if not email:
        raise refused("MISSING_NEW_EMAIL")
    if not is_email(email):
        raise refused("INVALID_NEW_EMAIL")
    return email.lower()


def _required_email(email: str | None) -> str:
    if not email:
        raise refused("MISSING_EMAIL")
    if not is_email(email):
        raise refused("INVALID_EMAIL")
    return email.lower()
