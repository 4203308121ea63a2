// What the official JavaScript SDKs can do beyond passwords, against the local Auth: providers, second factors,
// tenants, policies. Run by tests/emulator/auth/test_javascript_sdk.py as auth.test.mjs is.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import {
  FacebookAuthProvider,
  GoogleAuthProvider,
  OAuthProvider,
  TotpMultiFactorGenerator,
  connectAuthEmulator,
  createUserWithEmailAndPassword,
  getMultiFactorResolver,
  inMemoryPersistence,
  initializeAuth,
  linkWithCredential,
  multiFactor,
  reauthenticateWithCredential,
  revokeAccessToken,
  signInAnonymously,
  signInWithCredential,
  signInWithCustomToken,
  signInWithEmailAndPassword,
  unlink,
  updatePassword,
  validatePassword,
} from "firebase/auth";
import { deleteApp as deleteAdminApp, initializeApp as initializeAdminApp } from "firebase-admin/app";
import { getAuth as getAdminAuth } from "firebase-admin/auth";

const host = process.env.FIREBASE_AUTH_EMULATOR_HOST;
const projectId = process.env.GCLOUD_PROJECT;

let app, auth, adminApp, admin;
let numbers = 0;
const newAddress = () => `provided-${(numbers += 1)}@example.com`;
const newNumber = () => `+1555${String((numbers += 1)).padStart(7, "0")}`;
const claims = (fields) => JSON.stringify({ email_verified: true, ...fields });
const refused = (code) => (error) => {
  assert.equal(error.code, code, error.message);
  return true;
};

/** What an authenticator app shows now. */
function codeOf(secretKey, at = Date.now()) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secretKey.replace(/=+$/, "")].map((one) => alphabet.indexOf(one).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1000000).padStart(6, "0");
}

async function verifiedUser() {
  const email = newAddress();
  const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
  await admin.updateUser(user.uid, { emailVerified: true });
  await user.reload();
  await user.getIdToken(true);
  return { email, user };
}

async function refusedForMore(promise) {
  return promise.then(
    () => assert.fail("signed in without its second factor"),
    (error) => getMultiFactorResolver(auth, error),
  );
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

test("a Google ID token signs in, and the account tells where it is from", async () => {
  const email = newAddress();
  const credential = GoogleAuthProvider.credential(claims({ sub: "google-1", email, name: "Gee", picture: "https://p" }));
  const { user } = await signInWithCredential(auth, credential);
  assert.deepEqual([user.email, user.displayName, user.emailVerified], [email, "Gee", true]);
  assert.equal((await user.getIdTokenResult()).signInProvider, "google.com");
  assert.equal((await signInWithCredential(auth, credential)).user.uid, user.uid);
  const found = await admin.getUserByProviderUid("google.com", "google-1");
  assert.equal(found.uid, user.uid);
  assert.deepEqual(found.providerData.map((one) => [one.providerId, one.uid]), [["google.com", "google-1"]]);
});

test("an anonymous user keeps its uid with a provider, which no second user can take", async () => {
  const credential = new OAuthProvider("oidc.own").credential({ idToken: claims({ sub: "own-1", email: newAddress() }) });
  const anonymous = (await signInAnonymously(auth)).user;
  const linked = await linkWithCredential(anonymous, credential);
  assert.equal(linked.user.uid, anonymous.uid);
  assert.deepEqual(linked.user.providerData.map((one) => one.providerId), ["oidc.own"]);
  const other = (await signInAnonymously(auth)).user;
  await assert.rejects(linkWithCredential(other, credential), refused("auth/credential-already-in-use"));
  await signInWithCredential(auth, credential);
  await reauthenticateWithCredential(auth.currentUser, credential);
  const stranger = new OAuthProvider("oidc.own").credential({ idToken: claims({ sub: "nobody-yet" }) });
  await assert.rejects(reauthenticateWithCredential(auth.currentUser, stranger), refused("auth/user-mismatch"));
  await assert.rejects(admin.getUserByProviderUid("oidc.own", "nobody-yet"), refused("auth/user-not-found"));
  await unlink(auth.currentUser, "oidc.own");
  assert.deepEqual(auth.currentUser.providerData, []);
});

test("an address that another way of signing in has is told apart, then linked", async () => {
  const email = newAddress();
  await createUserWithEmailAndPassword(auth, email, "secret-1");
  const idToken = claims({ sub: "facebook-1", email, email_verified: false });
  const unverified = FacebookAuthProvider.credential(idToken);
  await assert.rejects(
    signInWithCredential(auth, unverified),
    refused("auth/account-exists-with-different-credential"),
  );
  const { user } = await signInWithEmailAndPassword(auth, email, "secret-1");
  await linkWithCredential(user, unverified);
  assert.equal((await signInWithCredential(auth, unverified)).user.uid, user.uid);
});

test("an authenticator app is a second factor, each of its codes good once", async () => {
  const { email, user } = await verifiedUser();
  const secret = await TotpMultiFactorGenerator.generateSecret(await multiFactor(user).getSession());
  assert.ok(secret.generateQrCodeUrl(email, "App").startsWith("otpauth://totp/"));
  assert.ok(!Number.isNaN(Date.parse(secret.enrollmentCompletionDeadline)), secret.enrollmentCompletionDeadline);
  const wrong = TotpMultiFactorGenerator.assertionForEnrollment(secret, codeOf(secret.secretKey, 0));
  await assert.rejects(multiFactor(user).enroll(wrong, "App"), refused("auth/invalid-verification-code"));
  const right = TotpMultiFactorGenerator.assertionForEnrollment(secret, codeOf(secret.secretKey));
  await multiFactor(user).enroll(right, "App");

  const resolver = await refusedForMore(signInWithEmailAndPassword(auth, email, "secret-1"));
  const [hint] = resolver.hints;
  assert.deepEqual([hint.factorId, hint.displayName], ["totp", "App"]);
  const code = codeOf(secret.secretKey);
  const answer = () => TotpMultiFactorGenerator.assertionForSignIn(hint.uid, code);
  const { user: signedIn } = await resolver.resolveSignIn(answer());
  assert.equal((await signedIn.getIdTokenResult()).signInSecondFactor, "totp");
  const again = await refusedForMore(signInWithEmailAndPassword(auth, email, "secret-1"));
  await assert.rejects(again.resolveSignIn(answer()), refused("auth/invalid-verification-code"));
  await multiFactor(signedIn).unenroll(hint.uid);
});

test("a password policy is told, checked by the client, and enforced", async () => {
  const options = { requireUppercase: true, requireNumeric: true, minLength: 8 };
  await admin.projectConfigManager().updateProjectConfig({
    passwordPolicyConfig: { enforcementState: "ENFORCE", constraints: options },
  });
  try {
    const weak = await validatePassword(auth, "secret-1");
    assert.deepEqual([weak.isValid, weak.containsUppercaseLetter, weak.meetsMinPasswordLength], [false, false, true]);
    assert.ok((await validatePassword(auth, "Secret-12")).isValid);
    await assert.rejects(
      createUserWithEmailAndPassword(auth, newAddress(), "secret-1"),
      refused("auth/password-does-not-meet-requirements"),
    );
    const { user } = await createUserWithEmailAndPassword(auth, newAddress(), "Secret-12");
    await assert.rejects(updatePassword(user, "weak"), /auth\/(weak-password|password-does-not-meet-requirements)/);
    const config = await admin.projectConfigManager().getProjectConfig();
    assert.equal(config.passwordPolicyConfig.constraints.requireUppercase, true);
  } finally {
    await admin.projectConfigManager().updateProjectConfig({ passwordPolicyConfig: { enforcementState: "OFF" } });
  }
});

test("a tenant has users, ways to sign in, codes and tokens of its own", async () => {
  const manager = admin.tenantManager();
  const tenant = await manager.createTenant({
    displayName: "First",
    emailSignInConfig: { enabled: true, passwordRequired: true },
    multiFactorConfig: { state: "ENABLED", factorIds: ["phone"] },
  });
  assert.equal((await manager.getTenant(tenant.tenantId)).displayName, "First");
  assert.equal((await manager.updateTenant(tenant.tenantId, { displayName: "Second" })).displayName, "Second");
  assert.ok((await manager.listTenants(100)).tenants.some((one) => one.tenantId === tenant.tenantId));
  const email = newAddress();
  auth.tenantId = tenant.tenantId;
  try {
    const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
    assert.equal(user.tenantId, tenant.tenantId);
    const inside = manager.authForTenant(tenant.tenantId);
    assert.equal((await inside.verifyIdToken(await user.getIdToken(true))).firebase.tenant, tenant.tenantId);
    assert.equal((await inside.getUserByEmail(email)).uid, user.uid);
    await assert.rejects(admin.getUserByEmail(email), refused("auth/user-not-found"));
    await assert.rejects(signInAnonymously(auth), refused("auth/admin-restricted-operation"));
    await signInWithCustomToken(auth, await inside.createCustomToken("a-guest"));
    assert.equal((await inside.listUsers()).users.length, 2);
  } finally {
    auth.tenantId = null;
  }
  await assert.rejects(signInWithEmailAndPassword(auth, email, "secret-1"), refused("auth/user-not-found"));
  await manager.deleteTenant(tenant.tenantId);
  await assert.rejects(manager.getTenant(tenant.tenantId), refused("auth/tenant-not-found"));
});

test("an admin describes providers, lists second factors and links identities", async () => {
  const oidc = await admin.createProviderConfig({
    providerId: "oidc.made", displayName: "Made", enabled: true, clientId: "client", issuer: "https://issuer.example",
  });
  assert.deepEqual([oidc.providerId, oidc.clientId], ["oidc.made", "client"]);
  assert.equal((await admin.updateProviderConfig("oidc.made", { clientId: "other" })).clientId, "other");
  await admin.createProviderConfig({
    providerId: "saml.made", enabled: true, idpEntityId: "idp", ssoURL: "https://sso.example", rpEntityId: "rp",
    x509Certificates: ["CERT"], callbackURL: "https://app.example/__/auth/handler",
  });
  assert.deepEqual((await admin.getProviderConfig("saml.made")).x509Certificates, ["CERT"]);
  assert.equal((await admin.listProviderConfigs({ type: "oidc" })).providerConfigs.length, 1);
  await admin.deleteProviderConfig("oidc.made");
  await admin.deleteProviderConfig("saml.made");
  await assert.rejects(admin.getProviderConfig("oidc.made"), refused("auth/configuration-not-found"));

  const number = newNumber();
  const made = await admin.createUser({
    email: newAddress(), emailVerified: true,
    multiFactor: { enrolledFactors: [{ phoneNumber: number, displayName: "P", factorId: "phone" }] },
  });
  assert.deepEqual(made.multiFactor.enrolledFactors.map((one) => one.phoneNumber), [number]);
  await admin.updateUser(made.uid, { multiFactor: { enrolledFactors: null } });
  const link = { providerId: "facebook.com", uid: "linked-1", displayName: "F" };
  await admin.updateUser(made.uid, { providerToLink: link });
  assert.equal((await admin.getUserByProviderUid("facebook.com", "linked-1")).uid, made.uid);
  await admin.updateUser(made.uid, { providersToUnlink: ["facebook.com"] });
  assert.deepEqual((await admin.getUser(made.uid)).providerData, []);
});

test("a session cookie stands for its user until it is revoked", async () => {
  const { user } = await createUserWithEmailAndPassword(auth, newAddress(), "secret-1");
  const cookie = await admin.createSessionCookie(await user.getIdToken(), { expiresIn: 3600 * 1000 });
  assert.equal((await admin.verifySessionCookie(cookie, true)).uid, user.uid);
  await admin.updateUser(user.uid, { disabled: true });
  await assert.rejects(admin.verifySessionCookie(cookie, true), refused("auth/user-disabled"));
});

test("what is not here says so", async () => {
  const { user } = await createUserWithEmailAndPassword(auth, newAddress(), "secret-1");
  await assert.rejects(signInWithCredential(auth, GoogleAuthProvider.credential(null, "a real token")), (error) => {
    assert.equal(error.code, "auth/not-implemented");
    assert.match(error.message, /without an ID token.* is not implemented here/);
    return true;
  });
  await auth.updateCurrentUser(user);
  await assert.rejects(revokeAccessToken(auth, "token"), refused("auth/not-implemented"));
});
