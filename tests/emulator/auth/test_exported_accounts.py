"""Exports and imports of accounts, in the layout of the official suite."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.accounts.second_factors import SecondFactor, new_totp_secret
from afterimage_emulator.auth.service import AuthService
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import ConfigurationError
from tests.emulator.auth.conftest import ADMIN, PROJECT, TOOLKIT, RestClient, RunningAuth


async def test_an_export_of_the_official_suite_is_understood(tmp_path: Path) -> None:
    """Fields as firebase-tools writes them, unknown ones and empty sections included, make the same users."""
    user = {
        "localId": "official",
        "createdAt": "1700000000000",
        "lastLoginAt": "1700000001000",
        "emailVerified": True,
        "email": "official@example.com",
        "salt": "fakeSaltabc",
        "passwordHash": "fakeHash:salt=fakeSaltabc:password=secret-1",
        "passwordUpdatedAt": 1700000000000,
        "validSince": "1700000000",
        "initialEmail": "first@example.com",
        "lastRefreshAt": "2023-11-14T22:13:21.000Z",
        "providerUserInfo": [
            {"providerId": "password", "email": "official@example.com", "rawId": "official@example.com"},
            {"providerId": "google.com", "rawId": "1", "displayName": "O"},
        ],
        "customAttributes": '{"role":"x"}',
        "disabled": False,
    }
    config = {"signIn": {"allowDuplicateEmails": False}, "emailPrivacyConfig": {"enableImprovedEmailPrivacy": True}}
    (tmp_path / "accounts.json").write_text(json.dumps({"kind": "x", "users": [user]}))
    (tmp_path / "config.json").write_text(json.dumps({**config, "blockingFunctions": {}}))
    service = AuthService(project_id=PROJECT, clock=Clock())
    await service.import_from(tmp_path)
    project = service.projects.get()
    account = project.accounts.by_email("official@example.com")
    assert account is not None
    assert account.password is not None
    assert account.password.matches("secret-1")
    assert [link.provider_id for link in account.links] == ["google.com", "password"]
    assert (account.created_at_ms, account.valid_since_seconds) == (1_700_000_000_000, 1_700_000_000)
    assert account.last_refresh_at_ms == 1_700_000_001_000
    assert project.settings.improved_email_privacy


def add_an_app(project: Project, uid: str) -> None:
    """An authenticator app, as somebody enrols it."""
    account = project.accounts.by_uid(uid)
    assert account is not None
    app = SecondFactor(enrollment_id="app", totp_secret=new_totp_secret(), enrolled_at="2026-01-31T12:00:00.000Z")
    account = replace(account, second_factors=(*account.second_factors, app))
    account = replace(account, second_factors=tuple(replace(one, enrolled_at="2026") for one in account.second_factors))
    project.accounts.put(account)


def test_what_is_exported_comes_back_whole(running: RunningAuth, client: RestClient, tmp_path: Path) -> None:
    """Every field of every account of every project survives, and tokens of before still work."""
    made = client.do("signUp", email="kept@example.com", password="secret-1")
    client.do("signUp")
    client.do("signInWithCustomToken", token='{"uid":"custom"}')
    changes = {"localId": made["localId"], "customAttributes": '{"a":1}', "phoneNumber": "+1555", "disableUser": False}
    client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:update", json=changes, headers=ADMIN)
    client.http.post(f"{TOOLKIT}/projects/demo-other/accounts", json={"localId": "there"}, headers=ADMIN)
    v2 = f"{TOOLKIT.replace('v1', 'v2')}/projects/{PROJECT}"
    policy = {"passwordPolicyEnforcementState": "OFF", "passwordPolicyVersions": []}
    settings = {"passwordPolicyConfig": policy, "mfa": {"state": "ENABLED", "enabledProviders": ["PHONE_SMS"]}}
    asked = client.http.patch(f"{v2}/config?updateMask=passwordPolicyConfig,mfa", json=settings, headers=ADMIN)
    assert asked.status_code == 200, asked.text
    tenant = client.http.post(f"{v2}/tenants", json={"displayName": "T", "enableAnonymousUser": True}, headers=ADMIN)
    client.do("signUp", tenantId=tenant.json()["tenantId"])
    oidc = {"clientId": "c", "issuer": "https://issuer.example", "enabled": True}
    client.http.post(f"{v2}/oauthIdpConfigs?oauthIdpConfigId=oidc.kept", json=oidc, headers=ADMIN).raise_for_status()
    google = (
        'id_token={"sub":"g","email":"g@example.com","email_verified":true,"screen_name":"G"}&providerId=google.com'
    )
    client.do("signInWithIdp", postBody=google, requestUri="http://localhost")
    credential = {"idToken": made["idToken"], "authenticatorRegistrationResponse": {"id": "a-passkey"}}
    client.http.post("/identitytoolkit.googleapis.com/v2/accounts/passkeyEnrollment:finalize?key=k", json=credential)
    factors = [{"phoneInfo": "+1556", "mfaEnrollmentId": "phone"}]
    fields = {"localId": "mfa", "email": "mfa@example.com", "emailVerified": True, "mfaInfo": factors}
    client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:batchCreate", json={"users": [fields]}, headers=ADMIN)
    running.call(lambda: add_an_app(running.service.projects.get(), "mfa"))

    def everything() -> dict[str, object]:
        return {
            f"{project.id}/{one.tenant_id}": (list(one.accounts), one.sign_in, one.providers, one.display_name)
            for project in running.service.projects
            for one in project.with_tenants()
        }

    before = everything()
    assert len(before) == 3
    running.run(running.service.export_to(tmp_path))
    running.call(running.service.reset)
    running.run(running.service.import_from(tmp_path))
    assert everything() == before
    assert {"accounts.json", "config.json", f"accounts-{tenant.json()['tenantId']}.json"} < {
        path.name for path in tmp_path.iterdir()
    }
    (user,) = client.do("lookup", idToken=made["idToken"])["users"]
    assert user["email"] == "kept@example.com"
    assert user["passkeyInfo"] == [{"credentialId": "a-passkey", "name": "Unnamed Passkey"}]


@pytest.mark.parametrize(
    ("accounts", "trouble"),
    [
        ("{", "accounts.json: not JSON"),
        ('{"users": 1}', "accounts.json: .*/users must be array"),
        ('{"users": [{"localId": "a"}, {"localId": "a"}]}', "user 1: DUPLICATE_LOCAL_ID"),
        ('{"users": [{"localId": "a", "mfaInfo": [{}]}]}', "user 0: Second factor account requires email"),
    ],
)
async def test_a_broken_export_changes_nothing(tmp_path: Path, accounts: str, trouble: str) -> None:
    """The message names the file and the user, and what was there before is still there."""
    service = AuthService(project_id=PROJECT, clock=Clock())
    (tmp_path / "accounts.json").write_text('{"users": [{"localId": "before"}]}')
    await service.import_from(tmp_path)
    (tmp_path / "accounts.json").write_text(accounts)
    with pytest.raises(ConfigurationError, match=trouble):
        await service.import_from(tmp_path)
    assert [account.uid for account in service.projects.get().accounts] == ["before"]
