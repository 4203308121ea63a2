"""Popups, redirects and phones, as the JavaScript SDK uses them in a real browser that reaches no network."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from afterimage_emulator.background import BackgroundSuite
from tests.browser.page import Browser, Page

# The SDK as an app starts it; the suite's stand-in for Google's script is there before the SDK asks for that script.
START = """async (host) => {
  await new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: `http://${host}/emulator/auth/gapi.js` });
    Object.assign(script, { onload: resolve, onerror: reject });
    document.head.append(script);
  });
  const { initializeApp } = await import("firebase/app");
  window.sdk = await import("firebase/auth");
  const app = initializeApp({ apiKey: "any", authDomain: "app.example", projectId: "any" });
  window.auth = sdk.initializeAuth(app, {
    persistence: sdk.browserSessionPersistence, popupRedirectResolver: sdk.browserPopupRedirectResolver,
  });
  sdk.connectAuthEmulator(window.auth, `http://${host}`, { disableWarnings: true });
  window.shown = (result) => result && {
    uid: result.user.uid, email: result.user.email, name: result.user.displayName,
    provider: result.providerId, profile: sdk.getAdditionalUserInfo(result)?.profile,
    token: sdk.OAuthProvider.credentialFromResult(result)?.idToken ?? null,
  };
}"""
FILL_IN = """(email, name) => {
  document.querySelector(".js-new-account").click();
  for (const [id, value] of [["email-input", email], ["display-name-input", name]]) {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("input"));
  }
  document.getElementById("sign-in").click();
}"""


def auth_of(suite: BackgroundSuite) -> str:
    """By the name that the app's page has too: storage of another site would be kept apart."""
    return suite.environment()["FIREBASE_AUTH_EMULATOR_HOST"].replace("127.0.0.1", "localhost")


def started(browser: Browser, suite: BackgroundSuite, *, sdk: str = "12") -> Page:
    page = browser.open(sdk=sdk)
    page.run(START, auth_of(suite))
    return page


def popup_of(browser: Browser, page: Page, provider: str, call: str = "signInWithPopup(window.auth") -> Page:
    page.run(
        f"""(name) => {{
          const provider = new sdk.OAuthProvider(name);
          window.done = sdk.{call}, provider).then(shown, (error) => ({{ code: error.code }}));
        }}""",
        provider,
    )
    return browser.popup("/emulator/auth/handler")


def test_a_popup_signs_in_and_offers_the_account_later(browser: Browser, suite: BackgroundSuite) -> None:
    """Whoever fills in the form is signed in at the app; the next popup lists that account for a press of it."""
    page = started(browser, suite)
    popup = popup_of(browser, page, "google.com")
    assert popup.run("() => document.title") == "Auth Emulator: sign in with google.com"
    # What the app's own page makes up is not heard by the helper frame: only a page of Auth's is.
    page.run(
        """(eventId) => {
          const error = { code: "auth/user-cancelled", message: "forged" };
          const authEvent = { type: "signInViaPopup", eventId, error, sessionId: "s", postBody: "", tenantId: null };
          const data = { storageKey: "any:[DEFAULT]", authEvent };
          frames[0].postMessage({ eventType: "sendAuthEvent", eventId, data }, "*");
        }""",
        popup.run("() => new URLSearchParams(location.search).get('eventId')"),
    )
    popup.run(FILL_IN, "popup@example.com", "<b>Pop</b>")
    made = page.run("() => done")
    assert (made["email"], made["name"], made["provider"]) == ("popup@example.com", "<b>Pop</b>", "google.com")
    assert json.loads(made["token"])["email_verified"] is True
    again = popup_of(browser, page, "google.com")
    listed = again.run("() => [...document.querySelectorAll('#accounts-list li')].map((item) => item.textContent)")
    assert "<b>Pop</b>popup@example.com" in listed
    again.run(
        """() => [...document.querySelectorAll("#accounts-list button")]
          .find((button) => button.textContent.includes("popup@example.com")).click()"""
    )
    assert page.run("() => done")["uid"] == made["uid"]
    linking = popup_of(browser, page, "oidc.own", "linkWithPopup(window.auth.currentUser")
    linking.run(FILL_IN, "linked@example.com", "")
    assert page.run("() => done")["uid"] == made["uid"]
    assert page.run("() => auth.currentUser.providerData.map((one) => one.providerId)") == ["google.com", "oidc.own"]
    asked = popup_of(browser, page, "oidc.own", "reauthenticateWithPopup(window.auth.currentUser")
    asked.run(
        """() => [...document.querySelectorAll("#accounts-list button")]
          .find((button) => button.textContent.includes("linked@example.com")).click()"""
    )
    assert page.run("() => done")["uid"] == made["uid"]


def test_a_popup_that_is_cancelled_says_so(browser: Browser, suite: BackgroundSuite) -> None:
    """The app hears at once, with the code that it handles in production."""
    page = started(browser, suite)
    popup = popup_of(browser, page, "saml.own")
    popup.run("() => document.getElementById('cancel').click()")
    assert page.run("() => done") == {"code": "auth/user-cancelled"}


@pytest.mark.parametrize("sdk", ["12", "13"])
def test_a_redirect_comes_back_signed_in(browser: Browser, suite: BackgroundSuite, sdk: str) -> None:
    """The page leaves the app and comes back to it, where the SDK finds what the provider said; once."""
    page = started(browser, suite, sdk=sdk)
    page.run("() => { sdk.signInWithRedirect(auth, new sdk.OAuthProvider('saml.own')); }")
    page.until("() => location.pathname === '/emulator/auth/handler' && document.readyState === 'complete'")
    page.run(FILL_IN, f"redirect-{sdk}@example.com", "Re")
    page.until(f"() => location.pathname === '/{sdk}/' && document.readyState === 'complete'")
    page.run(START, auth_of(suite))
    result = page.run("async () => shown(await sdk.getRedirectResult(auth))")
    assert (result["email"], result["provider"]) == (f"redirect-{sdk}@example.com", "saml.own")
    assert result["profile"]["name"] == "Re"
    page.reload()
    page.run(START, auth_of(suite))
    assert page.run("async () => [shown(await sdk.getRedirectResult(auth)), auth.currentUser.email]") == [
        None, f"redirect-{sdk}@example.com",
    ]  # fmt: skip


def test_a_redirect_links_and_asks_again(browser: Browser, suite: BackgroundSuite) -> None:
    """Whoever is signed in comes back with another provider linked, and comes back as the one who left."""
    page = started(browser, suite)
    uid = page.run("async () => (await sdk.signInAnonymously(auth)).user.uid")
    for call, fill in (("linkWithRedirect", True), ("reauthenticateWithRedirect", False)):
        page.run(f"() => {{ sdk.{call}(auth.currentUser, new sdk.OAuthProvider('oidc.back')); }}")
        page.until("() => location.pathname === '/emulator/auth/handler' && document.readyState === 'complete'")
        if fill:
            page.run(FILL_IN, "back@example.com", "Back")
        else:
            page.run(
                """() => [...document.querySelectorAll("#accounts-list button")]
                  .find((button) => button.textContent.includes("back@example.com")).click()"""
            )
        page.until("() => location.pathname === '/12/' && document.readyState === 'complete'")
        page.run(START, auth_of(suite))
        assert page.run("async () => shown(await sdk.getRedirectResult(auth))")["uid"] == uid


def test_a_phone_is_linked_asked_for_again_and_exchanged(browser: Browser, suite: BackgroundSuite) -> None:
    """Each with a code of its own; the widget's persistences and clean-up are the SDK's own."""
    page = started(browser, suite)
    first, second = "+15557770011", "+15557770012"
    page.run("""async () => {
      window.verifier = () => {
        const place = document.body.appendChild(document.createElement("div"));
        return new sdk.RecaptchaVerifier(auth, place, { size: "invisible" });
      };
      await sdk.setPersistence(auth, sdk.browserLocalPersistence);
      window.user = (await sdk.signInAnonymously(auth)).user;
      window.asked = await sdk.linkWithPhoneNumber(user, "+15557770011", verifier());
    }""")
    confirm = "async (code) => (await asked.confirm(code)).user.uid"
    uid = page.run(confirm, sms_to(suite, first))
    page.run("""async () => {
      window.asked = await sdk.reauthenticateWithPhoneNumber(user, "+15557770011", verifier());
    }""")
    assert page.run(confirm, sms_to(suite, first)) == uid
    page.run("""async () => {
      window.id = await new sdk.PhoneAuthProvider(auth).verifyPhoneNumber("+15557770012", verifier());
    }""")
    changed = """async (code) => {
      await sdk.updatePhoneNumber(user, sdk.PhoneAuthProvider.credential(id, code));
      await user.reload();
      return [user.uid, user.phoneNumber];
    }"""
    assert page.run(changed, sms_to(suite, second)) == [uid, second]


def sms_to(suite: BackgroundSuite, number: str) -> str:
    url = f"http://{auth_of(suite)}/emulator/v1/projects/{suite.project_id}/verificationCodes"
    codes: list[dict[str, Any]] = httpx.get(url).json()["verificationCodes"]
    return str([code["code"] for code in codes if code["phoneNumber"] == number][-1])


def test_a_phone_signs_in_and_is_a_second_factor(browser: Browser, suite: BackgroundSuite) -> None:
    """The code of an SMS is listed instead of sent; the SDK's own reCAPTCHA is a stand-in, as with the official one."""
    page = started(browser, suite)
    page.run("""async () => {
      window.verifier = () => {
        const place = document.body.appendChild(document.createElement("div"));
        return new sdk.RecaptchaVerifier(auth, place, { size: "invisible" });
      };
      window.asked = await sdk.signInWithPhoneNumber(auth, "+15557770001", verifier());
    }""")
    refused = "async () => asked.confirm('no').catch((error) => error.code)"
    assert page.run(refused) == "auth/invalid-verification-code"
    confirm = "async (code) => (await asked.confirm(code)).user.phoneNumber"
    assert page.run(confirm, sms_to(suite, "+15557770001")) == "+15557770001"

    uid = page.run(
        """async () => (await sdk.createUserWithEmailAndPassword(auth, "sms@example.com", "secret-1")).user.uid"""
    )
    url = f"http://{auth_of(suite)}/identitytoolkit.googleapis.com/v1/projects/{suite.project_id}/accounts:update"
    verified = {"localId": uid, "emailVerified": True}
    httpx.post(url, json=verified, headers={"authorization": "Bearer owner"}).raise_for_status()
    page.run("""async () => {
      await auth.currentUser.getIdToken(true);
      window.phones = new sdk.PhoneAuthProvider(auth);
      const session = await sdk.multiFactor(auth.currentUser).getSession();
      window.id = await phones.verifyPhoneNumber({ phoneNumber: "+15557770002", session }, verifier());
    }""")
    page.run(
        """async (code) => {
          const assertion = sdk.PhoneMultiFactorGenerator.assertion(sdk.PhoneAuthProvider.credential(id, code));
          await sdk.multiFactor(auth.currentUser).enroll(assertion, "Mine");
          await sdk.signOut(auth);
          window.resolver = await sdk.signInWithEmailAndPassword(auth, "sms@example.com", "secret-1").catch(
            (error) => sdk.getMultiFactorResolver(auth, error),
          );
          const { session, hints: [multiFactorHint] } = resolver;
          window.id = await phones.verifyPhoneNumber({ multiFactorHint, session }, verifier());
        }""",
        sms_to(suite, "+15557770002"),
    )
    assert page.run("() => resolver.hints[0].phoneNumber") == "+*******0002"
    finish = """async (code) => {
      const assertion = sdk.PhoneMultiFactorGenerator.assertion(sdk.PhoneAuthProvider.credential(id, code));
      return (await (await resolver.resolveSignIn(assertion)).user.getIdTokenResult()).signInSecondFactor;
    }"""
    assert page.run(finish, sms_to(suite, "+15557770002")) == "phone"


def test_the_page_leads_nowhere_that_would_run_there(browser: Browser, suite: BackgroundSuite) -> None:
    """Scripts in the address of a provider's page stay text: the page's origin is where administrators are asked."""
    script = "javascript:document.title='taken'"
    query = {
        "apiKey": "any", "appName": "<img src=x onerror=alert(1)>", "providerId": "</script><script>alert(1)</script>",
        "authType": "signInViaRedirect", "redirectUrl": script,
    }  # fmt: skip
    page = browser.open(url=str(httpx.URL(f"http://{auth_of(suite)}/emulator/auth/handler", params=query)))
    page.run(FILL_IN, "someone@example.com", "")
    assert page.run("() => document.getElementById('trouble').textContent").startswith(
        "This page leads back to http(s)"
    )
    assert page.run("() => document.title").endswith("</script><script>alert(1)</script>")
    answer = httpx.get(f"http://{auth_of(suite)}/emulator/auth/handler", params={"apiKey": "any"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"authEmulator": {"error": "missing providerId query parameter"}},
    )
    assert "script-src 'self'" in httpx.get(page.run("() => location.href")).headers["content-security-policy"]
