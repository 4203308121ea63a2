"""The tokens of sign-in: ID tokens and refresh tokens made and read, custom tokens read. No I/O, no state.

Nothing here is signed or checked for a signature. ID tokens do not run out by themselves, as in the official emulator;
revoking them does end them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from afterimage_emulator.auth.accounts.accounts import PASSWORD_PROVIDER, Account
from afterimage_emulator.auth.accounts.custom_claims import check_claims
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.front.callers import decode_claims
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object

LIFETIME_SECONDS = 3600
CUSTOM_TOKEN_AUDIENCE = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"  # noqa: S105  a name, not a secret
_REFRESH_TOKEN_MARK = "localRefreshToken"  # noqa: S105  a field name


@dataclass(frozen=True, kw_only=True, slots=True)
class IdToken:
    """What Auth's own operations need of an ID token."""

    uid: str
    project_id: str | None
    tenant_id: str | None
    issued_at_seconds: float
    sign_in_provider: str
    claims: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedFactor:
    """The second factor that a sign-in was completed with."""

    enrollment_id: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RefreshToken:
    """What a refresh token remembers of the sign-in that it prolongs."""

    uid: str
    project_id: str
    sign_in_provider: str
    issued_at_seconds: int
    auth_time_seconds: int
    tenant_id: str | None = None
    second_factor: UsedFactor | None = None
    extra_claims: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomToken:
    """Whom a server vouches for, and the claims it adds."""

    uid: str
    claims: Mapping[str, object]
    tenant_id: str | None = None
    is_jwt: bool = False


def encode_id_token(
    account: Account,
    *,
    project_id: str,
    sign_in_provider: str,
    now_seconds: int,
    auth_time_seconds: int,
    extra_claims: Mapping[str, object],
    second_factor: UsedFactor | None = None,
    sign_in_attributes: object = None,
) -> str:
    """The claims in the official emulator's order of precedence: what the token itself says is never overridden."""
    identities: dict[str, list[str]] = {}
    if account.email is not None:
        identities["email"] = [account.email]
    for link in account.links:
        if link.provider_id != PASSWORD_PROVIDER:
            identities.setdefault(link.provider_id, []).append(link.raw_id)
    firebase: dict[str, object] = {"identities": identities, "sign_in_provider": sign_in_provider}
    if second_factor is not None:
        firebase["second_factor_identifier"] = second_factor.enrollment_id
        firebase["sign_in_second_factor"] = second_factor.kind
    if account.tenant_id is not None:
        firebase["tenant"] = account.tenant_id
    if sign_in_attributes is not None:
        firebase["sign_in_attributes"] = sign_in_attributes
    claims: dict[str, object] = {
        "name": account.display_name,
        "picture": account.photo_url,
        **(json.loads(account.custom_claims) if account.custom_claims else {}),
        **extra_claims,
        "email": account.email,
        "email_verified": account.email_verified,
        "phone_number": account.phone_number,
        "provider_id": "anonymous" if sign_in_provider == "anonymous" else None,
        "auth_time": auth_time_seconds,
        "user_id": account.uid,
        "firebase": firebase,
        "iat": now_seconds,
        "exp": now_seconds + LIFETIME_SECONDS,
        "aud": project_id,
        "iss": f"https://securetoken.google.com/{project_id}",
        "sub": account.uid,
    }
    # A claim of one's own may be null; the token's own claims are left out where they have no value.
    own = {"name", "picture", "email", "email_verified", "phone_number", "provider_id"}
    return unsigned_jwt({name: value for name, value in claims.items() if value is not None or name not in own})


def read_id_token(token: str) -> IdToken:
    claims = decode_claims(token)
    if claims is None:
        raise refused("INVALID_ID_TOKEN")
    uid = claims.get("user_id") or claims.get("sub")
    audience, issued_at, firebase = claims.get("aud"), claims.get("iat"), claims.get("firebase")
    provider = firebase.get("sign_in_provider") if isinstance(firebase, dict) else None
    tenant_id = firebase.get("tenant") if isinstance(firebase, dict) else None
    if not isinstance(uid, str) or not uid:
        raise refused("INVALID_ID_TOKEN")
    return IdToken(
        uid=uid,
        project_id=audience if isinstance(audience, str) else None,
        tenant_id=tenant_id if isinstance(tenant_id, str) and tenant_id else None,
        issued_at_seconds=issued_at if isinstance(issued_at, int | float) else 0,
        sign_in_provider=provider if isinstance(provider, str) else "custom",
        claims=claims,
    )


def encode_refresh_token(token: RefreshToken) -> str:
    record: dict[str, object] = {
        _REFRESH_TOKEN_MARK: 1,
        "localId": token.uid,
        "projectId": token.project_id,
        "provider": token.sign_in_provider,
        "issuedAt": token.issued_at_seconds,
        "authTime": token.auth_time_seconds,
        "extraClaims": token.extra_claims,
    }
    if token.tenant_id is not None:
        record["tenantId"] = token.tenant_id
    if token.second_factor is not None:
        record["secondFactor"] = [token.second_factor.enrollment_id, token.second_factor.kind]
    return base64.urlsafe_b64encode(json.dumps(record, separators=(",", ":")).encode()).decode()


def read_refresh_token(text: str) -> RefreshToken:
    try:
        record = read_json_object(base64.urlsafe_b64decode(text))
    except (UnreadableJsonError, ValueError, binascii.Error):
        raise refused("INVALID_REFRESH_TOKEN") from None
    names = (record.get("localId"), record.get("projectId"), record.get("provider"))
    times = (record.get("issuedAt"), record.get("authTime"))
    claims, tenant_id, factor = record.get("extraClaims"), record.get("tenantId"), record.get("secondFactor")
    if (
        _REFRESH_TOKEN_MARK not in record
        or not all(isinstance(name, str) for name in names)
        or not all(isinstance(time, int) for time in times)
        or not isinstance(claims, dict)
        or not (tenant_id is None or isinstance(tenant_id, str))
        or not (factor is None or (isinstance(factor, list) and list(map(type, factor)) == [str, str]))
    ):
        raise refused("INVALID_REFRESH_TOKEN")
    return RefreshToken(
        uid=record["localId"],
        project_id=record["projectId"],
        sign_in_provider=record["provider"],
        issued_at_seconds=record["issuedAt"],
        auth_time_seconds=record["authTime"],
        tenant_id=tenant_id,
        second_factor=None if factor is None else UsedFactor(enrollment_id=factor[0], kind=factor[1]),
        extra_claims=claims,
    )


def read_custom_token(text: str) -> CustomToken:
    """A JWT of any Admin SDK, signed or not, or plain JSON, which tests write by hand."""
    if text.startswith("{"):
        try:
            payload = read_json_object(text)
        except UnreadableJsonError:
            raise refused("INVALID_CUSTOM_TOKEN : ((a custom token is a JWT or strict JSON))") from None
    else:
        decoded = decode_claims(text)
        if decoded is None:
            raise refused("INVALID_CUSTOM_TOKEN : Invalid assertion format")
        payload = decoded
        if payload.get("aud") != CUSTOM_TOKEN_AUDIENCE:
            raise refused(f"INVALID_CUSTOM_TOKEN : ((`aud` is `{payload.get('aud')}`: not a custom token's))")
    uid = _text(payload.get("uid")) or _text(payload.get("user_id"))
    if not uid:
        raise refused("MISSING_IDENTIFIER")
    if len(uid) > 128:
        raise refused("INVALID_CUSTOM_TOKEN : ((the uid has more than 128 characters))")
    claims = check_claims(payload["claims"]) if "claims" in payload else {}
    tenant_id = payload.get("tenant_id")
    return CustomToken(
        uid=uid,
        claims=claims,
        tenant_id=tenant_id if isinstance(tenant_id, str) and tenant_id else None,
        is_jwt=not text.startswith("{"),
    )


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return value if isinstance(value, str) else None
