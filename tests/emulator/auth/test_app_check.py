"""App Check: debug tokens exchanged over the wire, verified as functions verify them."""

from __future__ import annotations

import asyncio
import json

import pytest

from afterimage_emulator.auth.app_check import (
    AppCheckError,
    make_app_check_token,
    verify_app_check_token,
)
from afterimage_emulator.auth.service import AuthService
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.clock import Clock
from tests.emulator.auth.conftest import PROJECT, RestClient, RunningAuth
from tests.emulator.auth.test_bad_input import answer

APP = "1:12345:web:abc"
NOON = 1_769_860_800


@pytest.mark.parametrize("prefix", ["/v1", "/v1beta", "/content-firebaseappcheck.googleapis.com/v1"])
def test_a_debug_token_becomes_a_token_that_verifies(frozen: RunningAuth, client: RestClient, prefix: str) -> None:
    """The exchange answers as officially, and what it made is good for this app and project for an hour."""
    url = f"{prefix}/projects/{PROJECT}/apps/{APP}:exchangeDebugToken"
    made = client.http.post(url, params={"key": "any"}, json={"debug_token": "d-e-b-u-g"}).json()
    assert made["ttl"] == "3600s"
    token = verify_app_check_token(made["token"], project_id=PROJECT, now_seconds=NOON + 3599)
    assert token.app_id == APP
    assert token.claims["app_id"] == APP
    assert token.claims["aud"] == ["projects/12345", f"projects/{PROJECT}"]
    with pytest.raises(AppCheckError, match="expired 1 seconds ago"):
        verify_app_check_token(made["token"], project_id=PROJECT, now_seconds=NOON + 3601)


def test_a_limited_use_token_is_used_up_once(client: RestClient) -> None:
    """Replay protection tells the second use from the first."""
    url = f"/v1/projects/{PROJECT}/apps/{APP}:exchangeDebugToken"
    made = client.http.post(url, json={"debug_token": "any", "limited_use": True}).json()
    assert made["ttl"] == "300s"
    consume = f"/v1beta/projects/{PROJECT}:verifyAppCheckToken"
    answers = [client.http.post(consume, json={"app_check_token": made["token"]}).json() for _ in range(2)]
    assert answers == [{}, {"alreadyConsumed": True}]


def test_only_registered_debug_tokens_where_some_are_registered() -> None:
    """With a list of debug tokens, others are refused as an unregistered token is in production."""
    service = AuthService(project_id=PROJECT, clock=Clock(), app_check_debug_tokens={"registered"})
    path = f"/v1/projects/{PROJECT}/apps/{APP}:exchangeDebugToken"
    statuses = [
        answer(service, path, json.dumps({"debug_token": name}).encode()).status for name in ("registered", "x")
    ]
    assert statuses == [200, 403]
    asyncio.run(service.close())


GOOD = {"sub": APP, "aud": [f"projects/{PROJECT}"], "iss": "https://firebaseappcheck.googleapis.com/1", "exp": NOON + 1}


@pytest.mark.parametrize(
    ("claims", "trouble"),
    [
        ({**GOOD, "aud": ["projects/other"]}, "not for `projects/demo-auth`"),
        ({**GOOD, "aud": f"projects/{PROJECT}"}, "not for"),
        ({**GOOD, "iss": "https://securetoken.google.com/x"}, "`iss`"),
        ({**GOOD, "sub": ""}, "names no app"),
        ({**GOOD, "exp": "never"}, "no `exp`"),
        ({**GOOD, "exp": NOON}, "expired 0 seconds ago"),
    ],
)
def test_each_claim_is_checked(claims: dict[str, object], trouble: str) -> None:
    """Every claim that the official verification checks is checked, and the message names it."""
    assert verify_app_check_token(unsigned_jwt(GOOD), project_id=PROJECT, now_seconds=NOON).app_id == APP
    with pytest.raises(AppCheckError, match=trouble):
        verify_app_check_token(unsigned_jwt(claims), project_id=PROJECT, now_seconds=NOON)


def test_what_is_no_token_is_refused() -> None:
    """Anything but a JSON Web Token is refused with the way out."""
    with pytest.raises(AppCheckError, match="exchange a debug token"):
        verify_app_check_token("d-e-b-u-g", project_id=PROJECT, now_seconds=NOON)
    made = make_app_check_token(app_id=APP, project_id=PROJECT, now_seconds=NOON)
    assert verify_app_check_token(made, project_id=PROJECT, now_seconds=NOON).token_id


def test_other_attestation_providers_answer_not_implemented(client: RestClient) -> None:
    """Play Integrity and the like need a device; they say that they are not here."""
    response = client.http.post(f"/v1/projects/{PROJECT}/apps/{APP}:exchangePlayIntegrityToken", json={})
    assert response.status_code == 501
