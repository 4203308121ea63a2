"""Every way in and out, against the suite's Auth, and what its refusals tell a person."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import Any

import httpx2
import pytest

from afterimage_client import AppCheckToken, AuthError, FirebaseApp
from afterimage_client.auth import User
from afterimage_client.auth.auth import code_of_link
from afterimage_client.auth.refusals import sign_in_refusal
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps
from tests.client.cut_proxy import CutProxy

_numbers = iter(range(10**9))


@pytest.fixture
async def nobody(apps: Apps) -> FirebaseApp:
    """An app in which nobody is signed in."""
    return await apps.open()


@pytest.fixture
def email(apps: Apps) -> str:
    return f"user-{next(_numbers)}-{id(apps)}@example.com"


async def as_admin(apps: Apps, operation: str, body: dict[str, Any]) -> Any:
    """What an administrator does to accounts, from outside."""
    url = f"{apps.endpoints.identity_toolkit}/v1/projects/{apps.options.project_id}/accounts:{operation}"
    async with httpx2.AsyncClient() as http:
        answer = await http.post(url, json=body, headers={"authorization": "Bearer owner"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def codes_for(apps: Apps, email: str) -> list[dict[str, Any]]:
    """The codes that would have gone to this address by e-mail."""
    host = apps.suite.address("auth")
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"http://{host}/emulator/v1/projects/{apps.options.project_id}/oobCodes")
    return [code for code in answer.json()["oobCodes"] if code["email"] == email]


async def test_signing_up_out_and_in_again(nobody: FirebaseApp, email: str) -> None:
    """The same account each time; between them nobody."""
    made = await nobody.auth.sign_up(email, "secret1", display_name="Ann")
    assert (made.email, made.display_name, made.is_anonymous) == (email, "Ann", False)
    assert made.providers == ("password",)
    await nobody.auth.sign_out()
    assert nobody.auth.current_user is None
    assert await nobody.auth.id_token() is None
    assert await nobody.auth.sign_in_with_password(email, "secret1") == made


async def test_an_anonymous_user_becomes_a_lasting_one(nobody: FirebaseApp, email: str) -> None:
    """Linking keeps the uid and all that is stored under it."""
    anonymous = await nobody.auth.sign_in_anonymously()
    assert anonymous.is_anonymous
    assert await nobody.auth.sign_in_anonymously() == anonymous
    linked = await nobody.auth.link_with_password(email, "secret1")
    assert (linked.uid, linked.is_anonymous, linked.email) == (anonymous.uid, False, email)


async def test_a_custom_token_signs_in_whom_a_server_vouches_for(nobody: FirebaseApp) -> None:
    """Its claims reach the rules through the ID token, also after a renewal."""
    token = json.dumps({"uid": f"custom-{next(_numbers)}", "claims": {"level": 7}})
    user = await nobody.auth.sign_in_with_custom_token(token)
    assert user.uid.startswith("custom-")
    assert (await nobody.auth.claims())["level"] == 7
    await nobody.auth.id_token(is_refused=await nobody.auth.id_token())
    assert (await nobody.auth.claims())["level"] == 7


async def test_profile_password_and_verification(nobody: FirebaseApp, email: str, apps: Apps) -> None:
    """What a user may change about the own account, and the e-mails that go with it."""
    auth = nobody.auth
    await auth.sign_up(email, "secret1")
    assert (await auth.update_profile(display_name="Ann", photo_url="https://x/y.png")).display_name == "Ann"
    changed = await auth.update_profile(display_name="")
    assert (changed.display_name, changed.photo_url) == (None, "https://x/y.png")
    await auth.send_email_verification()
    (code,) = await codes_for(apps, email)
    async with httpx2.AsyncClient() as http:
        await http.get(code["oobLink"])
    assert (await auth.reload()).is_email_verified
    await auth.update_password("secret2")
    assert await auth.id_token() is not None
    await auth.send_password_reset(email)
    (code,) = await codes_for(apps, email)
    await auth.confirm_password_reset(code["oobCode"], "secret3")
    await auth.sign_out()
    assert (await auth.sign_in_with_password(email, "secret3")).email == email


async def test_a_deleted_account_is_gone(nobody: FirebaseApp, email: str) -> None:
    """Here and on the server."""
    await nobody.auth.sign_up(email, "secret1")
    await nobody.auth.delete_user()
    assert nobody.auth.current_user is None
    with pytest.raises(AuthError, match="user-not-found"):
        await nobody.auth.sign_in_with_password(email, "secret1")


async def test_refusals_have_firebases_codes_and_a_way_out(nobody: FirebaseApp, email: str) -> None:
    """Those that a program shows to people or decides by."""
    await nobody.auth.sign_up(email, "secret1")
    for wrong, code in (
        (nobody.auth.sign_up(email, "secret1"), "email-already-in-use"),
        (nobody.auth.sign_up("new-" + email, "abc"), "weak-password"),
        (nobody.auth.sign_up("no address", "secret1"), "invalid-email"),
        (nobody.auth.sign_in_with_password(email, "wrong"), "wrong-password"),
        (nobody.auth.sign_in_with_custom_token("garbage"), "invalid-custom-token"),
        (nobody.auth.confirm_password_reset("no-code", "secret1"), "invalid-action-code"),
    ):
        with pytest.raises(AuthError) as caught:
            await wrong
        assert caught.value.code == code
        assert caught.value.way_out
        assert not caught.value.is_transient
    assert nobody.auth.current_user is not None, "a failed sign-in leaves the user who is there"


async def test_what_needs_a_user_says_so(nobody: FirebaseApp) -> None:
    """Instead of asking the server with nothing."""
    for wrong in (nobody.auth.delete_user(), nobody.auth.reload(), nobody.auth.link_with_password("a@b", "secret1")):
        with pytest.raises(AuthError, match="no-current-user"):
            await wrong


async def test_a_server_that_cannot_be_reached_is_a_transient_error(apps: Apps) -> None:
    """Nothing listens there; the error says that trying again may help."""
    app = await apps.open(endpoints=dataclasses.replace(apps.endpoints, identity_toolkit="http://127.0.0.1:1"))
    with pytest.raises(AuthError, match="network-request-failed") as caught:
        await app.auth.sign_in_anonymously()
    assert caught.value.is_transient


async def test_observers_hear_of_users_and_not_of_tokens(nobody: FirebaseApp, email: str) -> None:
    """Once for each change of who it is."""
    heard: list[str | None] = []
    stop = nobody.auth.observe(lambda user: heard.append(None if user is None else user.uid))
    user = await nobody.auth.sign_up(email, "secret1")
    await nobody.auth.id_token(is_refused=await nobody.auth.id_token())
    await nobody.auth.sign_out()
    stop()
    await nobody.auth.sign_in_with_password(email, "secret1")
    assert heard == [user.uid, None]
    changes = nobody.auth.changes()
    assert await anext(changes) == nobody.auth.current_user
    await nobody.auth.sign_out()
    assert await anext(changes) is None


async def test_an_observer_that_fails_undoes_nothing(nobody: FirebaseApp) -> None:
    """The sign-in is done, and the others hear of it."""
    heard: list[User | None] = []

    def fails(user: User | None) -> None:
        raise LookupError

    nobody.auth.observe(fails)
    nobody.auth.observe(heard.append)
    user = await nobody.auth.sign_in_anonymously()
    assert heard == [user]


async def link_to(apps: Apps, email: str) -> str:
    """The last link that would have been sent to the address."""
    suite = apps.suite
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"http://{suite.address('auth')}/emulator/v1/projects/{suite.project_id}/oobCodes")
    return [str(code["oobLink"]) for code in answer.json()["oobCodes"] if code["email"] == email][-1]


async def test_an_email_link_signs_in_and_links(apps: Apps, nobody: FirebaseApp, email: str) -> None:
    """Once, with the address that it went to; an anonymous account keeps its id."""
    await nobody.auth.send_sign_in_link(email, continue_url="http://localhost/done")
    link = await link_to(apps, email)
    with pytest.raises(AuthError, match="invalid-email"):
        await nobody.auth.sign_in_with_email_link("another@example.com", link)
    user = await nobody.auth.sign_in_with_email_link(email, link)
    assert user.email == email
    with pytest.raises(AuthError, match="invalid-action-code"):
        await nobody.auth.sign_in_with_email_link(email, link)
    await nobody.auth.sign_out()
    anonymous = await nobody.auth.sign_in_anonymously()
    await nobody.auth.send_sign_in_link("linked-" + email, continue_url="http://localhost/done")
    linked = await nobody.auth.link_with_email_link("linked-" + email, await link_to(apps, "linked-" + email))
    assert (linked.uid, linked.email) == (anonymous.uid, "linked-" + email)
    with pytest.raises(AuthError, match="invalid-action-code"):
        await nobody.auth.sign_in_with_email_link(email, "https://p/?oobCode=abc")
    assert nobody.auth.current_user == linked


@pytest.mark.parametrize(
    "link",
    [
        "https://p.firebaseapp.com/__/auth/action?mode=signIn&oobCode=abc&apiKey=k",
        "https://x.page.link/?link=https%3A%2F%2Fp.firebaseapp.com%2F%3FoobCode%3Dabc%26mode%3DsignIn",
    ],
)
def test_the_code_of_a_link_is_found_also_where_it_is_wrapped(link: str) -> None:
    """Mobile links carry the real one inside."""
    assert code_of_link(link) == "abc"


def test_a_link_without_code_is_named() -> None:
    """Before the server is asked."""
    with pytest.raises(AuthError, match="oobCode"):
        code_of_link("https://example.com/")


@pytest.mark.parametrize("body", [None, [], {}, {"error": "text"}, {"error": {"message": 3}}, "<html>"])
@pytest.mark.parametrize("status", [400, 403, 429, 502])
def test_any_answer_is_an_error_that_can_be_read(status: int, body: object) -> None:
    """Also one that no Firebase wrote."""
    error = sign_in_refusal(status, body)
    assert error.code == "internal-error"
    assert error.is_transient is (status in (429, 502))


async def test_a_renewal_whose_answer_is_lost_is_asked_for_again(app: FirebaseApp, apps: Apps) -> None:
    """Nobody is signed out because of a bad minute."""
    apps.suite.add_fault(
        FaultRule(action="apply_then_fail", match={"resource": "/securetoken*"}, times=3, code=Code.UNAVAILABLE)
    )
    try:
        apps.suite.advance_clock(10)
        old = await app.auth.id_token()
        assert await app.auth.id_token(is_refused=old) != old
    finally:
        apps.suite.clear_faults()
    assert app.auth.current_user is not None


async def test_a_disabled_or_deleted_user_is_signed_out_at_the_next_renewal(apps: Apps) -> None:
    """And told why."""
    for operation, body, code in (
        ("update", {"disableUser": True}, "user-disabled"),
        ("delete", {}, "invalid-user-token"),
    ):
        app = await apps.open()
        user = await app.auth.sign_in_anonymously()
        await as_admin(apps, operation, {"localId": user.uid, **body})
        with pytest.raises(AuthError) as caught:
            await app.auth.id_token(is_refused=await app.auth.id_token())
        assert caught.value.code == code
        assert app.auth.current_user is None


async def test_a_sign_in_that_reached_nobody_is_tried_again(apps: Apps) -> None:
    """A connection that was refused carried nothing: even an account that must not be made twice is asked for anew."""
    address = apps.endpoints.identity_toolkit.removeprefix("http://").partition("/")[0]
    line = CutProxy(address)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        attempts = 0

        async def attest() -> AppCheckToken:
            nonlocal attempts
            attempts += 1
            if attempts == 2:
                await line.listen_on(port)
            return AppCheckToken(token="any", ttl_seconds=0)

        url = apps.endpoints.identity_toolkit.replace(address, f"127.0.0.1:{port.getsockname()[1]}")
        app = await apps.open(endpoints=dataclasses.replace(apps.endpoints, identity_toolkit=url), app_check=attest)
        assert (await app.auth.sign_in_anonymously()).is_anonymous
        await line.__aexit__(None, None, None)
