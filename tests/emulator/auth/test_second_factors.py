"""Second factors as time passes, and what an authenticator app's codes are good for."""

from __future__ import annotations

from typing import Any

from afterimage_emulator.auth.accounts.second_factors import PERIOD_SECONDS, obfuscated, totp_code
from tests.emulator.auth.conftest import ADMIN, PROJECT, TOOLKIT, RestClient, RunningAuth

V2 = TOOLKIT.replace("v1", "v2")
# RFC 6238's own secret and times, cut to six digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}


def ask(client: RestClient, step: str, **fields: Any) -> dict[str, Any]:
    answer = client.http.post(f"{V2}/accounts/{step}?key=any", json=fields).json()
    found: dict[str, Any] = answer.get("error", answer)
    return found


def verified_user(client: RestClient) -> dict[str, Any]:
    made = client.do("signUp", email="factors@example.com", password="secret-1")
    fields = {"localId": made["localId"], "emailVerified": True}
    client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:update", json=fields, headers=ADMIN).raise_for_status()
    return made


def enrolled(client: RestClient, running: RunningAuth) -> tuple[str, str]:
    """The secret of an authenticator app that was enrolled a while ago, and its id."""
    made = verified_user(client)
    offer = ask(client, "mfaEnrollment:start", idToken=made["idToken"], totpEnrollmentInfo={})["totpSessionInfo"]
    shown = {"sessionInfo": offer["sessionInfo"], "verificationCode": code_of(offer["sharedSecretKey"], running)}
    ask(client, "mfaEnrollment:finalize", idToken=made["idToken"], totpVerificationInfo=shown)
    (factor,) = sign_in(client)["mfaInfo"]
    assert factor["totpInfo"] == {}
    assert "phoneInfo" not in factor
    return offer["sharedSecretKey"], factor["mfaEnrollmentId"]


def sign_in(client: RestClient) -> dict[str, Any]:
    return client.do("signInWithPassword", email="factors@example.com", password="secret-1")


def code_of(secret: str, running: RunningAuth, *, periods: int = 0) -> str:
    return totp_code(secret, int(running.clock.now().timestamp()) // PERIOD_SECONDS + periods)


def test_codes_are_those_of_the_standard() -> None:
    """Any authenticator app shows what this one accepts."""
    assert {when: totp_code(RFC_SECRET, when // PERIOD_SECONDS) for when in RFC_CODES} == RFC_CODES


def test_an_app_whose_clock_is_a_little_off_may_sign_in(client: RestClient, frozen: RunningAuth) -> None:
    """Five periods either way by default, as a tenant or project says otherwise; none further, and none twice."""
    secret, factor = enrolled(client, frozen)

    def answer(periods: int) -> dict[str, Any]:
        shown = {"verificationCode": code_of(secret, frozen, periods=periods)}
        waiting = sign_in(client)["mfaPendingCredential"]
        return ask(
            client,
            "mfaSignIn:finalize",
            mfaPendingCredential=waiting,
            mfaEnrollmentId=factor,
            totpVerificationInfo=shown,
        )

    assert answer(-6)["message"] == answer(6)["message"] == "INVALID_CODE"
    assert "idToken" in answer(-5)
    assert answer(-5)["message"] == "INVALID_CODE"
    assert "idToken" in answer(5)
    frozen.call(lambda: frozen.clock.advance(3600))
    narrow = {
        "state": "ENABLED",
        "providerConfigs": [{"state": "ENABLED", "totpProviderConfig": {"adjacentIntervals": 0}}],
    }
    config = f"{V2}/projects/{PROJECT}/config?updateMask=mfa"
    client.http.patch(config, json={"mfa": narrow}, headers=ADMIN).raise_for_status()
    assert answer(1)["message"] == "INVALID_CODE"
    assert "idToken" in answer(0)
    client.http.patch(config, json={"mfa": {"state": "DISABLED"}}, headers=ADMIN).raise_for_status()
    assert "idToken" in sign_in(client)


def test_a_secret_that_is_not_taken_in_time_is_worth_nothing(client: RestClient, frozen: RunningAuth) -> None:
    """Five minutes of the suite's clock, and for nobody but the user who was shown it."""
    made = verified_user(client)
    offer = ask(client, "mfaEnrollment:start", idToken=made["idToken"], totpEnrollmentInfo={})["totpSessionInfo"]
    frozen.call(lambda: frozen.clock.advance(301))
    shown = {"sessionInfo": offer["sessionInfo"], "verificationCode": code_of(offer["sharedSecretKey"], frozen)}
    answer = ask(client, "mfaEnrollment:finalize", idToken=made["idToken"], totpVerificationInfo=shown)
    assert answer["message"] == "SESSION_EXPIRED"


def test_only_the_last_digits_of_a_number_are_shown() -> None:
    """Whoever knows the password alone learns no phone number by it."""
    assert obfuscated("+1 (555) 123-4567") == "+* (***) ***-4567"
    assert obfuscated("+123") == "+123"
