// The helper frame that the SDK keeps in an app's page: it hands on what the provider's page says, from a popup or from
// before a redirect. The frame speaks to the SDK through Google's script, as the SDK does; where the app's page loaded the
// suite's stand-in for that script instead, the frame does too.
"use strict";

const asked = new URLSearchParams(location.search);
const storageKey = `${asked.get("apiKey")}:${asked.get("appName")}`;
const storedAs = `firebase:redirectEvent:${storageKey}`;
let parent = null;

function tell(authEvent) {
  const nothing = { type: "unknown", error: { code: "auth/no-auth-event" } };
  parent.send("authEvent", { type: "authEvent", authEvent: authEvent ?? nothing }, () => {}, gapi.iframes.CROSS_ORIGIN_IFRAMES_FILTER);
}

window.addEventListener("message", (message) => {
  if (message.origin !== location.origin || message.data?.eventType !== "sendAuthEvent") return;
  const { storageKey: key, authEvent } = message.data.data;
  if (key !== storageKey) return;
  if (parent) tell(authEvent);
  else sessionStorage[storedAs] = JSON.stringify(authEvent);
});

function begin() {
  parent = gapi.iframes.getContext().getParentIframe();
  const answer = () => ({ status: "ACK", webStorageSupport: true });
  parent.register("webStorageSupport", answer, gapi.iframes.CROSS_ORIGIN_IFRAMES_FILTER);
  const stored = sessionStorage[storedAs];
  delete sessionStorage[storedAs];
  tell(stored ? JSON.parse(stored) : null);
}

window.gapi_onload = () => gapi.load("gapi.iframes", { callback: begin });
const script = document.createElement("script");
script.src = asked.has("standIn") ? "gapi.js" : "https://apis.google.com/js/api.js";
document.head.append(script);
