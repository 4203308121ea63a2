"""What an identity provider says of somebody: read from the request of a sign-in, as the official emulator reads it.

Nothing is asked of a real provider: an ID token is strict JSON that a test wrote, or a JWT that is not checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from afterimage_emulator.auth.accounts.accounts import ProviderLink
from afterimage_emulator.auth.errors import not_in_auth, refused
from afterimage_emulator.auth.requests.request_reading import is_email
from afterimage_emulator.auth.requests.requests import SignInWithIdp
from afterimage_emulator.front.callers import decode_claims
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object

_MOST_PARAMETERS = 200
_UNREADABLE = "INVALID_IDP_RESPONSE : Unable to parse id_token"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderIdentity:
    """Somebody at a provider."""

    provider_id: str
    raw_id: str
    email: str | None
    email_verified: bool
    display_name: str | None
    photo_url: str | None
    screen_name: str | None
    first_name: str | None
    last_name: str | None
    raw_user_info: str | None
    attributes: Mapping[str, object] | None
    id_token: str | None
    access_token: str

    @property
    def federated_id(self) -> str:
        return f"https://accounts.google.com/{self.raw_id}" if self.provider_id == "google.com" else self.raw_id

    def link(self) -> ProviderLink:
        return ProviderLink(
            provider_id=self.provider_id,
            raw_id=self.raw_id,
            federated_id=self.raw_id,
            email=self.email,
            display_name=self.display_name,
            photo_url=self.photo_url,
            screen_name=self.screen_name,
        )


def read_identity(request: SignInWithIdp) -> ProviderIdentity:
    parameters = _parameters(request)
    provider_id = parameters.get("providerId", "").lower()
    if not provider_id:
        raise refused(
            f"INVALID_CREDENTIAL_OR_PROVIDER_ID : Invalid IdP response/credential: {_merged(request, parameters)}"
        )
    id_token, access_token = parameters.get("id_token") or None, parameters.get("access_token") or None
    claims = _claims(id_token) or _claims(access_token)
    if claims is None:
        if id_token is not None:
            raise refused(
                f"INVALID_IDP_RESPONSE : Unable to parse id_token: {id_token} ((it is neither JSON nor a JWT))"
            )
        raise not_in_auth(f"sign-in at {provider_id} without an ID token")
    saml = _assertion(parameters["SAMLResponse"]) if parameters.get("SAMLResponse") else None
    email, verified = _text(claims, "email"), bool(claims.get("email_verified"))
    raw_user_info: str | None = json.dumps(claims, separators=(",", ":"))
    if provider_id == "google.com":
        raw_user_info = _google_user_info(claims, email.lower() if email else None, verified)
    elif provider_id.startswith("saml."):
        verified = True
        name_id = None if saml is None else _name_id(saml)
        email = name_id if isinstance(name_id, str) and is_email(name_id) else email
        attributes = None if saml is None else saml.get("attributeStatements")
        raw_user_info = None if attributes is None else json.dumps(attributes, separators=(",", ":"))
    attributes = None if saml is None else saml.get("attributeStatements")
    return ProviderIdentity(
        provider_id=provider_id,
        raw_id=str(claims["sub"]),
        email=email.lower() if email else None,
        email_verified=verified,
        display_name=_text(claims, "name"),
        photo_url=_text(claims, "picture"),
        screen_name=_text(claims, "screen_name"),
        first_name=_text(claims, "given_name") if provider_id == "google.com" else None,
        last_name=_text(claims, "family_name") if provider_id == "google.com" else None,
        raw_user_info=raw_user_info,
        attributes=attributes if isinstance(attributes, dict) else None,
        id_token=id_token,
        access_token=access_token or f"FirebaseAuthEmulatorFakeAccessToken_{provider_id}",
    )


def _parameters(request: SignInWithIdp) -> dict[str, str]:
    """The query of the URI, overridden by the body, overridden by the URI's fragment."""
    if not request.request_uri:
        raise refused("MISSING_REQUEST_URI")
    try:
        parts = urlsplit(request.request_uri)
        is_absolute = bool(parts.scheme and (parts.netloc or parts.path))
        texts = (parts.query, request.post_body or "", parts.fragment)
        found = [pair for text in texts for pair in _pairs(text)]
    except ValueError:
        is_absolute, found = False, []
    if not is_absolute:
        raise refused("INVALID_REQUEST_URI")
    return dict(found)


def _merged(request: SignInWithIdp, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(request.request_uri or "")
    return urlunsplit(parts._replace(path=parts.path or "/", query=urlencode(parameters), fragment=""))


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)


def _claims(token: str | None) -> dict[str, object] | None:
    if not token:
        return None
    if token.startswith("{"):
        try:
            claims = read_json_object(token)
        except UnreadableJsonError:
            raise refused(
                f"INVALID_IDP_RESPONSE : Unable to parse id_token: {token} ((it is no strict JSON))"
            ) from None
    else:
        decoded = decode_claims(token)
        if decoded is None:
            return None
        claims = decoded
    if not claims.get("sub"):
        raise refused(
            "INVALID_IDP_RESPONSE : Invalid Idp Response: id_token missing required fields. "
            '((Missing "sub" field. This field is required and must be a unique identifier.))'
        )
    if not isinstance(claims["sub"], str):
        raise refused('INVALID_IDP_RESPONSE : ((The "sub" field must be a string.))')
    return claims


def _assertion(text: str) -> dict[str, object]:
    try:
        response = read_json_object(text)
    except UnreadableJsonError:
        raise refused("INVALID_IDP_RESPONSE : ((SAMLResponse is no strict JSON.))") from None
    assertion = response.get("assertion")
    if not isinstance(assertion, dict):
        raise refused("INVALID_IDP_RESPONSE ((Missing assertion in SAMLResponse.))")
    subject = assertion.get("subject")
    if not isinstance(subject, dict):
        raise refused("INVALID_IDP_RESPONSE ((Missing assertion.subject in SAMLResponse.))")
    if not subject.get("nameId"):
        raise refused("INVALID_IDP_RESPONSE ((Missing assertion.subject.nameId in SAMLResponse.))")
    return assertion


def _name_id(assertion: Mapping[str, object]) -> object:
    subject = assertion["subject"]
    return subject["nameId"] if isinstance(subject, dict) else None


def _google_user_info(claims: Mapping[str, object], email: str | None, verified: bool) -> str:
    scopes = "openid https://www.googleapis.com/auth/userinfo.profile"
    if email:
        scopes += " https://www.googleapis.com/auth/userinfo.email"
    told = {
        "granted_scopes": scopes,
        "id": claims["sub"],
        "name": _text(claims, "name"),
        "given_name": _text(claims, "given_name"),
        "family_name": _text(claims, "family_name"),
        "verified_email": verified,
        "locale": "en",
        "email": email,
        "picture": _text(claims, "picture"),
    }
    return json.dumps({name: value for name, value in told.items() if value is not None}, separators=(",", ":"))


def _text(claims: Mapping[str, object], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None
