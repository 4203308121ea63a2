"""Second factors of accounts: phones that get a code by SMS, and authenticator apps (RFC 6238, six digits)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.identifiers import new_id

PERIOD_SECONDS: Final = 30
CODE_LENGTH: Final = 6
MOST_FACTORS: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondFactor:
    """A phone, or an authenticator app with the secret that it shares with Auth."""

    enrollment_id: str
    display_name: str | None = None
    enrolled_at: str | None = None
    phone_number: str | None = None
    totp_secret: str | None = None

    @property
    def kind(self) -> str:
        return "phone" if self.totp_secret is None else "totp"


def factor_json(factor: SecondFactor, *, with_secret: bool = False) -> dict[str, object]:
    """As listings and exports show it: SDKs know an authenticator app by `totpInfo`, and by having no `phoneInfo`."""
    fields: dict[str, object] = {
        "displayName": factor.display_name,
        "enrolledAt": factor.enrolled_at,
        "mfaEnrollmentId": factor.enrollment_id,
        "phoneInfo": factor.phone_number,
        "unobfuscatedPhoneInfo": factor.phone_number,
    }
    if factor.totp_secret is not None:
        fields["totpInfo"] = {"sharedSecretKey": factor.totp_secret} if with_secret else {}
    return {name: value for name, value in fields.items() if value is not None}


def offered_json(factor: SecondFactor) -> dict[str, object]:
    """As somebody sees it who has shown only the first factor."""
    fields = factor_json(factor)
    fields.pop("unobfuscatedPhoneInfo", None)
    if factor.phone_number is not None:
        fields["phoneInfo"] = obfuscated(factor.phone_number)
    return fields


def obfuscated(phone_number: str) -> str:
    """All digits but the last four become stars."""
    digits = sum(character.isdecimal() for character in phone_number)
    seen = 0
    shown = []
    for character in phone_number:
        seen += character.isdecimal()
        shown.append("*" if character.isdecimal() and seen <= digits - 4 else character)
    return "".join(shown)


def factors_of_request(entries: Iterable[Mapping[str, object]], *, make_ids: bool) -> tuple[SecondFactor, ...]:
    """The phones that an administrator lists; a number that is listed twice counts once."""
    found: dict[str, SecondFactor] = {}
    for entry in entries:
        number = _text(entry.get("phoneInfo"))
        if number is None or not number.startswith("+"):
            raise refused("INVALID_MFA_PHONE_NUMBER : Invalid format.")
        if number in found:
            continue
        enrollment_id = new_id() if make_ids else _text(entry.get("mfaEnrollmentId"))
        if not enrollment_id:
            raise refused("INVALID_MFA_ENROLLMENT_ID : mfaEnrollmentId must be defined.")
        if any(enrollment_id == factor.enrollment_id for factor in found.values()):
            raise refused("DUPLICATE_MFA_ENROLLMENT_ID")
        found[number] = SecondFactor(
            enrollment_id=enrollment_id,
            display_name=_text(entry.get("displayName")),
            enrolled_at=_text(entry.get("enrolledAt")),
            phone_number=number,
        )
    return tuple(found.values())


def imported_factors(entries: Iterable[Mapping[str, object]], *, now: str) -> tuple[SecondFactor, ...]:
    """As `factors_of_request`, in the words of imports, and with the authenticator apps of an export."""
    listed = list(entries)
    ids = [entry["mfaEnrollmentId"] for entry in listed if _text(entry.get("mfaEnrollmentId"))]
    if len(set(ids)) != len(ids):
        raise refused("Enrollment id already exists.")
    found = []
    for entry in listed:
        number, totp = _text(entry.get("phoneInfo")), entry.get("totpInfo")
        secret = _text(totp.get("sharedSecretKey")) if isinstance(totp, dict) else None
        if not number and (not secret or _key(secret) is None):
            raise refused("Second factor not supported.")
        if number and not number.startswith("+"):
            raise refused("Phone number format is invalid")
        found.append(
            SecondFactor(
                enrollment_id=_text(entry.get("mfaEnrollmentId")) or new_id(),
                display_name=_text(entry.get("displayName")),
                enrolled_at=_text(entry.get("enrolledAt")) or now,
                phone_number=number or None,
                totp_secret=None if number else secret,
            )
        )
    return tuple(found)


def new_totp_secret() -> str:
    return base64.b32encode(secrets.token_bytes(20)).decode()


def totp_code(secret: str, step: int) -> str:
    """The code of the `step`-th period since the epoch."""
    digest = hmac.new(_key(secret) or b"", step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**CODE_LENGTH:0{CODE_LENGTH}}"


def matching_step(secret: str, code: str, *, now_seconds: int, adjacent: int) -> int | None:
    """The period whose code this is, up to `adjacent` periods away: clocks of phones are never quite right."""
    step = now_seconds // PERIOD_SECONDS
    candidates = (step + away for distance in range(adjacent + 1) for away in {distance, -distance})
    return next((each for each in candidates if each >= 0 and hmac.compare_digest(totp_code(secret, each), code)), None)


def _key(secret: str) -> bytes | None:
    if re.fullmatch(r"[A-Z2-7]{16,128}=*", secret) is None:
        return None
    try:
        return base64.b32decode(secret + "=" * (-len(secret) % 8))
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
