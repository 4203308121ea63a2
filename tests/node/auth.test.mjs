// The official JavaScript SDKs, client and admin, against the local Auth. Run by tests/emulator/auth/test_javascript_sdk.py,
// which starts the service and names it in FIREBASE_AUTH_EMULATOR_HOST.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import {
  EmailAuthProvider,
  applyActionCode,
  checkActionCode,
  confirmPasswordReset,
  connectAuthEmulator,
  createUserWithEmailAndPassword,
  deleteUser,
  fetchSignInMethodsForEmail,
  inMemoryPersistence,
  initializeAuth,
  isSignInWithEmailLink,
  linkWithCredential,
  onIdTokenChanged,
  reauthenticateWithCredential,
  sendEmailVerification,
  sendPasswordResetEmail,
  sendSignInLinkToEmail,
  signInAnonymously,
  signInWithCustomToken,
  signInWithEmailLink,
  signInWithEmailAndPassword,
  signOut,
  updatePassword,
  updateProfile,
  verifyBeforeUpdateEmail,
} from "firebase/auth";
import { deleteApp as deleteAdminApp, initializeApp as initializeAdminApp } from "firebase-admin/app";
import { getAuth as getAdminAuth } from "firebase-admin/auth";

const host = process.env.FIREBASE_AUTH_EMULATOR_HOST;
const projectId = process.env.GCLOUD_PROJECT;
assert.ok(host && projectId, "start the service first and name it in FIREBASE_AUTH_EMULATOR_HOST and GCLOUD_PROJECT");

let app, auth, adminApp, admin;
let addresses = 0;
const newAddress = () => `js-${(addresses += 1)}@example.com`;
const refused = (code) => (error) => {
  assert.equal(error.code, code);
  return true;
};

async function mailTo(email) {
  const answer = await fetch(`http://${host}/emulator/v1/projects/${projectId}/oobCodes`);
  return (await answer.json()).oobCodes.filter((code) => code.email === email).at(-1);
}

async function codeFor(email) {
  return (await mailTo(email)).oobCode;
}

/** Where the browser of somebody who clicks the link in the mail would end. */
async function linkFollowed(email) {
  const { oobLink } = await mailTo(email);
  return (await fetch(oobLink, { redirect: "manual" })).headers.get("location");
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

test("a password account signs up, out and in again", async () => {
  const email = newAddress();
  const made = await createUserWithEmailAndPassword(auth, email, "secret-1");
  assert.equal(made.user.email, email);
  await signOut(auth);
  assert.equal(auth.currentUser, null);
  const again = await signInWithEmailAndPassword(auth, email, "secret-1");
  assert.equal(again.user.uid, made.user.uid);
  assert.deepEqual(again.user.providerData.map((info) => info.providerId), ["password"]);
});

test("refusals arrive as the SDK's own error codes", async () => {
  const email = newAddress();
  await createUserWithEmailAndPassword(auth, email, "secret-1");
  await assert.rejects(createUserWithEmailAndPassword(auth, email, "secret-1"), refused("auth/email-already-in-use"));
  await assert.rejects(createUserWithEmailAndPassword(auth, newAddress(), "short"), refused("auth/weak-password"));
  await assert.rejects(createUserWithEmailAndPassword(auth, "nonsense", "secret-1"), refused("auth/invalid-email"));
  await assert.rejects(signInWithEmailAndPassword(auth, email, "wrong-1"), refused("auth/wrong-password"));
  await assert.rejects(signInWithEmailAndPassword(auth, newAddress(), "secret-1"), refused("auth/user-not-found"));
  await assert.rejects(signInWithCustomToken(auth, "broken"), refused("auth/invalid-custom-token"));
});

test("an anonymous user keeps its uid when it takes a password", async () => {
  const { user } = await signInAnonymously(auth);
  assert.ok(user.isAnonymous);
  const linked = await linkWithCredential(user, EmailAuthProvider.credential(newAddress(), "secret-1"));
  assert.equal(linked.user.uid, user.uid);
  assert.ok(!linked.user.isAnonymous);
  const { signInProvider } = await linked.user.getIdTokenResult();
  assert.equal(signInProvider, "password");
});

test("a custom token of the admin SDK signs in with its claims, and claims set later come with a refresh", async () => {
  const { user } = await signInWithCustomToken(auth, await admin.createCustomToken("js-custom", { plan: "gold" }));
  assert.equal(user.uid, "js-custom");
  await admin.setCustomUserClaims(user.uid, { role: "editor" });
  const seen = [];
  const stop = onIdTokenChanged(auth, () => seen.push("changed"));
  const { claims } = await user.getIdTokenResult(true);
  stop();
  assert.equal(claims.role, "editor");
  assert.equal(claims.plan, "gold");
  assert.equal((await admin.verifyIdToken(await user.getIdToken(), true)).uid, "js-custom");
});

test("a user changes its profile, password and address", async () => {
  const email = newAddress();
  const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
  await updateProfile(user, { displayName: "Ada", photoURL: "https://example.com/ada.png" });
  await user.reload();
  assert.equal(user.displayName, "Ada");
  await updateProfile(user, { displayName: "" });
  await user.reload();
  assert.ok(!user.displayName);
  await reauthenticateWithCredential(user, EmailAuthProvider.credential(email, "secret-1"));
  await updatePassword(user, "secret-2");
  await user.getIdToken(true);
  const next = newAddress();
  await verifyBeforeUpdateEmail(user, next);
  await applyActionCode(auth, await codeFor(email));
  const again = await signInWithEmailAndPassword(auth, next, "secret-2");
  assert.equal(again.user.uid, user.uid);
  assert.ok(again.user.emailVerified);
});

test("a link in an e-mail signs in, again, and gives an anonymous user its address", async () => {
  const settings = { url: "http://localhost/finish", handleCodeInApp: true };
  const email = newAddress();
  await sendSignInLinkToEmail(auth, email, settings);
  const link = await linkFollowed(email);
  assert.ok(link.startsWith(settings.url) && isSignInWithEmailLink(auth, link), link);
  await assert.rejects(signInWithEmailLink(auth, newAddress(), link), refused("auth/invalid-email"));
  const { user } = await signInWithEmailLink(auth, email, link);
  assert.ok(user.emailVerified);
  await assert.rejects(signInWithEmailLink(auth, email, link), refused("auth/invalid-action-code"));
  assert.deepEqual(await fetchSignInMethodsForEmail(auth, email), ["emailLink"]);
  await sendSignInLinkToEmail(auth, email, settings);
  await reauthenticateWithCredential(user, EmailAuthProvider.credentialWithLink(email, await linkFollowed(email)));

  const anonymous = (await signInAnonymously(auth)).user;
  const next = newAddress();
  await sendSignInLinkToEmail(auth, next, settings);
  const credential = EmailAuthProvider.credentialWithLink(next, await linkFollowed(next));
  const linked = await linkWithCredential(anonymous, credential);
  assert.equal(linked.user.uid, anonymous.uid);
  assert.equal((await admin.getUser(anonymous.uid)).email, next);
  const made = await admin.generateSignInWithEmailLink(next, settings);
  assert.equal((await signInWithEmailLink(auth, next, made)).user.uid, anonymous.uid);
});

test("codes that would be e-mailed verify an address and reset a password", async () => {
  const email = newAddress();
  const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
  await sendEmailVerification(user);
  await applyActionCode(auth, await codeFor(email));
  await user.reload();
  assert.ok(user.emailVerified);
  await sendPasswordResetEmail(auth, email);
  const code = await codeFor(email);
  assert.equal((await checkActionCode(auth, code)).operation, "PASSWORD_RESET");
  await confirmPasswordReset(auth, code, "secret-2");
  await assert.rejects(confirmPasswordReset(auth, code, "secret-3"), refused("auth/invalid-action-code"));
  await signInWithEmailAndPassword(auth, email, "secret-2");
});

test("a deleted user is gone, also for the admin", async () => {
  const { user } = await createUserWithEmailAndPassword(auth, newAddress(), "secret-1");
  await deleteUser(user);
  assert.equal(auth.currentUser, null);
  await assert.rejects(admin.getUser(user.uid), refused("auth/user-not-found"));
});

test("a disabled user is refused", async () => {
  const email = newAddress();
  const { user } = await createUserWithEmailAndPassword(auth, email, "secret-1");
  await admin.updateUser(user.uid, { disabled: true });
  await assert.rejects(signInWithEmailAndPassword(auth, email, "secret-1"), refused("auth/user-disabled"));
  await assert.rejects(user.getIdToken(true), refused("auth/user-disabled"));
});

test("the admin SDK manages users", async () => {
  const uids = ["js-a", "js-b", "js-c"];
  for (const uid of uids) await admin.createUser({ uid, email: `${uid}@example.com`, password: "secret-1" });
  await assert.rejects(admin.createUser({ uid: "js-a" }), refused("auth/uid-already-exists"));
  assert.equal((await admin.getUserByEmail("js-b@example.com")).uid, "js-b");
  const first = await admin.listUsers(2);
  assert.equal(first.users.length, 2);
  assert.ok(first.pageToken);
  await admin.updateUser("js-a", { displayName: "A", phoneNumber: "+15559999" });
  assert.equal((await admin.getUserByPhoneNumber("+15559999")).displayName, "A");
  await admin.updateUser("js-a", { phoneNumber: null, displayName: null });
  assert.equal((await admin.getUser("js-a")).phoneNumber, undefined);
  const imported = await admin.importUsers([{ uid: "js-d", email: "js-d@example.com" }]);
  assert.equal(imported.successCount, 1);
  const deleted = await admin.deleteUsers([...uids, "js-d"]);
  assert.equal(deleted.successCount, 4);
});
