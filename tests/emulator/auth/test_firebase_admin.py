"""The official Python Admin SDK against the local Auth, over a real socket."""

from __future__ import annotations

from collections.abc import Callable

import firebase_admin
import pytest
from firebase_admin import auth

from afterimage_emulator.front.callers import decode_claims
from tests.emulator.auth.conftest import ADMIN, PROJECT, TOOLKIT, RestClient, RunningAuth


def test_a_user_is_created_and_found_by_each_of_its_names(app: firebase_admin.App) -> None:
    """What create_user was given is what get_user, by uid, email and phone, gives back."""
    auth.create_user(
        uid="ada",
        email="Ada@Example.com",
        email_verified=True,
        phone_number="+15550001",
        display_name="Ada",
        photo_url="https://example.com/ada.png",
        password="analytical",
        app=app,
    )
    for found in (
        auth.get_user("ada", app=app),
        auth.get_user_by_email("ada@example.com", app=app),
        auth.get_user_by_phone_number("+15550001", app=app),
    ):
        assert (found.uid, found.email, found.phone_number) == ("ada", "ada@example.com", "+15550001")
        assert (found.display_name, found.photo_url) == ("Ada", "https://example.com/ada.png")
        assert found.email_verified
        assert not found.disabled
        assert {info.provider_id for info in found.provider_data} == {"password", "phone"}
        assert found.user_metadata.creation_timestamp > 0


def test_get_users_finds_by_mixed_identifiers_and_names_the_missing(app: firebase_admin.App) -> None:
    """A look-up of several kinds at once returns each user once and says which identifiers are nobody's."""
    auth.create_user(uid="one", email="one@example.com", app=app)
    auth.create_user(uid="two", phone_number="+15550002", app=app)
    found = auth.get_users(
        [
            auth.UidIdentifier("one"),
            auth.EmailIdentifier("one@example.com"),
            auth.PhoneIdentifier("+15550002"),
            auth.UidIdentifier("nobody"),
        ],
        app=app,
    )
    assert {user.uid for user in found.users} == {"one", "two"}
    assert [missing.uid for missing in found.not_found] == ["nobody"]


def test_an_unknown_user_raises_user_not_found(app: firebase_admin.App) -> None:
    """Reading, changing and deleting nobody are the SDK's UserNotFoundError."""
    with pytest.raises(auth.UserNotFoundError):
        auth.get_user("nobody", app=app)
    with pytest.raises(auth.UserNotFoundError):
        auth.update_user("nobody", display_name="x", app=app)
    with pytest.raises(auth.UserNotFoundError):
        auth.delete_user("nobody", app=app)


def test_taken_names_raise_the_errors_of_their_kind(app: firebase_admin.App) -> None:
    """A second account with the same uid, email or phone number is refused by name."""
    auth.create_user(uid="taken", email="taken@example.com", phone_number="+15550003", app=app)
    with pytest.raises(auth.UidAlreadyExistsError):
        auth.create_user(uid="taken", app=app)
    with pytest.raises(auth.EmailAlreadyExistsError):
        auth.create_user(email="TAKEN@example.com", app=app)
    with pytest.raises(auth.PhoneNumberAlreadyExistsError):
        auth.create_user(phone_number="+15550003", app=app)
    other = auth.create_user(email="other@example.com", app=app)
    with pytest.raises(auth.EmailAlreadyExistsError):
        auth.update_user(other.uid, email="taken@example.com", app=app)
    assert auth.get_user(other.uid, app=app).email == "other@example.com"


def test_listing_pages_through_everybody_in_order(app: firebase_admin.App) -> None:
    """Pages join up without a gap or a repetition, and the last one says that it is the last."""
    uids = [f"user-{number:02}" for number in range(7)]
    for uid in reversed(uids):
        auth.create_user(uid=uid, app=app)
    page = auth.list_users(max_results=3, app=app)
    seen = []
    while True:
        seen.append([user.uid for user in page.users])
        if not page.has_next_page:
            break
        page = page.get_next_page()
    assert seen == [uids[:3], uids[3:6], uids[6:]]
    assert [user.uid for user in auth.list_users(app=app).iterate_all()] == uids


def test_an_update_changes_what_it_names_and_nothing_else(app: firebase_admin.App) -> None:
    """Fields can be set, removed and left alone, each on its own."""
    user = auth.create_user(email="x@example.com", display_name="Old", phone_number="+15550004", app=app)
    auth.update_user(user.uid, display_name="New", app=app)
    changed = auth.get_user(user.uid, app=app)
    assert (changed.display_name, changed.email, changed.phone_number) == ("New", "x@example.com", "+15550004")
    auth.update_user(
        user.uid, display_name=auth.DELETE_ATTRIBUTE, phone_number=auth.DELETE_ATTRIBUTE, disabled=True, app=app
    )
    changed = auth.get_user(user.uid, app=app)
    assert (changed.display_name, changed.phone_number, changed.disabled) == (None, None, True)


def test_bulk_deletion_leaves_the_others_alone(app: firebase_admin.App) -> None:
    """delete_users removes whom it names and counts unknown ones as gone."""
    auth.create_user(uid="kept", app=app)
    auth.create_user(uid="gone", app=app)
    auth.update_user("gone", disabled=True, app=app)
    result = auth.delete_users(["gone", "nobody"], app=app)
    assert (result.success_count, result.failure_count) == (2, 0)
    assert [user.uid for user in auth.list_users(app=app).users] == ["kept"]


def test_custom_claims_reach_the_next_token(app: firebase_admin.App, client: RestClient) -> None:
    """Claims set on an account are in every token issued afterwards, and deleting them takes them out."""
    made = client.do("signUp", email="claims@example.com", password="secret-1")
    auth.set_custom_user_claims(made["localId"], {"role": "editor", "level": 3}, app=app)
    assert auth.get_user(made["localId"], app=app).custom_claims == {"role": "editor", "level": 3}
    refreshed = client.refresh(made["refreshToken"]).json()
    claims = auth.verify_id_token(refreshed["id_token"], app=app)
    assert (claims["role"], claims["level"], claims["uid"]) == ("editor", 3, made["localId"])
    auth.set_custom_user_claims(made["localId"], None, app=app)
    claims = auth.verify_id_token(client.refresh(made["refreshToken"]).json()["id_token"], app=app)
    assert "role" not in claims


def test_a_custom_token_signs_in_and_carries_its_claims(app: firebase_admin.App, client: RestClient) -> None:
    """A token that a server made for a uid creates the account, and its claims survive a refresh."""
    token = auth.create_custom_token("made-by-server", {"plan": "gold"}, app=app).decode()
    signed_in = client.do("signInWithCustomToken", token=token, returnSecureToken=True)
    assert signed_in["isNewUser"]
    refreshed = client.refresh(signed_in["refreshToken"]).json()
    for id_token in (signed_in["idToken"], refreshed["id_token"]):
        claims = auth.verify_id_token(id_token, app=app, check_revoked=True)
        assert (claims["uid"], claims["plan"]) == ("made-by-server", "gold")
        assert claims["firebase"]["sign_in_provider"] == "custom"
    assert not client.do("signInWithCustomToken", token=token)["isNewUser"]


def test_revocation_ends_tokens_of_before(app: firebase_admin.App, client: RestClient, running: RunningAuth) -> None:
    """After a revocation neither the ID token nor the refresh token of before is worth anything; a new sign-in is."""
    made = client.do("signUp", email="revoked@example.com", password="secret-1")
    auth.verify_id_token(made["idToken"], app=app, check_revoked=True)
    later = running.clock.now_ns() // 1_000_000_000 + 10
    auth.update_user(made["localId"], valid_since=later, app=app)
    with pytest.raises(auth.RevokedIdTokenError):
        auth.verify_id_token(made["idToken"], app=app, check_revoked=True)
    assert client.refresh(made["refreshToken"]).json()["error"]["message"] == "TOKEN_EXPIRED"
    assert client.refusal("lookup", idToken=made["idToken"]) == "TOKEN_EXPIRED"
    running.call(lambda: running.clock.advance(11))
    again = client.do("signInWithPassword", email="revoked@example.com", password="secret-1")
    auth.verify_id_token(again["idToken"], app=app, check_revoked=True)


def test_revoke_refresh_tokens_sets_the_moment(app: firebase_admin.App) -> None:
    """The SDK's own revocation is recorded on the account."""
    user = auth.create_user(app=app)
    auth.revoke_refresh_tokens(user.uid, app=app)
    assert auth.get_user(user.uid, app=app).tokens_valid_after_timestamp > 0


def test_a_disabled_user_is_refused_everywhere(app: firebase_admin.App, client: RestClient) -> None:
    """Disabling ends sign-in, refresh and the verification of tokens that are still around."""
    made = client.do("signUp", email="off@example.com", password="secret-1")
    auth.update_user(made["localId"], disabled=True, app=app)
    assert client.refusal("signInWithPassword", email="off@example.com", password="secret-1") == "USER_DISABLED"
    assert client.refresh(made["refreshToken"]).json()["error"]["message"] == "USER_DISABLED"
    with pytest.raises(auth.UserDisabledError):
        auth.verify_id_token(made["idToken"], app=app, check_revoked=True)


def test_import_keeps_hashes_claims_and_identities(app: firebase_admin.App) -> None:
    """Imported users are listed with all they came with, their password hash included."""
    users = [
        auth.ImportUserRecord(
            "imported",
            email="imported@example.com",
            password_hash=b"hash",
            password_salt=b"salt",
            custom_claims={"admin": True},
            provider_data=[auth.UserProvider("google-id", "google.com", email="imported@example.com")],
        ),
        auth.ImportUserRecord("second", email="imported@example.com"),
    ]
    result = auth.import_users(users, hash_alg=auth.UserImportHash.hmac_sha256(b"key"), app=app)
    assert (result.success_count, result.failure_count) == (1, 1)
    assert result.errors[0].index == 1
    assert "email exists" in result.errors[0].reason
    listed = next(iter(auth.list_users(app=app).users))
    assert (listed.password_hash, listed.password_salt) == ("aGFzaA==", "c2FsdA==")
    assert listed.custom_claims == {"admin": True}
    assert listed.tokens_valid_after_timestamp > 0
    assert {info.provider_id for info in listed.provider_data} == {"google.com", "password"}
    found = auth.get_users([auth.ProviderIdentifier("google.com", "google-id")], app=app)
    assert [user.uid for user in found.users] == ["imported"]


@pytest.mark.parametrize(
    "algorithm",
    [
        auth.UserImportHash.hmac_sha512(b"key"),
        auth.UserImportHash.hmac_sha256(b"key"),
        auth.UserImportHash.hmac_sha1(b"key"),
        auth.UserImportHash.hmac_md5(b"key"),
        auth.UserImportHash.md5(0),
        auth.UserImportHash.sha1(1),
        auth.UserImportHash.sha256(1),
        auth.UserImportHash.sha512(1),
        auth.UserImportHash.pbkdf_sha1(0),
        auth.UserImportHash.pbkdf2_sha256(1),
        auth.UserImportHash.scrypt(b"key", 8, 14, b"Bw=="),
        auth.UserImportHash.bcrypt(),
        auth.UserImportHash.standard_scrypt(1024, 16, 8, 32),
    ],
    ids=lambda algorithm: str(algorithm.to_dict()["hashAlgorithm"]),
)
def test_every_algorithm_of_the_sdk_is_imported(app: firebase_admin.App, algorithm: auth.UserImportHash) -> None:
    """The hash is kept as it is, whatever made it."""
    record = auth.ImportUserRecord("hashed", email="hashed@example.com", password_hash=b"hash", password_salt=b"salt")
    assert auth.import_users([record], hash_alg=algorithm, app=app).failure_count == 0
    assert auth.get_user("hashed", app=app).email == "hashed@example.com"


def test_a_reset_password_unlinks_other_identities(app: firebase_admin.App, client: RestClient) -> None:
    """Whoever proves to own the mailbox gets the account to themselves: identities linked before are gone."""
    record = auth.ImportUserRecord(
        "linked", email="linked@example.com", provider_data=[auth.UserProvider("google-id", "google.com")]
    )
    assert auth.import_users([record], app=app).success_count == 1
    link = auth.generate_password_reset_link("linked@example.com", app=app)
    assert client.http.get(f"{link}&newPassword=secret-2").status_code == 200
    user = auth.get_user("linked", app=app)
    assert ([info.provider_id for info in user.provider_data], user.email_verified) == (["password"], True)


def test_action_links_do_what_they_say(app: firebase_admin.App, client: RestClient) -> None:
    """Links that the Admin SDK makes verify an address and reset a password when followed."""
    user = auth.create_user(email="links@example.com", password="secret-1", app=app)
    verification = auth.generate_email_verification_link("links@example.com", app=app)
    assert client.http.get(verification).status_code == 200
    assert auth.get_user(user.uid, app=app).email_verified
    settings = auth.ActionCodeSettings(url="https://example.com/done")
    reset = auth.generate_password_reset_link("links@example.com", settings, app=app)
    followed = client.http.get(f"{reset}&newPassword=secret-2")
    assert (followed.status_code, followed.headers["location"]) == (303, "https://example.com/done")
    client.do("signInWithPassword", email="links@example.com", password="secret-2")


def test_projects_do_not_see_each_other(admin_app: Callable[[str], firebase_admin.App], client: RestClient) -> None:
    """The same uid and email live in two projects at once, and a token of one is no token of the other."""
    here, there = admin_app(PROJECT), admin_app("demo-elsewhere")
    auth.create_user(uid="same", email="same@example.com", password="secret-1", app=here)
    auth.create_user(uid="same", email="same@example.com", display_name="Other", app=there)
    auth.delete_user("same", app=there)
    assert auth.get_user("same", app=here).display_name is None
    token = client.do("signInWithPassword", email="same@example.com", password="secret-1")["idToken"]
    auth.verify_id_token(token, app=here)
    with pytest.raises(auth.InvalidIdTokenError):
        auth.verify_id_token(token, app=there)


def test_a_session_cookie_is_verified_until_it_is_revoked(
    app: firebase_admin.App, client: RestClient, frozen: RunningAuth
) -> None:
    """A server turns an ID token into a cookie that lasts, verifies it, and ends it with all others of the user."""
    made = client.do("signUp", email="cookie@example.com", password="secret-1")
    now = int(frozen.clock.now().timestamp())
    cookie = auth.create_session_cookie(made["idToken"], expires_in=3600, app=app)
    claims = decode_claims(cookie)
    assert claims is not None
    assert (claims["iss"], claims["exp"]) == (f"https://session.firebase.google.com/{PROJECT}", now + 3600)
    assert auth.verify_session_cookie(cookie, check_revoked=True, app=app)["uid"] == made["localId"]
    later = int(frozen.clock.now().timestamp()) + 1
    fields = {"localId": made["localId"], "validSince": later}
    client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:update", json=fields, headers=ADMIN).raise_for_status()
    with pytest.raises(auth.RevokedSessionCookieError):
        auth.verify_session_cookie(cookie, check_revoked=True, app=app)


def test_a_tenant_has_accounts_of_its_own(app: firebase_admin.App, client: RestClient) -> None:
    """One address is two accounts, in the project and in its tenant; a token of either is nobody's in the other."""
    inside = auth.Client(app, tenant_id="tenant-a")
    outer = auth.create_user(email="both@example.com", password="secret-1", app=app)
    inner = inside.create_user(email="both@example.com", password="secret-1")
    assert outer.uid != inner.uid
    assert inside.get_user_by_email("both@example.com").tenant_id == "tenant-a"
    signed_in = client.do("signInWithPassword", email="both@example.com", password="secret-1", tenantId="tenant-a")
    assert inside.verify_id_token(signed_in["idToken"], check_revoked=True)["firebase"]["tenant"] == "tenant-a"
    assert client.refusal("lookup", idToken=signed_in["idToken"], tenantId="tenant-b") == "TENANT_ID_MISMATCH"
    assert client.refresh(signed_in["refreshToken"]).json()["user_id"] == inner.uid
    client.do("signInWithCustomToken", tenantId="tenant-a", token=inside.create_custom_token("guest").decode())
    outside = client.do("signInWithCustomToken", token='{"uid": "guest"}')
    assert client.refusal("lookup", idToken=outside["idToken"], tenantId="tenant-a") == "TENANT_ID_MISMATCH"
    assert {user.uid for user in inside.list_users().users} == {inner.uid, "guest"}
    link = inside.generate_password_reset_link("both@example.com")
    assert "tenantId=tenant-a" in link
    assert client.http.get(f"{link}&newPassword=secret-2").status_code == 200
    client.do("signInWithPassword", email="both@example.com", password="secret-1")
    client.do("signInWithPassword", email="both@example.com", password="secret-2", tenantId="tenant-a")


def test_providers_are_described_and_listed(app: firebase_admin.App) -> None:
    """What an operator's script says of OIDC and SAML providers is kept and given back, in pages."""
    for number in range(3):
        auth.create_oidc_provider_config(
            f"oidc.n{number}", client_id="c", issuer="https://issuer.example", display_name="N", enabled=True, app=app
        )
    assert auth.update_oidc_provider_config("oidc.n0", client_id="d", app=app).client_id == "d"
    page = auth.list_oidc_provider_configs(max_results=2, app=app)
    assert [one.provider_id for one in page.provider_configs] == ["oidc.n0", "oidc.n1"]
    assert [one.provider_id for one in page.iterate_all()] == ["oidc.n0", "oidc.n1", "oidc.n2"]
    auth.create_saml_provider_config(
        "saml.n", idp_entity_id="i", sso_url="https://sso.example", x509_certificates=["CERT"], rp_entity_id="r",
        callback_url="https://app.example/__/auth/handler", app=app,
    )  # fmt: skip
    assert auth.update_saml_provider_config("saml.n", idp_entity_id="j", app=app).x509_certificates == ["CERT"]
    assert auth.get_oidc_provider_config("oidc.n0", app=app).issuer == "https://issuer.example"
    auth.delete_oidc_provider_config("oidc.n0", app=app)
    assert [one.provider_id for one in auth.list_saml_provider_configs(app=app).provider_configs] == ["saml.n"]
    auth.delete_saml_provider_config("saml.n", app=app)
    with pytest.raises(auth.ConfigurationNotFoundError):
        auth.get_saml_provider_config("saml.n", app=app)
