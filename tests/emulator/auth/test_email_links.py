"""Sign-in by a link in an e-mail: the code is listed instead of sent, and good for one use of one address."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import firebase_admin
from firebase_admin import auth

from afterimage_emulator.auth.exported_accounts import read_projects, write_projects
from afterimage_emulator.front.callers import decode_claims
from tests.emulator.auth.conftest import ADMIN, PROJECT, TOOLKIT, RestClient, RunningAuth


def code_for(client: RestClient, email: str) -> dict[str, Any]:
    """Asks for a link and reads it where the official emulator lists it."""
    asked = client.do("sendOobCode", requestType="EMAIL_SIGNIN", email=email, continueUrl="https://app.example/in?a=b")
    assert asked == {"kind": "identitytoolkit#GetOobConfirmationCodeResponse", "email": email.lower()}
    codes = client.http.get(f"/emulator/v1/projects/{PROJECT}/oobCodes").json()["oobCodes"]
    found: dict[str, Any] = [code for code in codes if code["email"] == email.lower()][-1]
    assert found["requestType"] == "EMAIL_SIGNIN"
    return found


def signed_in_by_link(client: RestClient, email: str) -> dict[str, Any]:
    return client.do("signInWithEmailLink", email=email, oobCode=code_for(client, email)["oobCode"])


def test_a_link_makes_an_account_and_signs_in_to_it_later(client: RestClient) -> None:
    """Whoever reads the mail owns the account: the address is verified, the second link finds the same account."""
    first = signed_in_by_link(client, "Link@Example.com")
    assert (first["kind"], first["email"], first["isNewUser"]) == (
        "identitytoolkit#EmailLinkSigninResponse", "link@example.com", True,
    )  # fmt: skip
    claims = decode_claims(first["idToken"])
    assert claims is not None
    assert (claims["email_verified"], claims["firebase"]) == (
        True,
        {"identities": {"email": ["link@example.com"]}, "sign_in_provider": "password"},
    )
    (user,) = client.do("lookup", idToken=first["idToken"])["users"]
    assert user["emailLinkSignin"] is True
    assert [info["providerId"] for info in user["providerUserInfo"]] == ["password"]
    again = signed_in_by_link(client, "link@example.com")
    assert (again["localId"], again["isNewUser"]) == (first["localId"], False)
    assert client.refresh(again["refreshToken"]).status_code == 200


def test_a_link_signs_in_to_an_account_with_a_password(client: RestClient) -> None:
    """It is one account, with two ways in, and `createAuthUri` tells both."""
    made = client.do("signUp", email="both@example.com", password="secret-1")
    signed_in = signed_in_by_link(client, "both@example.com")
    assert signed_in["localId"] == made["localId"]
    ways = client.do("createAuthUri", identifier="both@example.com", continueUri="http://localhost")
    assert (ways["allProviders"], ways["signinMethods"]) == (["password"], ["password", "emailLink"])
    client.do("update", idToken=signed_in["idToken"], deleteProvider=["password"])
    (user,) = client.do("lookup", idToken=signed_in["idToken"])["users"]
    assert not {"email", "emailLinkSignin", "providerUserInfo"} & user.keys()


def test_a_link_without_a_password_is_the_only_way_told(client: RestClient) -> None:
    """An account that has no password is not said to have one."""
    signed_in_by_link(client, "only@example.com")
    ways = client.do("createAuthUri", identifier="only@example.com", continueUri="http://localhost")
    assert ways["signinMethods"] == ["emailLink"]
    assert client.refusal("signInWithPassword", email="only@example.com", password="secret-1") == "INVALID_PASSWORD"


def test_an_account_that_is_signed_in_takes_the_address(client: RestClient) -> None:
    """Its id stays; an address that is another account's is refused."""
    anonymous = client.do("signUp")
    code = code_for(client, "taken@example.com")["oobCode"]
    linked = client.do("signInWithEmailLink", email="taken@example.com", oobCode=code, idToken=anonymous["idToken"])
    assert (linked["localId"], linked["isNewUser"]) == (anonymous["localId"], False)
    other, code = client.do("signUp"), code_for(client, "taken@example.com")["oobCode"]
    refusal = client.refusal("signInWithEmailLink", email="taken@example.com", oobCode=code, idToken=other["idToken"])
    assert refusal == "EMAIL_EXISTS"
    assert "email" not in client.do("lookup", idToken=other["idToken"])["users"][0]


def test_refusals_have_the_official_codes(client: RestClient) -> None:
    """A code is good for its own address, once, and for nothing but signing in."""
    code = code_for(client, "one@example.com")["oobCode"]
    assert client.refusal("signInWithEmailLink", oobCode=code) == "MISSING_EMAIL"
    assert client.refusal("signInWithEmailLink", email="one@example.com") == "MISSING_OOB_CODE"
    assert client.refusal("signInWithEmailLink", email="one@example.com", oobCode="no") == "INVALID_OOB_CODE"
    assert client.refusal("signInWithEmailLink", email="two@example.com", oobCode=code) == (
        "INVALID_EMAIL : The email provided does not match the sign-in email address."
    )
    assert client.refusal("update", oobCode=code) == "INVALID_OOB_CODE"
    assert client.refusal("resetPassword", oobCode=code, newPassword="secret-1") == "INVALID_OOB_CODE"
    told = client.do("resetPassword", oobCode=code)
    assert told == {"kind": "identitytoolkit#ResetPasswordResponse", "requestType": "EMAIL_SIGNIN"}
    made = client.do("signInWithEmailLink", email="one@example.com", oobCode=code)
    assert client.refusal("signInWithEmailLink", email="one@example.com", oobCode=code) == "INVALID_OOB_CODE"
    url = f"{TOOLKIT}/projects/{PROJECT}/accounts:update"
    client.http.post(url, json={"localId": made["localId"], "disableUser": True}, headers=ADMIN).raise_for_status()
    code = code_for(client, "one@example.com")["oobCode"]
    assert client.refusal("signInWithEmailLink", email="one@example.com", oobCode=code) == "USER_DISABLED"
    client.do("signUp", email="reset@example.com", password="secret-1")
    client.do("sendOobCode", requestType="PASSWORD_RESET", email="reset@example.com")
    reset = client.http.get(f"/emulator/v1/projects/{PROJECT}/oobCodes").json()["oobCodes"][-1]["oobCode"]
    assert client.refusal("signInWithEmailLink", email="reset@example.com", oobCode=reset) == "INVALID_OOB_CODE"
    assert client.refusal("sendOobCode", requestType="EMAIL_SIGNIN") == "MISSING_EMAIL"
    assert client.refusal("sendOobCode", requestType="EMAIL_SIGNIN", email="nonsense") == "INVALID_EMAIL"


def test_a_link_that_is_followed_leads_to_the_app(client: RestClient) -> None:
    """The app's page gets its own parameters and the link's, and the code is still unused."""
    code = code_for(client, "follow@example.com")
    answer = client.http.get(code["oobLink"])
    assert answer.status_code == 303
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == "https://app.example/in"
    assert parse_qs(target.query) == {
        "a": ["b"], "mode": ["signIn"], "lang": ["en"], "oobCode": [code["oobCode"]], "apiKey": ["fake-api-key"],
    }  # fmt: skip
    client.do("signInWithEmailLink", email="follow@example.com", oobCode=code["oobCode"])
    link = {"mode": "signIn", "oobCode": "x", "apiKey": "k"}
    nowhere = client.http.get("/emulator/action", params=link)
    assert (nowhere.status_code, "continueUrl" in nowhere.text) == (400, True)
    bad = client.http.get(
        "/emulator/action",
        params={"mode": "signIn", "oobCode": "x", "apiKey": "k", "continueUrl": "javascript:alert(1)"},
    )
    assert bad.status_code == 400


def test_the_admin_sdk_makes_links(app: firebase_admin.App, client: RestClient) -> None:
    """`generate_sign_in_with_email_link` needs no account, and its link signs in; the older API takes the code too."""
    link = auth.generate_sign_in_with_email_link(
        "admin-link@example.com", auth.ActionCodeSettings(url="https://app.example/in"), app=app
    )
    (code,) = parse_qs(urlsplit(link).query)["oobCode"]
    answer = client.http.post(
        "/www.googleapis.com/identitytoolkit/v3/relyingparty/emailLinkSignin?key=any",
        json={"email": "admin-link@example.com", "oobCode": code},
    )
    user = auth.get_user_by_email("admin-link@example.com", app=app)
    assert (user.uid, user.email_verified) == (answer.json()["localId"], True)
    assert [info.provider_id for info in user.provider_data] == ["password"]
    found = auth.get_users([auth.ProviderIdentifier("password", "admin-link@example.com")], app=app)
    assert [each.uid for each in found.users] == [user.uid]


def test_an_export_keeps_the_way_of_signing_in(client: RestClient, running: RunningAuth, tmp_path: Path) -> None:
    """An account without a password is still one of a link when it comes back."""
    signed_in_by_link(client, "kept@example.com")
    running.call(lambda: write_projects(running.service.projects, tmp_path))
    (project,) = read_projects(tmp_path, default_id=PROJECT, now_ms=0)
    account = project.accounts.by_email("kept@example.com")
    assert account is not None
    assert account.has_email_link


def test_a_removed_address_takes_its_links_along(client: RestClient) -> None:
    """An account that takes another address later does not sign in by links of the one it gave up."""
    made = signed_in_by_link(client, "gone@example.com")
    client.do("update", idToken=made["idToken"], deleteAttribute=["EMAIL"])
    assert "emailLinkSignin" not in client.do("lookup", idToken=made["idToken"])["users"][0]
