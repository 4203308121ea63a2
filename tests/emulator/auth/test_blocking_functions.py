"""Functions that are asked before an account is made and before somebody signs in, as the Python SDK declares them."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.blocking.asked_functions import AskedFunctions
from afterimage_emulator.auth.blocking.function_payload import Event, SignInContext
from afterimage_emulator.auth.errors import AuthError
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.front.callers import decode_claims
from afterimage_emulator.suite import Suite
from tests.emulator.auth.conftest import ADMIN, PROJECT, TOOLKIT, RestClient
from tests.emulator.functions.running import CODEBASES


class Asked:
    """A suite whose functions are asked, a client of its Auth, and what the functions noted."""

    def __init__(self, suite: BackgroundSuite, notes_file: Path) -> None:
        self.suite = suite
        self.client = RestClient(f"http://{suite.environment()['FIREBASE_AUTH_EMULATOR_HOST']}")
        self._notes_file = notes_file

    def noted(self) -> list[dict[str, Any]]:
        """What the functions were told since the last time."""
        lines = self._notes_file.read_text().splitlines() if self._notes_file.exists() else []
        self._notes_file.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def lookup(self, **fields: Any) -> list[dict[str, Any]]:
        url = f"{TOOLKIT}/projects/{PROJECT}/accounts:lookup"
        found: list[dict[str, Any]] = self.client.http.post(url, json=fields, headers=ADMIN).json().get("users", [])
        return found


@pytest.fixture(scope="module")
def running_functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("blocking")
    shutil.copytree(CODEBASES / "blocking", folder / "codebase")
    codebases = (Codebase(name="default", source=folder / "codebase"),)
    configuration = Configuration(root=folder, project_id=PROJECT, codebases=codebases)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES_FILE", str(folder / "notes"))
        with BackgroundSuite(Suite(configuration, only=("auth", "functions"), free_ports=True)) as suite:
            asked = Asked(suite, folder / "notes")
            yield asked
            asked.client.http.close()


@pytest.fixture
def asked(running_functions: Asked) -> Asked:
    running_functions.suite.reset()
    running_functions.noted()
    return running_functions


def claims_of(token: str) -> dict[str, Any]:
    claims = decode_claims(token)
    assert claims is not None
    return claims


def test_what_functions_want_is_done(asked: Asked) -> None:
    """Name, picture and claims are the account's from its first token on; a session's claims last as it does."""
    made = asked.client.do("signUp", email="new@example.com", password="secret-1")
    claims = claims_of(made["idToken"])
    assert (claims["name"], claims["picture"], claims["member"], claims["from"]) == (
        "Welcome", "https://example.com/w.png", True, "127.0.0.1",
    )  # fmt: skip
    renewed = claims_of(asked.client.refresh(made["refreshToken"]).json()["id_token"])
    assert (renewed["member"], renewed["from"]) == (True, "127.0.0.1")
    create, sign_in = asked.noted()
    assert (create["uid"], create["email"], create["providers"]) == (made["localId"], "new@example.com", ["password"])
    assert (create["event"], create["provider"], create["new"]) == (
        "providers/cloud.auth/eventTypes/user.beforeCreate", "password", True,
    )  # fmt: skip
    assert (sign_in["new"], sign_in["uid"]) == (False, made["localId"])
    asked.client.do("signInWithPassword", email="new@example.com", password="secret-1")
    assert [note["new"] for note in asked.noted()] == [False]


def test_a_refusal_is_told_to_the_client_and_leaves_no_account(asked: Asked) -> None:
    """The function's own words arrive in the message; a mistake of the function shuts the door as well."""
    refusal = asked.client.refusal("signUp", email="stranger@example.com", password="secret-1")
    assert refusal.startswith("BLOCKING_FUNCTION_ERROR_RESPONSE : ((HTTP request to https://us-central1-demo-auth.")
    assert "returned HTTP error 403" in refusal
    assert "members only" in refusal
    broken = asked.client.refusal("signUp", email="broken@example.com", password="secret-1")
    assert "returned HTTP error 500" in broken
    assert asked.lookup(email=["stranger@example.com", "broken@example.com"]) == []
    assert asked.client.refusal("signUp", email="disabled@example.com", password="secret-1") == "USER_DISABLED"
    assert [user["disabled"] for user in asked.lookup(email=["disabled@example.com"])] == [True]


def test_every_way_of_signing_in_asks_but_those_of_servers(asked: Asked) -> None:
    """Links, providers and phones ask, and provider's tokens are told; anonymous users and custom tokens do not ask."""
    google = json.dumps({"sub": "g1", "email": "g1@example.com", "name": "Gee"})
    body = f"id_token={google}&providerId=google.com&access_token=opaque"
    first = asked.client.do("signInWithIdp", postBody=body, requestUri="http://localhost")
    create, sign_in = asked.noted()
    assert (create["method"], create["id_token"], create["access_token"]) == ("google.com", google, "opaque")
    assert create["profile"]["name"] == "Gee"
    assert sign_in["providers"] == ["google.com"]
    assert claims_of(first["idToken"])["from"] == "127.0.0.1"
    asked.client.do("signInWithIdp", postBody=body, requestUri="http://localhost")
    assert [note["new"] for note in asked.noted()] == [False]

    saml = '{"assertion":{"subject":{"nameId":"saml@example.com"},"attributeStatements":{"role":"x"}}}'
    uri = f'http://localhost?providerId=saml.own&id_token={{"sub":"s1"}}&SAMLResponse={saml}'
    asked.client.do("signInWithIdp", requestUri=uri)
    assert [note["attributes"] for note in asked.noted()] == [{"role": "x"}, {"role": "x"}]

    asked.client.do("sendOobCode", requestType="EMAIL_SIGNIN", email="link@example.com")
    codes = asked.client.http.get(f"/emulator/v1/projects/{PROJECT}/oobCodes").json()["oobCodes"]
    asked.client.do("signInWithEmailLink", email="link@example.com", oobCode=codes[-1]["oobCode"])
    assert [(note["new"], note["provider"]) for note in asked.noted()] == [(True, "password"), (False, "password")]

    session = asked.client.do("sendVerificationCode", phoneNumber="+15550001")["sessionInfo"]
    codes = asked.client.http.get(f"/emulator/v1/projects/{PROJECT}/verificationCodes").json()["verificationCodes"]
    asked.client.do("signInWithPhoneNumber", sessionInfo=session, code=codes[-1]["code"])
    assert [(note["new"], note["phone"]) for note in asked.noted()] == [(True, "+15550001"), (False, "+15550001")]

    inside = asked.client.do("signUp", email="in@example.com", password="secret-1", tenantId="a-tenant")
    assert [note["tenant"] for note in asked.noted()] == ["a-tenant", "a-tenant"]
    assert claims_of(inside["idToken"])["firebase"]["tenant"] == "a-tenant"

    asked.client.do("signUp")
    asked.client.do("signInWithCustomToken", token='{"uid": "custom"}')
    asked.client.refresh(first["refreshToken"])
    assert asked.noted() == []


def test_the_second_factor_comes_before_the_question(asked: Asked) -> None:
    """Who has shown a password alone has not signed in, so nothing is asked before the second factor is shown."""
    made = asked.client.do("signUp", email="two@example.com", password="secret-1")
    phone = {"mfaEnrollmentId": "phone", "phoneInfo": "+15550002"}
    fields = {"localId": made["localId"], "emailVerified": True, "mfa": {"enrollments": [phone]}}
    asked.client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:update", json=fields, headers=ADMIN)
    asked.noted()
    pending = asked.client.do("signInWithPassword", email="two@example.com", password="secret-1")
    assert asked.noted() == []
    v2 = f"{TOOLKIT.replace('v1', 'v2')}/accounts/mfaSignIn"
    shown = {"mfaPendingCredential": pending["mfaPendingCredential"], "mfaEnrollmentId": "phone"}
    started = asked.client.http.post(f"{v2}:start?key=any", json=shown).json()["phoneResponseInfo"]["sessionInfo"]
    codes = asked.client.http.get(f"/emulator/v1/projects/{PROJECT}/verificationCodes").json()["verificationCodes"]
    answer = {"sessionInfo": started, "code": codes[-1]["code"]}
    signed_in = asked.client.http.post(f"{v2}:finalize?key=any", json={**shown, "phoneVerificationInfo": answer}).json()
    assert claims_of(signed_in["idToken"])["from"] == "127.0.0.1"
    assert [note["new"] for note in asked.noted()] == [False]


def test_what_happens_meanwhile_is_kept(asked: Asked) -> None:
    """An account that is shut while its function is asked stays shut, and whoever signs in is told so."""
    made = asked.client.do("signUp", email="busy@example.com", password="secret-1")
    fields = {"localId": made["localId"], "displayName": "Busy"}
    asked.client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:update", json=fields, headers=ADMIN)
    assert asked.client.refusal("signInWithPassword", email="busy@example.com", password="secret-1") == "USER_DISABLED"
    (user,) = asked.lookup(localId=[made["localId"]])
    assert (user["disabled"], user["phoneNumber"]) == (True, "+15550009")
    other = asked.client.do("signUp", email="shut@example.com", password="secret-1")
    fields = {"localId": other["localId"], "displayName": "Shut"}
    asked.client.http.post(f"{TOOLKIT}/projects/{PROJECT}/accounts:update", json=fields, headers=ADMIN)
    assert "shut out" in asked.client.refusal("signInWithPassword", email="shut@example.com", password="secret-1")


async def test_an_address_in_the_settings_is_asked_and_not_waited_for_long() -> None:
    """A function anywhere, by its URL; one that does not answer in time is told of as such, and as one that is gone."""
    heard: list[bytes] = []
    answering = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        heard.append(await reader.readexactly(length))
        await answering.wait()
        body = b'{"userRecord": {"displayName": "Asked", "updateMask": "displayName"}}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/before"
    project = Project(PROJECT)
    project.settings.blocking.urls["beforeCreate"] = url
    asked = AskedFunctions(clock=Clock(), beside=lambda: None, patience_seconds=0.2)
    account, context = Account(uid="u", created_at_ms=1), SignInContext(method="password")
    with pytest.raises(AuthError, match="Deadline exceeded making request to"):
        await asked.ask(Event.BEFORE_CREATE, project, account, context)
    answering.set()
    patient = AskedFunctions(clock=Clock(), beside=lambda: None)
    answer = await patient.ask(Event.BEFORE_CREATE, project, account, context)
    assert answer.changes == {"display_name": "Asked"}
    assert [claims_of(json.loads(body)["data"]["jwt"])["user_record"]["uid"] for body in heard] == ["u", "u"]
    server.close()
    with pytest.raises(AuthError, match="Failed to make request to"):
        await patient.ask(Event.BEFORE_CREATE, project, account, context)


def test_an_admin_names_functions_by_url(asked: Asked) -> None:
    """The settings of the official suite's functions: events and absolute addresses, or a refusal that says so."""
    config = f"{TOOLKIT.replace('v1', 'v2')}/projects/{PROJECT}/config?updateMask=blockingFunctions"

    def told(triggers: dict[str, Any]) -> httpx.Response:
        return asked.client.http.patch(config, json={"blockingFunctions": {"triggers": triggers}}, headers=ADMIN)

    kept = told({"beforeCreate": {"functionUri": "http://127.0.0.1:9/x"}})
    assert kept.json()["blockingFunctions"]["triggers"]["beforeCreate"]["functionUri"] == "http://127.0.0.1:9/x"
    answer = asked.client.ask("signUp", email="url@example.com", password="secret-1")
    assert (answer.status_code, "Failed to make request to http://127.0.0.1:9/x" in answer.text) == (500, True)
    told({"beforeCreate": {"functionUri": "https://us-central1-real.cloudfunctions.net/beforeCreate"}})
    answer = asked.client.ask("signUp", email="elsewhere@example.com", password="secret-1")
    assert answer.status_code == 500
    assert "`us-central1-real.cloudfunctions.net` is not on this machine" in answer.json()["error"]["message"]
    assert "Event type is invalid" in told({"beforeSendEmail": {"functionUri": "http://127.0.0.1:9/x"}}).text
