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

let isLeaving = false;

/** Calls `changed(user)` for each user who comes; where nobody is here, signs in anonymously. */
export function followUser(auth, changed, failed) {
  let shown = null;
  return onIdTokenChanged(auth, (user) => {
    if (isLeaving) return;
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

export function enter(auth, email, password) {
  return signInWithEmailAndPassword(auth, email, password);
}

/** Signs out, and leaves nothing of the user in this browser; the page begins anew. */
export async function leave(backend) {
  isLeaving = true;
  await signOut(backend.auth);
  await backend.forget();
  location.reload();
}

/** Deletes the account itself; what was stored for it, the erase job deletes. */
export async function endAccount(backend) {
  isLeaving = true;
  await deleteUser(backend.user);
  await backend.forget();
  location.reload();
}

/** The claims that servers have set, such as `admin`. */
export async function claimsOf(user) {
  return (await user.getIdTokenResult()).claims;
}

function signature(user) {
  return `${user.uid} ${user.email ?? ""}`;
}
