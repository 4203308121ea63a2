// Who is here: anonymous at once, with a password where somebody wants to come back from elsewhere.
import {
  EmailAuthProvider,
  deleteUser,
  linkWithCredential,
  onIdTokenChanged,
  signInAnonymously,
  signInWithEmailAndPassword,
  signOut,
} from "firebase/auth";
import { waitForPendingWrites } from "firebase/firestore";
import { uploadsOf } from "./uploads.js";

const OFFLINE_IS_SURE_MS = 500;
let isLeaving = false;

/**
 * Calls `changed(user)` for who is here; where nobody is here, signs in anonymously. Tabs share a user: when another one
 * comes, in whichever tab, the page begins anew, so that nothing of the one before stays in its memory.
 */
export function followUser(auth, changed, failed) {
  let [shown, uid] = [null, null];
  return onIdTokenChanged(auth, (user) => {
    if (isLeaving) return;
    if (uid !== null && user?.uid !== uid) {
      isLeaving = true;
      location.reload();
      return;
    }
    uid = user?.uid ?? null;
    if (user === null) signInAnonymously(auth).catch(failed);
    // Tokens are renewed every hour: who is here has not changed by that.
    else if (signature(user) !== shown) changed(user);
    shown = user && signature(user);
  });
}

/** Gives the anonymous account a password: its id, and so all its data, stays. */
export async function keepAccount(auth, email, password) {
  await linkWithCredential(auth.currentUser, EmailAuthProvider.credential(email, password));
  await auth.currentUser.getIdToken(true);
}

export async function enter(backend, email, password) {
  await everythingSent(backend);
  await signInWithEmailAndPassword(backend.auth, email, password);
}

/** Signs out, and leaves nothing of the user in this browser; the page begins anew. */
export async function leave(backend) {
  await everythingSent(backend);
  await goAway(backend, () => signOut(backend.auth));
}

/** Deletes the account itself; what was stored for it, the erase job deletes. */
export async function endAccount(backend) {
  uploadsOf(backend).cancelAll();
  await goAway(backend, () => deleteUser(backend.user));
}

async function goAway(backend, go) {
  isLeaving = true;
  try {
    // Other tabs hear of it and begin anew as well; they wait until nothing of the user is left.
    await alone("exclusive", async () => {
      await go();
      await backend.forget();
    });
  } catch (error) {
    isLeaving = false;
    throw error;
  }
  location.reload();
}

/** Waits while another tab is taking a user's data out of this browser. */
export function nobodyLeaves() {
  return alone("shared", () => {});
}

function alone(mode, act) {
  return navigator.locks ? navigator.locks.request("leaving", { mode }, act) : act();
}

/**
 * Writes that the service has not taken yet would be lost with the cache: they are waited for, or said to be there. Files
 * on their way would end with the page.
 */
async function everythingSent(backend) {
  if (uploadsOf(backend).totals().underWay) throw Object.assign(new Error("uploading"), { code: "uploading" });
  let isSent = false;
  const sent = waitForPendingWrites(backend.db).then(() => {
    isSent = true;
  });
  while (!isSent) {
    await Promise.race([sent, new Promise((resume) => setTimeout(resume, OFFLINE_IS_SURE_MS))]);
    if (!isSent && !navigator.onLine) throw Object.assign(new Error("unsent"), { code: "unsent" });
  }
}

/** The claims that servers have set, such as `admin`. */
export async function claimsOf(user) {
  return (await user.getIdTokenResult()).claims;
}

function signature(user) {
  return `${user.uid} ${user.email ?? ""}`;
}
