"""Second factors: enrolled, used to finish a sign-in, and taken away; by SMS or by an authenticator app."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.auth.accounts.account_json import iso_time
from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.accounts.second_factors import (
    CODE_LENGTH,
    MOST_FACTORS,
    PERIOD_SECONDS,
    SecondFactor,
    matching_step,
    new_totp_secret,
    obfuscated,
)
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.identifiers import new_id
from afterimage_emulator.auth.operations.entrance import Entrance
from afterimage_emulator.auth.operations.phone_sign_in import shown_number
from afterimage_emulator.auth.requests.request_reading import check_phone_number, read_request
from afterimage_emulator.auth.requests.requests import (
    EnrollSecondFactor,
    ShownCode,
    SignInWithSecondFactor,
    WithdrawSecondFactor,
)
from afterimage_emulator.auth.tokens.pending_sign_ins import read_pending_sign_in
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.auth.tokens.sign_in_tokens import IdToken, UsedFactor

_NO_FIRST_FACTORS: Final = frozenset(("anonymous", "phone", "custom", "gc.apple.com"))
_ENROLLMENT_SECONDS: Final = 300
_NO_SMS: Final = "OPERATION_NOT_ALLOWED : SMS based MFA not enabled."
_NO_TOTP: Final = "OPERATION_NOT_ALLOWED : TOTP based MFA not enabled."
_ENROLLED_BEFORE: Final = "SECOND_FACTOR_EXISTS : Phone number already enrolled as second factor for this account."


@dataclass(frozen=True, kw_only=True, slots=True)
class _OfferedSecret:
    """A secret that an authenticator app was shown and that has proved nothing yet."""

    uid: str
    secret: str
    until_seconds: int


class SecondFactorOperations:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers, entrance: Entrance) -> None:
        self._sessions = sessions
        self._entrance = entrance
        self._offered: dict[str, _OfferedSecret] = {}
        self._used_steps: dict[tuple[str, str | None, str], int] = {}

    def forget(self) -> None:
        self._offered.clear()
        self._used_steps.clear()

    # -- enrolling

    def start_enrollment(self, project: Project, request: EnrollSecondFactor, *, is_admin: bool) -> dict[str, object]:
        _check_allowed(project, by_totp=request.totp_enrollment_info is not None)
        account, _ = self._enrolling(project, request)
        if not account.email_verified:
            raise refused("UNVERIFIED_EMAIL : Need to verify email first before enrolling second factors.")
        if request.totp_enrollment_info is not None:
            return {"totpSessionInfo": self._offer_secret(account)}
        if request.phone_enrollment_info is None:
            raise refused("INVALID_ARGUMENT : ((Missing phoneEnrollmentInfo.))")
        told = read_request(ShownCode, request.phone_enrollment_info, path="/phoneEnrollmentInfo")
        number = check_phone_number(told.phone_number or "")
        if any(factor.phone_number == number for factor in account.second_factors):
            raise refused(_ENROLLED_BEFORE)
        return {"phoneSessionInfo": {"sessionInfo": project.phone_codes.create(number).session_info}}

    def finalize_enrollment(
        self, project: Project, request: EnrollSecondFactor, *, is_admin: bool
    ) -> dict[str, object]:
        by_totp = request.totp_verification_info is not None
        _check_allowed(project, by_totp=by_totp)
        account, token = self._enrolling(project, request)
        number = secret = None
        if by_totp:
            secret = self._accepted_secret(project, account, request)
        else:
            number = _shown_phone(project, request)
            if any(factor.phone_number == number for factor in account.second_factors):
                raise refused(_ENROLLED_BEFORE)
        if len(account.second_factors) >= MOST_FACTORS:
            raise refused("SECOND_FACTOR_LIMIT_EXCEEDED")
        factor = SecondFactor(
            enrollment_id=new_id(),
            display_name=request.display_name,
            enrolled_at=iso_time(self._sessions.now_ms()),
            phone_number=number,
            totp_secret=secret,
        )
        account = project.accounts.put(replace(account, second_factors=(*account.second_factors, factor)))
        used = UsedFactor(enrollment_id=factor.enrollment_id, kind=factor.kind)
        tokens = self._sessions.issue(project, account, token.sign_in_provider, second_factor=used)
        return {"idToken": tokens["idToken"], "refreshToken": tokens["refreshToken"]}

    def withdraw(self, project: Project, request: WithdrawSecondFactor, *, is_admin: bool) -> dict[str, object]:
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN")
        account, token = self._sessions.authenticate(project, request.id_token)
        kept = tuple(one for one in account.second_factors if one.enrollment_id != request.mfa_enrollment_id)
        if len(kept) == len(account.second_factors):
            raise refused("MFA_ENROLLMENT_NOT_FOUND")
        account = project.accounts.put(replace(account, second_factors=kept))
        return {**self._sessions.issue(project, account, token.sign_in_provider)}

    def _enrolling(self, project: Project, request: EnrollSecondFactor) -> tuple[Account, IdToken]:
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN")
        account, token = self._sessions.authenticate(project, request.id_token)
        if token.sign_in_provider in _NO_FIRST_FACTORS:
            raise refused("UNSUPPORTED_FIRST_FACTOR : MFA is not available for the given first factor.")
        return account, token

    def _offer_secret(self, account: Account) -> dict[str, object]:
        now = self._sessions.now_seconds()
        self._offered = {name: one for name, one in self._offered.items() if one.until_seconds >= now}
        offered = _OfferedSecret(uid=account.uid, secret=new_totp_secret(), until_seconds=now + _ENROLLMENT_SECONDS)
        session = secrets.token_urlsafe(48)
        self._offered[session] = offered
        return {
            "sharedSecretKey": offered.secret,
            "verificationCodeLength": CODE_LENGTH,
            "hashingAlgorithm": "SHA1",
            "periodSec": PERIOD_SECONDS,
            "sessionInfo": session,
            "finalizeEnrollmentTime": iso_time(offered.until_seconds * 1000),
        }

    def _accepted_secret(self, project: Project, account: Account, request: EnrollSecondFactor) -> str:
        shown = read_request(ShownCode, request.totp_verification_info or {}, path="/totpVerificationInfo")
        if not shown.session_info:
            raise refused("MISSING_SESSION_INFO")
        if not shown.verification_code:
            raise refused("MISSING_CODE")
        offered = self._offered.get(shown.session_info)
        if offered is None or offered.uid != account.uid:
            raise refused("INVALID_SESSION_INFO")
        if offered.until_seconds < self._sessions.now_seconds():
            del self._offered[shown.session_info]
            raise refused("SESSION_EXPIRED")
        adjacent = project.sign_in.second_factors.adjacent_intervals
        now = self._sessions.now_seconds()
        if matching_step(offered.secret, shown.verification_code, now_seconds=now, adjacent=adjacent) is None:
            raise refused("INVALID_CODE")
        del self._offered[shown.session_info]
        return offered.secret

    # -- signing in

    def start_sign_in(self, project: Project, request: SignInWithSecondFactor, *, is_admin: bool) -> dict[str, object]:
        """Only phones need it: an authenticator app knows its code without being asked."""
        if not project.sign_in.second_factors.by_sms:
            raise refused(_NO_SMS)
        if not request.mfa_pending_credential:
            raise refused("MISSING_MFA_PENDING_CREDENTIAL : Request does not have MFA pending credential.")
        if not request.mfa_enrollment_id:
            raise refused("MISSING_MFA_ENROLLMENT_ID : No second factor identifier is provided.")
        account = self._waiting(project, request.mfa_pending_credential)
        factor = next((one for one in account.second_factors if one.enrollment_id == request.mfa_enrollment_id), None)
        if factor is None:
            raise refused("MFA_ENROLLMENT_NOT_FOUND")
        if factor.phone_number is None:
            raise refused("INVALID_ARGUMENT : MFA provider not supported!")
        return {"phoneResponseInfo": {"sessionInfo": project.phone_codes.create(factor.phone_number).session_info}}

    async def finalize_sign_in(
        self, project: Project, request: SignInWithSecondFactor, *, is_admin: bool
    ) -> dict[str, object]:
        by_totp = request.totp_verification_info is not None
        _check_allowed(project, by_totp=by_totp)
        if not request.mfa_pending_credential:
            raise refused("MISSING_CREDENTIAL : Please set MFA Pending Credential.")
        if by_totp:
            account = self._waiting(project, request.mfa_pending_credential)
            used = self._shown_app(project, account, request)
        else:
            number = _shown_phone(project, request, otherwise="INVALID_ARGUMENT : MFA provider not supported!")
            account = self._waiting(project, request.mfa_pending_credential)
            numbers = (number, obfuscated(number))
            factor = next((one for one in account.second_factors if one.phone_number in numbers), None)
            if factor is None:
                raise refused("MFA_ENROLLMENT_NOT_FOUND")
            used = UsedFactor(enrollment_id=factor.enrollment_id, kind=factor.kind)
        pending = read_pending_sign_in(request.mfa_pending_credential)
        tokens = await self._entrance.enter_with_second_factor(project, account, pending, used)
        return {"idToken": tokens["idToken"], "refreshToken": tokens["refreshToken"]}

    def _waiting(self, project: Project, credential: str) -> Account:
        pending = read_pending_sign_in(credential)
        if (pending.project_id, pending.tenant_id) != (project.id, project.tenant_id):
            raise refused("INVALID_PROJECT_ID : Project ID does not match MFA pending credential.")
        account = project.accounts.by_uid(pending.uid)
        if account is None:
            raise refused("((User in pendingCredentialPayload does not exist.))")
        return account

    def _shown_app(self, project: Project, account: Account, request: SignInWithSecondFactor) -> UsedFactor:
        shown = read_request(ShownCode, request.totp_verification_info or {}, path="/totpVerificationInfo")
        factor = next((one for one in account.second_factors if one.enrollment_id == request.mfa_enrollment_id), None)
        if factor is None or factor.totp_secret is None:
            raise refused("MFA_ENROLLMENT_NOT_FOUND")
        if not shown.verification_code:
            raise refused("MISSING_CODE")
        step = matching_step(
            factor.totp_secret,
            shown.verification_code,
            now_seconds=self._sessions.now_seconds(),
            adjacent=project.sign_in.second_factors.adjacent_intervals,
        )
        # A code is good once: whoever looked over somebody's shoulder comes too late.
        key = (project.id, project.tenant_id, factor.enrollment_id)
        if step is None or step <= self._used_steps.get(key, -1):
            raise refused("INVALID_CODE")
        self._used_steps[key] = step
        return UsedFactor(enrollment_id=factor.enrollment_id, kind=factor.kind)


def _check_allowed(project: Project, *, by_totp: bool) -> None:
    allowed = project.sign_in.second_factors
    if not (allowed.by_totp if by_totp else allowed.by_sms):
        raise refused(_NO_TOTP if by_totp else _NO_SMS)


def _shown_phone(
    project: Project,
    request: EnrollSecondFactor | SignInWithSecondFactor,
    *,
    otherwise: str = "INVALID_ARGUMENT : ((Missing phoneVerificationInfo.))",
) -> str:
    if request.phone_verification_info is None:
        raise refused(otherwise)
    shown = read_request(ShownCode, request.phone_verification_info, path="/phoneVerificationInfo")
    if not shown.code:
        raise refused("MISSING_CODE")
    if not shown.session_info:
        raise refused("MISSING_SESSION_INFO")
    return shown_number(project, shown.session_info, shown.code)
