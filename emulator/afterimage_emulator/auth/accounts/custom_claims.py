"""What may stand in custom claims: any JSON object of moderate size that takes no name of the token's own."""

from __future__ import annotations

from afterimage_emulator.auth.errors import refused
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json

MAXIMUM_CHARACTERS = 1000
RESERVED = (
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "cnf",
    "c_hash",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "sub",
    "firebase",
)


def check_serialized_claims(text: str) -> None:
    if len(text) > MAXIMUM_CHARACTERS:
        raise refused("CLAIMS_TOO_LARGE")
    try:
        claims = read_json(text)
    except UnreadableJsonError:
        raise refused("INVALID_CLAIMS") from None
    check_claims(claims)


def check_claims(claims: object) -> dict[str, object]:
    if not isinstance(claims, dict):
        raise refused("INVALID_CLAIMS")
    for name in RESERVED:
        if name in claims:
            raise refused(f"FORBIDDEN_CLAIM : {name}")
    return claims
