// The page that stands for every provider's: it asks who signs in, and tells the app that opened it, in a popup or by
// going back there. What it says goes only to a helper frame of its own origin, or through that origin's storage.
"use strict";

const query = new URLSearchParams(location.search);
const [apiKey, appName, authType, eventId, providerId, redirectUrl] = [
  "apiKey", "appName", "authType", "eventId", "providerId", "redirectUrl",
].map((name) => query.get(name) ?? "");
const tenantId = query.get("tid");
const storageKey = `${apiKey}:${appName}`;
const part = (id) => document.getElementById(id);
const text = (id) => part(id).value.trim();

function trouble(words) {
  part("trouble").textContent = words;
  part("trouble").hidden = false;
}

function toggleForm() {
  part("form").hidden = !part("form").hidden;
  part("accounts").hidden = !part("form").hidden;
  if (!part("form").hidden) part("email-input").focus();
}

/** The response that a real provider would send the browser back with. */
function responseOf(claims) {
  const response = new URL(location.href.split(/[?#]/)[0]);
  response.searchParams.set("providerId", providerId);
  response.searchParams.set("id_token", JSON.stringify(claims));
  if (providerId.startsWith("saml.")) {
    const subject = { nameId: claims.email || claims.sub };
    const attributeStatements = { name: claims.name, picture: claims.picture };
    response.searchParams.set("SAMLResponse", JSON.stringify({ assertion: { subject, attributeStatements } }));
  }
  return response.href;
}

function finish(outcome) {
  const sessionId = "none-is-needed-here";
  const event = { type: authType, eventId, sessionId, postBody: "", tenantId, urlResponse: null, error: null, ...outcome };
  if (authType.endsWith("ViaRedirect")) return goBack(event);
  const frame = helperFrame();
  if (!frame) return trouble("The page that opened this one is gone, or has no helper frame. Close this window and try again.");
  const data = { authEvent: event, storageKey };
  frame.postMessage({ eventType: "sendAuthEvent", eventId, data }, location.origin);
  window.close();
}

function goBack(event) {
  const target = URL.canParse(redirectUrl) ? new URL(redirectUrl) : null;
  // Anything else, such as `javascript:`, would run here, where administrators' requests are taken.
  if (!["http:", "https:"].includes(target?.protocol)) {
    return trouble(`This page leads back to http(s) addresses only, not to \`${redirectUrl.slice(0, 100)}\`.`);
  }
  sessionStorage[`firebase:redirectEvent:${storageKey}`] = JSON.stringify(event);
  location.assign(target.href);
}

/** The frame that the SDK keeps in the app's page: of this origin, for the same app. */
function helperFrame() {
  const frames = window.opener?.frames ?? [];
  for (let number = 0; number < frames.length; number += 1) {
    try {
      const of = new URLSearchParams(frames[number].location.search);
      if (of.get("apiKey") === apiKey && of.get("appName") === appName) return frames[number];
    } catch {
      // a frame of another origin: it tells nothing of itself
    }
  }
  return null;
}

function offer(account) {
  const item = document.createElement("li");
  const button = item.appendChild(document.createElement("button"));
  button.type = "button";
  button.textContent = account.displayName || "(no name)";
  button.appendChild(document.createElement("small")).textContent = account.email ?? "";
  const { rawId: sub, displayName: name, screenName: screen_name, email, photoUrl: picture } = account;
  button.addEventListener("click", () => signIn({ sub, name, screen_name, email, picture }));
  part("accounts-list").appendChild(item);
}

function signIn(told) {
  const claims = { iss: "", aud: "", exp: 0, iat: 0, email_verified: true, ...told };
  finish({ urlResponse: responseOf(claims) });
}

function newSubject() {
  return Array.from(crypto.getRandomValues(new Uint32Array(5)), (one) => String(one % 1e8).padStart(8, "0")).join("");
}

part("new-account").addEventListener("click", toggleForm);
part("back").addEventListener("click", toggleForm);
part("cancel").addEventListener("click", () => {
  finish({ error: { code: "auth/user-cancelled", message: "whoever was asked to sign in did not want to" } });
});
part("email-input").addEventListener("input", () => {
  part("sign-in").disabled = !/^[^@\s]+@[^@\s]+$/.test(text("email-input"));
});
part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const optional = (id) => text(id) || undefined;
  signIn({
    sub: newSubject(),
    email: text("email-input"),
    name: optional("display-name-input"),
    screen_name: optional("screen-name-input"),
    picture: optional("profile-photo-input"),
  });
});
part("title").textContent = `Sign in with ${providerId}`;
document.title = `Auth Emulator: sign in with ${providerId}`;
JSON.parse(part("known").textContent).forEach(offer);
