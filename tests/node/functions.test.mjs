// The official JavaScript SDK calling Python functions. Run by tests/emulator/functions/requests/test_javascript_sdk.py, which starts
// a suite with the codebase `callables` and names its addresses in the environment.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CustomProvider, initializeAppCheck } from "firebase/app-check";
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, inMemoryPersistence, initializeAuth, signInAnonymously, signOut } from "firebase/auth";
import { connectFunctionsEmulator, getFunctions, httpsCallable, httpsCallableFromURL } from "firebase/functions";

const projectId = process.env.GCLOUD_PROJECT;
const authHost = process.env.FIREBASE_AUTH_EMULATOR_HOST;
const functionsHost = process.env.FUNCTIONS_HOST;
assert.ok(projectId && authHost && functionsHost, "start the suite first and name it in the environment");

const appId = "1:12345:web:abc";
const [host, port] = functionsHost.split(":");
// The SDK adds the HTTP status to the message.
const refused = (code, message, status, details) => (error) => {
  assert.deepEqual([error.code, error.message], [`functions/${code}`, `${message} [${status}]`]);
  assert.deepEqual(error.details, details);
  return true;
};

// An app with App Check, its tokens exchanged for a debug token as the debug provider does, and one without.
let verified, plain, auth;
let exchanged = 0;

async function newToken() {
  exchanged += 1;
  const url = `http://${authHost}/v1/projects/${projectId}/apps/${appId}:exchangeDebugToken`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify({ debug_token: "any" }) });
  const { token, ttl } = await answer.json();
  return { token, expireTimeMillis: Date.now() + parseInt(ttl) * 1000 };
}

before(() => {
  const app = initializeApp({ apiKey: "any", projectId, appId });
  auth = initializeAuth(app, { persistence: inMemoryPersistence });
  connectAuthEmulator(auth, `http://${authHost}`, { disableWarnings: true });
  initializeAppCheck(app, { provider: new CustomProvider({ getToken: newToken }), isTokenAutoRefreshEnabled: false });
  verified = getFunctions(app);
  plain = getFunctions(initializeApp({ apiKey: "any", projectId }, "without App Check"));
  for (const functions of [verified, plain]) connectFunctionsEmulator(functions, host, Number(port));
});

after(async () => {
  await deleteApp(verified.app);
  await deleteApp(plain.app);
});

test("a call without tokens is nobody's", async () => {
  const { data } = await httpsCallable(plain, "who")();
  assert.deepEqual(data, { uid: null, provider: null, app: null, instance: null });
});

test("a signed-in user and a verified app are known to the handler", async () => {
  const { user } = await signInAnonymously(auth);
  const { data } = await httpsCallable(verified, "who")();
  assert.deepEqual(data, { uid: user.uid, provider: "anonymous", app: appId, instance: null });
  await signOut(auth);
  assert.equal((await httpsCallable(verified, "who")()).data.uid, null);
});

test("a function that enforces App Check refuses an app without it", async () => {
  assert.equal((await httpsCallable(verified, "guarded")()).data.app, appId);
  await assert.rejects(httpsCallable(plain, "guarded")(), refused("unauthenticated", "Unauthenticated", 401));
});

test("limited-use tokens are new for each call, ordinary ones are used up by the first", async () => {
  const fresh = httpsCallable(verified, "once", { limitedUseAppCheckTokens: true });
  const before = exchanged;
  assert.equal((await fresh()).data, "first");
  assert.equal((await fresh()).data, "first");
  assert.equal(exchanged - before, 2);
  const kept = httpsCallable(verified, "once");
  assert.equal((await kept()).data, "first");
  await assert.rejects(kept(), refused("unauthenticated", "this token was used before", 401));
});

test("data of every kind arrives as the SDK encodes it", async () => {
  const echo = httpsCallable(plain, "echo");
  const sent = { text: "ä😀", nothing: null, yes: true, numbers: [0, -1.5, 2 ** 53], deep: [{ a: [[]] }, {}] };
  assert.deepEqual((await echo(sent)).data, sent);
  assert.equal((await echo(new Date(0))).data, "1970-01-01T00:00:00.000Z");
  assert.equal((await echo()).data, null);
});

test("errors keep their code, message and details", async () => {
  const fails = httpsCallable(plain, "fails");
  const details = { field: ["a", 1] };
  const codes = { "invalid-argument": 400, "permission-denied": 403, "not-found": 404, "resource-exhausted": 429 };
  for (const [code, status] of Object.entries(codes)) {
    await assert.rejects(fails({ code, message: "why", details }), refused(code, "why", status, details));
  }
  await assert.rejects(httpsCallable(plain, "broken")(), refused("internal", "INTERNAL", 500));
  await assert.rejects(httpsCallable(plain, "nowhere")(), refused("not-found", "not-found", 404));
});

test("a callable is found by its URL too", async () => {
  const url = `http://${functionsHost}/${projectId}/us-central1/echo`;
  assert.equal((await httpsCallableFromURL(plain, url)("here")).data, "here");
});

test("a handler that speaks the streaming protocol is read message by message", async () => {
  const { stream, data } = await httpsCallable(plain, "streamed").stream(3);
  const seen = [];
  for await (const message of stream) seen.push(message);
  assert.deepEqual(seen, [0, 1, 2]);
  assert.equal(await data, 3);
});
