// Every call of the JavaScript SDKs' Auth that the other files leave out. Run by tests/emulator/auth/test_javascript_sdk.py.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import {
  ActionCodeURL,
  EmailAuthProvider,
  FacebookAuthProvider,
  GithubAuthProvider,
  SAMLAuthProvider,
  TwitterAuthProvider,
  applyActionCode,
  beforeAuthStateChanged,
  connectAuthEmulator,
  createUserWithEmailAndPassword,
  getAdditionalUserInfo,
  getIdToken,
  getIdTokenResult,
  inMemoryPersistence,
  initializeAuth,
  initializeRecaptchaConfig,
  onAuthStateChanged,
  parseActionCodeURL,
  reload,
  sendPasswordResetEmail,
  setPersistence,
  signInWithCredential,
  signInWithEmailAndPassword,
  signOut,
  updateCurrentUser,
  updateEmail,
  useDeviceLanguage,
  verifyPasswordResetCode,
} from "firebase/auth";
import { deleteApp as deleteAdminApp, initializeApp as initializeAdminApp } from "firebase-admin/app";
import { getAuth as getAdminAuth } from "firebase-admin/auth";

const host = process.env.FIREBASE_AUTH_EMULATOR_HOST;
const projectId = process.env.GCLOUD_PROJECT;

let app, auth, adminApp, admin;
let numbers = 0;
const newAddress = () => `every-${(numbers += 1)}@example.com`;
const refused = (code) => (error) => {
  assert.equal(error.code, code, error.message);
  return true;
};

async function listed(kind) {
  const answer = await fetch(`http://${host}/emulator/v1/projects/${projectId}/${kind}`);
  return (await answer.json())[kind];
}

before(() => {
  app = initializeApp({ apiKey: "any", projectId });
  auth = initializeAuth(app, { persistence: inMemoryPersistence });
  connectAuthEmulator(auth, `http://${host}`, { disableWarnings: true });
  adminApp = initializeAdminApp({ projectId });
  admin = getAdminAuth(adminApp);
});

after(async () => {
  await deleteApp(app);
  await deleteAdminApp(adminApp);
});

test("each provider's own credential signs in", async () => {
  for (const [provider, credential, name] of [
    [GithubAuthProvider, (token) => GithubAuthProvider.credential(token), "github.com"],
    [FacebookAuthProvider, (token) => FacebookAuthProvider.credential(token), "facebook.com"],
    [TwitterAuthProvider, (token) => TwitterAuthProvider.credential(token, "secret"), "twitter.com"],
  ]) {
    assert.equal(provider.PROVIDER_ID, name);
    await assert.rejects(signInWithCredential(auth, credential("an-access-token")), (error) => {
      assert.match(error.message, /not implemented here|not-implemented/i);
      return true;
    });
  }
  assert.equal(new SAMLAuthProvider("saml.own").providerId, "saml.own");
});

test("listeners, persistence and tokens", async () => {
  await setPersistence(auth, inMemoryPersistence);
  useDeviceLanguage(auth);
  await signOut(auth);
  const seen = [];
  const stops = [onAuthStateChanged(auth, (user) => seen.push(user?.uid)), beforeAuthStateChanged(auth, () => seen.push("asked"))];
  const made = await createUserWithEmailAndPassword(auth, newAddress(), "secret-1");
  assert.ok(getAdditionalUserInfo(made).isNewUser);
  await reload(made.user);
  assert.ok((await getIdToken(made.user, true)).length > 20);
  assert.equal((await getIdTokenResult(made.user)).claims.sub, made.user.uid);
  await signOut(auth);
  await updateCurrentUser(auth, made.user);
  assert.equal(auth.currentUser.uid, made.user.uid);
  for (const stop of stops) stop();
  assert.ok(seen.includes("asked") && seen.includes(made.user.uid), String(seen));
});

test("an address is changed at once, and a reset code tells whose it is", async () => {
  const [email, next] = [newAddress(), newAddress()];
  const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
  await updateEmail(user, next);
  await signInWithEmailAndPassword(auth, next, "secret-1");
  await sendPasswordResetEmail(auth, next);
  const mail = (await listed("oobCodes")).filter((each) => each.email === next).at(-1);
  assert.equal(await verifyPasswordResetCode(auth, mail.oobCode), next);
  assert.equal(parseActionCodeURL(mail.oobLink).operation, "PASSWORD_RESET");
  assert.equal(ActionCodeURL.parseLink(mail.oobLink).code, mail.oobCode);
});

test("reCAPTCHA of enterprises is refused by name", async () => {
  await assert.rejects(initializeRecaptchaConfig(auth), refused("auth/not-implemented"));
});

test("the admin SDK's links verify, reset and change an address", async () => {
  const [email, next] = [newAddress(), newAddress()];
  const { uid } = await admin.createUser({ email, password: "secret-1" });
  const codeOf = (link) => new URL(link).searchParams.get("oobCode");
  await applyActionCode(auth, codeOf(await admin.generateEmailVerificationLink(email)));
  assert.ok((await admin.getUser(uid)).emailVerified);
  assert.equal(await verifyPasswordResetCode(auth, codeOf(await admin.generatePasswordResetLink(email))), email);
  await applyActionCode(auth, codeOf(await admin.generateVerifyAndChangeEmailLink(email, next)));
  assert.equal((await admin.getUser(uid)).email, next);
  const found = await admin.getUsers([{ uid }, { email: next }, { uid: "nobody" }]);
  assert.deepEqual([found.users.length, found.notFound.length], [1, 1]);
});

test("the admin SDK revokes tokens, for a tenant's users too", async () => {
  const email = newAddress();
  const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
  const token = await user.getIdToken();
  await admin.revokeRefreshTokens(user.uid);
  const { tokensValidAfterTime } = await admin.getUser(user.uid);
  assert.ok(Date.parse(tokensValidAfterTime) > 0);
  await admin.verifyIdToken(token);
  const tenants = admin.tenantManager();
  const { tenantId } = await tenants.createTenant({ displayName: "every", emailSignInConfig: { enabled: true, passwordRequired: true } });
  const inside = tenants.authForTenant(tenantId);
  const made = await inside.createUser({ email, password: "secret-1" });
  await inside.revokeRefreshTokens(made.uid);
  assert.ok((await inside.generatePasswordResetLink(email)).includes(tenantId));
  assert.ok((await inside.generateEmailVerificationLink(email)).includes(tenantId));
  assert.ok((await inside.generateVerifyAndChangeEmailLink(email, newAddress())).includes(tenantId));
  assert.equal((await inside.getUsers([{ uid: made.uid }])).users.length, 1);
  assert.equal(EmailAuthProvider.PROVIDER_ID, "password");
});
