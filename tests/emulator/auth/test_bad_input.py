"""Requests that nobody should send: every one is answered with a refusal that says what is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.auth.requests.request_reading import Request
from afterimage_emulator.auth.service import AuthService
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.clock import Clock
from afterimage_emulator.front.callers import decode_claims
from afterimage_emulator.wire.http_messages import Headers, HttpRequest, HttpResponse
from tests.emulator.auth.conftest import PROJECT, TOOLKIT, RestClient
from tests.thoroughness import examples

TOOLKIT_V2 = "/identitytoolkit.googleapis.com/v2"
FACTORS = ("mfaSignIn", "passkeyEnrollment", "passkeySignIn")
OPERATIONS = [
    *(f"{TOOLKIT}/accounts:{name}" for name in ("signUp", "signInWithPassword", "signInWithCustomToken", "lookup")),
    *(f"{TOOLKIT}/accounts:{name}" for name in ("update", "delete", "sendOobCode", "resetPassword", "createAuthUri")),
    *(f"{TOOLKIT}/projects/{PROJECT}/accounts:{name}" for name in ("lookup", "update", "delete", "sendOobCode")),
    *(f"{TOOLKIT}/projects/{PROJECT}/accounts:{name}" for name in ("query", "batchCreate", "batchDelete")),
    f"{TOOLKIT}/projects/{PROJECT}/accounts",
    *(f"{TOOLKIT}/accounts:{name}" for name in ("signInWithIdp", "signInWithPhoneNumber", "sendVerificationCode")),
    *(f"{TOOLKIT_V2}/accounts/mfaEnrollment:{step}" for step in ("start", "finalize", "withdraw")),
    *(f"{TOOLKIT_V2}/accounts/{name}:{step}" for name in FACTORS for step in ("start", "finalize")),
    f"{TOOLKIT}/projects/{PROJECT}:createSessionCookie",
    *(f"{TOOLKIT_V2}/projects/{PROJECT}/{name}" for name in ("tenants", "oauthIdpConfigs", "inboundSamlConfigs")),
    f"{TOOLKIT}/projects/{PROJECT}/tenants/one/accounts:update",
    "/www.googleapis.com/identitytoolkit/v3/relyingparty/uploadAccount",
    "/www.googleapis.com/identitytoolkit/v3/relyingparty/downloadAccount",
    "/securetoken.googleapis.com/v1/token",
    f"/v1/projects/{PROJECT}/apps/1:1:web:1:exchangeDebugToken",
    f"/v1beta/projects/{PROJECT}:verifyAppCheckToken",
]


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def kinds_of(kind: type[Request]) -> Iterator[type[Request]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from kinds_of(narrower)


NAMES = sorted(
    {camel_case(field.name) for kind in kinds_of(Request) for field in fields(kind)}
    | {name for kind in kinds_of(Request) for name in kind.NOT_HERE}
    | {"targetProjectId", "debug_token", "app_check_token", "maxResults", "nextPageToken", "grant_type", "tenantId"}
    | {"phoneInfo", "mfaConfig", "enrollments", "providerConfigs", "enabledProviders", "idpConfig", "spConfig"}
)
TOKENS = st.dictionaries(
    st.sampled_from(["user_id", "sub", "aud", "iat", "firebase", "uid", "claims", "tenant_id", "iss", "exp", "jti"]),
    st.sampled_from(["known", PROJECT, 1, 1.5, -1, True, None, [], {}, {"sign_in_provider": 1}, "\ud800", 10**400]),
).map(unsigned_jwt)
PLAUSIBLE = st.sampled_from(
    [
        "known",
        "known@example.com",
        "new@example.com",
        "secret-1",
        "+1555",
        "PASSWORD_RESET",
        "VERIFY_EMAIL",
        "{}",
        "1",
        "http://localhost?providerId=google.com",
        'id_token={"sub":"1"}&providerId=saml.x&SAMLResponse={}',
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | TOKENS | PLAUSIBLE
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES | PLAUSIBLE, max_size=6)


class WholeBody:
    """A request body that has already arrived."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._raw

    async def read(self, limit_bytes: int = 0) -> bytes:
        return self._raw


def answer(service: AuthService, path: str, raw: bytes, **headers: str) -> HttpResponse:
    given_headers = Headers([("content-type", "application/json"), *headers.items()])
    request = HttpRequest("POST", path, "key=any", given_headers, WholeBody(raw))
    return asyncio.run(service.http(request))


def service_with_a_user() -> AuthService:
    service = AuthService(project_id=PROJECT, clock=Clock())
    user = {"localId": "known", "email": "known@example.com", "password": "secret-1"}
    path = f"{TOOLKIT}/projects/{PROJECT}/accounts"
    assert answer(service, path, json.dumps(user).encode(), authorization="Bearer owner").status == 200
    return service


@settings(max_examples=examples(400), deadline=None)
@given(path=st.sampled_from(OPERATIONS), body=BODIES, is_admin=st.booleans())
def test_no_json_body_breaks_the_service(path: str, body: dict[str, Any], is_admin: bool) -> None:
    """Whatever the fields hold, the answer is a result or an official-looking refusal, and the store stays whole."""
    service = service_with_a_user()
    headers = {"authorization": "Bearer owner"} if is_admin else {}
    response = answer(service, path, json.dumps(body).encode(), **headers)
    assert response.status in (200, 400, 401, 403, 501), response.body
    assert isinstance(response.body, bytes)
    if response.status != 200:
        error = json.loads(response.body)["error"]
        assert error["code"] == response.status
        assert error["message"]
    service.projects.check_invariants()


@settings(max_examples=examples(150), deadline=None)
@given(path=st.sampled_from(OPERATIONS), raw=st.binary(max_size=60))
def test_no_bytes_break_the_service(path: str, raw: bytes) -> None:
    """A body that is no JSON at all is refused, not stumbled over."""
    response = answer(service_with_a_user(), path, raw, authorization="Bearer owner")
    assert response.status in (200, 400, 403), response.body


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"a": NaN}', b'{"email": "\\ud800"}', b"[" * 100_000, b"\xff\xfe\x00"])
def test_broken_json_names_its_trouble(client: RestClient, raw: bytes) -> None:
    """Over the wire too: half a surrogate pair, NaN, endless nesting and the rest are 400 with a reason."""
    response = client.http.post(f"{TOOLKIT}/accounts:signUp?key=any", content=raw)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("Invalid JSON payload received. ")


@pytest.mark.parametrize("name", ["..%2F..%2Fetc", "%2e%2e", "a%2Fb", "%00", "a" * 200])
def test_a_project_id_cannot_name_a_place_on_disk(client: RestClient, name: str) -> None:
    """Project ids become folders in an export, so what is no project id is refused."""
    response = client.http.delete(f"/emulator/v1/projects/{name}/accounts")
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("INVALID_PROJECT_ID")


@given(token=st.text(max_size=60) | TOKENS)
def test_any_token_can_be_looked_at(token: str) -> None:
    """Reading a token's claims never raises: what cannot be read is nobody's."""
    claims = decode_claims(token)
    assert claims is None or json.dumps(claims, ensure_ascii=False).encode()
