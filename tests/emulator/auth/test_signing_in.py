"""Signing up, signing in and changing one's own account, as client apps ask for it."""

from __future__ import annotations

import re

import httpx
import pytest

from afterimage_emulator.auth.tokens.sign_in_tokens import RefreshToken, encode_refresh_token
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.front.callers import decode_claims
from tests.emulator.auth.conftest import ADMIN, PROJECT, TOOLKIT, RestClient, RunningAuth

NOON = 1_769_860_800  # 2026-01-31T12:00:00Z, where `frozen` stands


def claims_of(token: str) -> dict[str, object]:
    claims = decode_claims(token)
    assert claims is not None
    return claims


def test_signing_up_issues_the_official_claims(frozen: RunningAuth, client: RestClient) -> None:
    """The token of a new password account has exactly the official emulator's claims, timed by the suite's clock."""
    made = client.do("signUp", email="Ada@Example.com", password="secret-1")
    assert made["expiresIn"] == "3600"
    assert made["idToken"].endswith(".")
    assert claims_of(made["idToken"]) == {
        "email": "ada@example.com",
        "email_verified": False,
        "auth_time": NOON,
        "user_id": made["localId"],
        "firebase": {"identities": {"email": ["ada@example.com"]}, "sign_in_provider": "password"},
        "iat": NOON,
        "exp": NOON + 3600,
        "aud": PROJECT,
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "sub": made["localId"],
    }


def test_an_anonymous_account_becomes_a_lasting_one(client: RestClient) -> None:
    """Linking a password keeps the uid, and the account can then sign in with it."""
    anonymous = client.do("signUp")
    assert claims_of(anonymous["idToken"])["provider_id"] == "anonymous"
    linked = client.do("signUp", idToken=anonymous["idToken"], email="kept@example.com", password="secret-1")
    assert linked["localId"] == anonymous["localId"]
    again = client.do("signInWithPassword", email="KEPT@example.com", password="secret-1")
    assert again["localId"] == anonymous["localId"]
    assert "provider_id" not in claims_of(again["idToken"])


@pytest.mark.parametrize(
    ("operation", "fields", "message"),
    [
        ("signUp", {"email": "taken@example.com", "password": "secret-1"}, "EMAIL_EXISTS"),
        (
            "signUp",
            {"email": "new@example.com", "password": "short"},
            "WEAK_PASSWORD : Password should be at least 6 characters",
        ),
        ("signInWithCustomToken", {"token": '{"uid":"off"}'}, "USER_DISABLED"),
        ("signUp", {"email": "nonsense", "password": "secret-1"}, "INVALID_EMAIL"),
        ("signUp", {"password": "secret-1"}, "MISSING_EMAIL"),
        ("signUp", {"email": "new@example.com"}, "MISSING_PASSWORD"),
        ("signUp", {"localId": "mine"}, "UNEXPECTED_PARAMETER : User ID"),
        ("signInWithPassword", {"email": "taken@example.com", "password": "wrong-one"}, "INVALID_PASSWORD"),
        ("signInWithPassword", {"email": "nobody@example.com", "password": "secret-1"}, "EMAIL_NOT_FOUND"),
        ("signInWithPassword", {"password": "secret-1"}, "MISSING_EMAIL"),
        ("signInWithPassword", {"email": "taken@example.com"}, "MISSING_PASSWORD"),
        ("signInWithCustomToken", {}, "MISSING_CUSTOM_TOKEN"),
        ("signInWithCustomToken", {"token": "no-token"}, "INVALID_CUSTOM_TOKEN : Invalid assertion format"),
        ("signInWithCustomToken", {"token": "{}"}, "MISSING_IDENTIFIER"),
        ("signInWithCustomToken", {"token": '{"uid":"a","claims":{"sub":"b"}}'}, "FORBIDDEN_CLAIM : sub"),
        ("lookup", {}, "MISSING_ID_TOKEN"),
        ("lookup", {"idToken": "broken"}, "INVALID_ID_TOKEN"),
        ("lookup", {"idToken": unsigned_jwt({"user_id": "nobody", "aud": PROJECT})}, "USER_NOT_FOUND"),
        ("update", {"displayName": "x"}, "INVALID_REQ_TYPE : Unsupported request parameters."),
        ("update", {"oobCode": "unknown"}, "INVALID_OOB_CODE"),
        ("delete", {"localId": "taken"}, "MISSING_ID_TOKEN"),
        ("resetPassword", {}, "MISSING_OOB_CODE"),
        ("sendOobCode", {}, "MISSING_REQ_TYPE"),
        ("sendOobCode", {"requestType": "PASSWORD_RESET", "email": "nobody@example.com"}, "EMAIL_NOT_FOUND"),
        ("sendOobCode", {"requestType": "PASSWORD_RESET", "returnOobLink": True}, "INSUFFICIENT_PERMISSION"),
    ],
)
def test_refusals_have_the_official_codes(
    client: RestClient, operation: str, fields: dict[str, object], message: str
) -> None:
    """SDKs map these texts to their own error codes, so each is the official one to the letter."""
    client.do("signUp", email="taken@example.com", password="secret-1")
    off = {"localId": "off", "disabled": True}
    client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts", json=off, headers=ADMIN)
    assert client.refusal(operation, **fields) == message


def test_six_characters_are_a_password(client: RestClient) -> None:
    """The shortest password that production takes is taken here, and one character less is not."""
    assert client.refusal("signUp", email="six@example.com", password="12345").startswith("WEAK_PASSWORD")
    client.do("signUp", email="six@example.com", password="123456")
    client.do("signInWithPassword", email="six@example.com", password="123456")


def test_email_privacy_hides_whether_an_address_is_known(client: RestClient) -> None:
    """With the project's switch on, a wrong password and an unknown address look the same."""
    client.do("signUp", email="known@example.com", password="secret-1")
    switch = {"emailPrivacyConfig": {"enableImprovedEmailPrivacy": True}}
    assert client.http.patch(f"/emulator/v1/projects/{PROJECT}/config", json=switch).status_code == 200
    for email in ("known@example.com", "unknown@example.com"):
        assert client.refusal("signInWithPassword", email=email, password="wrong-1") == "INVALID_LOGIN_CREDENTIALS"
        client.do("sendOobCode", requestType="PASSWORD_RESET", email=email)
        ways = client.do("createAuthUri", identifier=email, continueUri="http://localhost")
        assert "registered" not in ways


def test_a_new_password_ends_other_sessions_and_renews_ones_own(frozen: RunningAuth, client: RestClient) -> None:
    """Whoever changes the password goes on with the tokens of the answer; everybody else has to sign in again."""
    first = client.do("signUp", email="two@example.com", password="secret-1")
    frozen.call(lambda: frozen.clock.advance(5))
    second = client.do("signInWithPassword", email="two@example.com", password="secret-1")
    frozen.call(lambda: frozen.clock.advance(5))
    changed = client.do("update", idToken=second["idToken"], password="secret-2")
    assert client.refusal("lookup", idToken=first["idToken"]) == "TOKEN_EXPIRED"
    assert client.refresh(first["refreshToken"]).status_code == 400
    assert client.do("lookup", idToken=changed["idToken"])["users"][0]["localId"] == first["localId"]
    assert client.refresh(changed["refreshToken"]).status_code == 200
    assert client.refusal("signInWithPassword", email="two@example.com", password="secret-1") == "INVALID_PASSWORD"


def test_a_refresh_keeps_the_time_of_sign_in(frozen: RunningAuth, client: RestClient) -> None:
    """auth_time stays that of the sign-in while iat and exp move, as security rules expect."""
    made = client.do("signUp", email="time@example.com", password="secret-1")
    frozen.call(lambda: frozen.clock.advance(1800))
    answer = client.refresh(made["refreshToken"]).json()
    claims = claims_of(answer["id_token"])
    assert (claims["auth_time"], claims["iat"], claims["exp"]) == (NOON, NOON + 1800, NOON + 5400)
    assert answer["token_type"] == "Bearer"
    assert answer["user_id"] == made["localId"]


def test_a_token_counts_only_in_its_own_project(client: RestClient) -> None:
    """The same uid elsewhere is somebody else: a token changes the account of its own project, or none."""
    for project in (PROJECT, "demo-second"):
        answer = client.http.post(f"{TOOLKIT}/projects/{project}/accounts", json={"localId": "same"}, headers=ADMIN)
        assert answer.status_code == 200
    second, unknown = (unsigned_jwt({"user_id": "same", "aud": name}) for name in ("demo-second", "demo-unknown"))
    client.do("update", idToken=second, displayName="Second")
    assert "displayName" not in client.do("lookup", idToken=unsigned_jwt({"sub": "same", "aud": PROJECT}))["users"][0]
    assert client.do("lookup", idToken=second)["users"][0]["displayName"] == "Second"
    assert client.refusal("lookup", idToken=unknown) == "INVALID_ID_TOKEN"

    def renewed(project: str) -> httpx.Response:
        return client.refresh(
            encode_refresh_token(
                RefreshToken(
                    uid="same",
                    project_id=project,
                    sign_in_provider="custom",
                    issued_at_seconds=NOON,
                    auth_time_seconds=NOON,
                )
            )
        )

    assert claims_of(renewed("demo-second").json()["id_token"])["aud"] == "demo-second"
    assert renewed("demo-unknown").json()["error"]["message"] == "INVALID_REFRESH_TOKEN"


def test_a_user_changes_and_deletes_its_own_account(client: RestClient) -> None:
    """Profile changes show at once, privileges cannot be taken, and a deleted account's tokens stand for nobody."""
    made = client.do("signUp", email="me@example.com", password="secret-1")
    token = made["idToken"]
    client.do("update", idToken=token, displayName="Me", photoUrl="https://example.com/me.png")
    assert client.refusal("update", idToken=token, customAttributes='{"admin":true}') == "INSUFFICIENT_PERMISSION"
    assert client.refusal("update", idToken=token, disableUser=False) == "OPERATION_NOT_ALLOWED"
    client.do("update", idToken=token, emailVerified=True, phoneNumber="+1555")
    user = client.do("lookup", idToken=token)["users"][0]
    assert (user["displayName"], user["emailVerified"]) == ("Me", False)
    assert "phoneNumber" not in user
    client.do("delete", idToken=token)
    assert client.refusal("lookup", idToken=token) == "USER_NOT_FOUND"
    assert client.refresh(made["refreshToken"]).json()["error"]["message"] == "INVALID_REFRESH_TOKEN"


def test_codes_can_be_read_and_used_once(client: RestClient) -> None:
    """A code that was asked for stands in the control route, does its work once, and is gone."""
    made = client.do("signUp", email="codes@example.com", password="secret-1")
    client.do("sendOobCode", requestType="VERIFY_EMAIL", idToken=made["idToken"])
    client.do("sendOobCode", requestType="PASSWORD_RESET", email="codes@example.com")
    url = f"/emulator/v1/projects/{PROJECT}/oobCodes"
    codes = {code["requestType"]: code for code in client.http.get(url).json()["oobCodes"]}
    assert codes["VERIFY_EMAIL"]["oobLink"].startswith(f"{client.http.base_url}/emulator/action?mode=verifyEmail")
    assert client.do("resetPassword", oobCode=codes["VERIFY_EMAIL"]["oobCode"])["email"] == "codes@example.com"
    assert client.do("update", oobCode=codes["VERIFY_EMAIL"]["oobCode"])["emailVerified"]
    reset = codes["PASSWORD_RESET"]["oobCode"]
    assert client.refusal("update", oobCode=reset) == "INVALID_OOB_CODE"
    client.do("resetPassword", oobCode=reset, newPassword="secret-2")
    assert client.refusal("resetPassword", oobCode=reset, newPassword="secret-3") == "INVALID_OOB_CODE"
    assert client.http.get(url).json() == {"oobCodes": []}


def test_a_new_address_is_verified_before_it_is_taken(client: RestClient) -> None:
    """The address changes only when its code is used, and a code for an address that was given up is worthless."""
    made = client.do("signUp", email="old@example.com", password="secret-1")
    url = f"/emulator/v1/projects/{PROJECT}/oobCodes"
    for new in ("one@example.com", "two@example.com"):
        client.do("sendOobCode", requestType="VERIFY_AND_CHANGE_EMAIL", idToken=made["idToken"], newEmail=new)
    first, second = client.http.get(url).json()["oobCodes"]
    assert client.do("lookup", idToken=made["idToken"])["users"][0]["email"] == "old@example.com"
    assert client.do("update", oobCode=first["oobCode"])["email"] == "one@example.com"
    assert client.refusal("update", oobCode=second["oobCode"]) == "INVALID_OOB_CODE"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//example.com", "https://a b", "https://x\r\nset-cookie:a=b"])
def test_links_lead_on_to_web_pages_only(client: RestClient, url: str) -> None:
    """What would become a `Location` header is refused unless it is an absolute http(s) URL."""
    client.do("signUp", email="next@example.com", password="secret-1")
    message = client.refusal("sendOobCode", requestType="PASSWORD_RESET", email="next@example.com", continueUrl=url)
    assert message.startswith("INVALID_CONTINUE_URI")


def test_the_older_api_is_the_same_api(client: RestClient) -> None:
    """Apps with SDKs of before, which say `relyingparty`, meet the same accounts."""
    made = client.do("signUp", email="v3@example.com", password="secret-1")
    response = client.http.post(
        "/www.googleapis.com/identitytoolkit/v3/relyingparty/verifyPassword?key=any",
        json={"email": "v3@example.com", "password": "secret-1", "returnSecureToken": True},
    )
    assert response.json()["localId"] == made["localId"]


def test_bulk_deletion_spares_enabled_users_unless_forced(client: RestClient) -> None:
    """Without `force`, only disabled users are deleted and the others are named."""
    url = f"{TOOLKIT}/projects/{PROJECT}"
    client.http.post(f"{url}/accounts", json={"localId": "on"}, headers=ADMIN)
    client.http.post(f"{url}/accounts", json={"localId": "off", "disabled": True}, headers=ADMIN)
    answer = client.http.post(f"{url}/accounts:batchDelete", json={"localIds": ["on", "off"]}, headers=ADMIN).json()
    assert [(error["index"], error["localId"]) for error in answer["errors"]] == [(0, "on")]
    assert answer["errors"][0]["message"].startswith("NOT_DISABLED")
    counted = client.http.post(f"{url}/accounts:query", json={"returnUserInfo": False}, headers=ADMIN).json()
    assert counted == {"recordsCount": "1"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{TOOLKIT}/accounts:signInWithGameCenter"),
        ("POST", f"{TOOLKIT}/accounts:issueSamlResponse"),
        ("POST", "/identitytoolkit.googleapis.com/v2/accounts:revokeToken"),
        ("GET", "/identitytoolkit.googleapis.com/v2/recaptchaConfig"),
        ("POST", "/identitytoolkit.googleapis.com/v2/projects/p/tenants/t:getIamPolicy"),
    ],
)
def test_what_is_not_here_says_so(client: RestClient, method: str, path: str) -> None:
    """Features that are left out answer 501 with their name and where to read more, never something half right."""
    response = client.http.request(method, path, params={"key": "any"}, json={})
    error = response.json()["error"]
    assert (response.status_code, error["status"]) == (501, "NOT_IMPLEMENTED")
    assert re.match(r"NOT_IMPLEMENTED : `.+` is not implemented here; docs/auth.md", error["message"])


def test_callers_need_a_key_or_an_admins_credential(client: RestClient) -> None:
    """Missing and wrong credentials are refused with the official status, so that they are noticed locally."""
    assert client.http.post(f"{TOOLKIT}/accounts:signUp", json={}).status_code == 403
    lookup = f"{TOOLKIT}/projects/{PROJECT}/accounts:lookup"
    with_key = client.http.post(lookup, params={"key": "any"}, json={})
    assert (with_key.status_code, with_key.json()["error"]["message"].partition(" : ")[0]) == (
        400, "INSUFFICIENT_PERMISSION",
    )  # fmt: skip
    assert client.http.post(lookup, json={}, headers={"authorization": "Bearer guess"}).status_code == 401
    assert client.http.post(lookup, json={}, headers={"authorization": "Bearer ya29.real"}).status_code == 200


def test_web_pages_may_sign_in_and_administer(client: RestClient) -> None:
    """A page that the port's guard lets pass gets CORS answers for the client API, and may use the control routes."""
    near = {"origin": "http://localhost:5173"}
    asked = {**near, "access-control-request-headers": "content-type,x-client-version"}
    preflight = client.http.options(f"{TOOLKIT}/accounts:signUp", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == near["origin"]
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-client-version"
    made = client.http.post(f"{TOOLKIT}/accounts:signUp?key=any", json={}, headers=near)
    assert (made.status_code, made.headers["access-control-allow-origin"]) == (200, near["origin"])
    listing = f"{TOOLKIT}/projects/{PROJECT}/accounts:batchGet"
    control = f"/emulator/v1/projects/{PROJECT}/accounts"
    assert client.http.get(listing, headers={**ADMIN, **near}).status_code == 200
    assert client.http.delete(control, headers=near).status_code == 200
    assert client.http.get(control).json() == {"users": []}
