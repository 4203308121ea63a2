"""Codes that would travel by e-mail: kept where a test can read them instead of being sent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode


class Purpose(StrEnum):
    """What following the link does; the values are the official names."""

    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105  the official name, not a secret
    VERIFY_EMAIL = "VERIFY_EMAIL"
    VERIFY_AND_CHANGE_EMAIL = "VERIFY_AND_CHANGE_EMAIL"
    EMAIL_SIGNIN = "EMAIL_SIGNIN"
    RECOVER_EMAIL = "RECOVER_EMAIL"


_MODES = {
    Purpose.PASSWORD_RESET: "resetPassword",
    Purpose.VERIFY_EMAIL: "verifyEmail",
    Purpose.VERIFY_AND_CHANGE_EMAIL: "verifyAndChangeEmail",
    Purpose.EMAIL_SIGNIN: "signIn",
    Purpose.RECOVER_EMAIL: "recoverEmail",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class OobCode:
    """One code, for one account or one address, good for one use."""

    code: str
    link: str
    purpose: Purpose
    uid: str | None
    """Nobody's where it is for whoever reads the address's mail."""
    email: str
    new_email: str | None = None
    continue_url: str | None = None


class OobCodes:
    """The codes of one project, or of one tenant, that nobody has used yet."""

    def __init__(self, *, tenant_id: str | None = None) -> None:
        self._tenant_id = tenant_id
        self._codes: dict[str, OobCode] = {}

    def __iter__(self) -> Iterator[OobCode]:
        return iter(tuple(self._codes.values()))

    def create(
        self,
        *,
        purpose: Purpose,
        uid: str | None,
        email: str,
        origin: str,
        new_email: str | None = None,
        continue_url: str | None = None,
    ) -> OobCode:
        code = secrets.token_urlsafe(40)
        query = {"mode": _MODES[purpose], "lang": "en", "oobCode": code, "apiKey": "fake-api-key"}
        if continue_url is not None:
            query["continueUrl"] = continue_url
        if self._tenant_id is not None:
            query["tenantId"] = self._tenant_id
        made = OobCode(
            code=code,
            link=f"{origin}/emulator/action?{urlencode(query)}",
            purpose=purpose,
            uid=uid,
            email=email,
            new_email=new_email,
            continue_url=continue_url,
        )
        self._codes[code] = made
        return made

    def get(self, code: str) -> OobCode | None:
        return self._codes.get(code)

    def use(self, code: str) -> None:
        self._codes.pop(code, None)

    def clear(self) -> None:
        self._codes.clear()
