"""Signing in by phone: the code of an SMS is listed instead of sent, and good for one use."""

from __future__ import annotations

from afterimage_emulator.auth.accounts.accounts import PHONE_PROVIDER
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.blocking.function_payload import SignInContext
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.operations.entrance import Entrance
from afterimage_emulator.auth.requests.request_reading import check_phone_number
from afterimage_emulator.auth.requests.requests import SendVerificationCode, SignInWithPhoneNumber
from afterimage_emulator.auth.tokens.sessions import SignedInUsers

_HAS_SECOND_FACTOR = (
    "UNSUPPORTED_FIRST_FACTOR : A phone number cannot be set as a first factor on an SMS based MFA user."
)
PROOF_LIFETIME_SECONDS = 3600


class PhoneSignIn:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers, entrance: Entrance) -> None:
        self._sessions = sessions
        self._entrance = entrance

    def send_verification_code(
        self, project: Project, request: SendVerificationCode, *, is_admin: bool
    ) -> dict[str, object]:
        """Any reCAPTCHA answer will do, and none: nothing is sent that could be abused."""
        number = check_phone_number(request.phone_number or "")
        owner = project.accounts.by_phone_number(number)
        if owner is not None and owner.second_factors:
            raise refused(_HAS_SECOND_FACTOR)
        return {"sessionInfo": project.phone_codes.create(number).session_info}

    async def sign_in_with_phone_number(
        self, project: Project, request: SignInWithPhoneNumber, *, is_admin: bool
    ) -> dict[str, object]:
        """The account of the number, a new one if need be; an ID token's account is given the number."""
        number = _proven_number(project, request)
        owner = project.accounts.by_phone_number(number)
        holder = self._sessions.authenticate(project, request.id_token)[0] if request.id_token else None
        if owner is not None and holder is not None and owner.uid != holder.uid:
            if request.temporary_proof:
                raise refused("PHONE_NUMBER_EXISTS")
            return {
                "phoneNumber": number,
                "temporaryProof": project.phone_codes.prove(number),
                "temporaryProofExpiresIn": str(PROOF_LIFETIME_SECONDS),
            }
        known = holder or owner
        changes: dict[str, object] = {"phone_number": number, "last_login_at_ms": self._sessions.now_ms()}
        context = SignInContext(method=PHONE_PROVIDER)
        if known is None:
            account = await self._entrance.create(
                project, self._entrance.new_account(project).changed(changes), context
            )
            changes = {}
        else:
            if known.disabled:
                raise refused("USER_DISABLED")
            if known.second_factors:
                raise refused(_HAS_SECOND_FACTOR)
            account = known
        account, tokens = await self._entrance.enter(
            project, account, context, provider=PHONE_PROVIDER, changes=changes
        )
        return {"isNewUser": known is None, "phoneNumber": number, "localId": account.uid, **tokens}


def _proven_number(project: Project, request: SignInWithPhoneNumber) -> str:
    if request.temporary_proof:
        if not request.phone_number:
            raise refused("MISSING_PHONE_NUMBER")
        if not project.phone_codes.is_proof(request.temporary_proof, request.phone_number):
            raise refused("INVALID_TEMPORARY_PROOF")
        return request.phone_number
    if not request.session_info:
        raise refused("MISSING_SESSION_INFO")
    if not request.code:
        raise refused("MISSING_CODE")
    return shown_number(project, request.session_info, request.code)


def shown_number(project: Project, session_info: str, text: str) -> str:
    """The number that the code was for, which is used up; a wrong code is not."""
    code = project.phone_codes.get(session_info)
    if code is None:
        raise refused("INVALID_SESSION_INFO")
    if code.code != text:
        raise refused("INVALID_CODE")
    project.phone_codes.use(session_info)
    return code.phone_number
