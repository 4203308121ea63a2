// What the clients of old share: apps that are signed in, their services over the suite's ports, and a listener's first sight.
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, createUserWithEmailAndPassword, inMemoryPersistence, initializeAuth } from "firebase/auth";
import { connectFirestoreEmulator, initializeFirestore, onSnapshot } from "firebase/firestore";
import { connectStorageEmulator, getStorage } from "firebase/storage";

const apps = [];

export const bucket = process.env.STORAGE_BUCKET;
export const WEBP = Uint8Array.from(atob(process.env.WEBP), (character) => character.charCodeAt(0));

export async function connected(name) {
  const app = initializeApp({ apiKey: "any", projectId: process.env.GCLOUD_PROJECT, storageBucket: bucket }, name);
  apps.push(app);
  const auth = initializeAuth(app, { persistence: inMemoryPersistence });
  connectAuthEmulator(auth, `http://${process.env.FIREBASE_AUTH_EMULATOR_HOST}`, { disableWarnings: true });
  const { user } = await createUserWithEmailAndPassword(auth, `${name}-${crypto.randomUUID()}@example.com`, "six or more");
  const store = initializeFirestore(app, JSON.parse(process.env.FIRESTORE_SETTINGS ?? "{}"));
  const [host, port] = process.env.FIRESTORE_EMULATOR_HOST.split(":");
  connectFirestoreEmulator(store, host, Number(port));
  const files = getStorage(app);
  const [filesHost, filesPort] = process.env.FIREBASE_STORAGE_EMULATOR_HOST.split(":");
  connectStorageEmulator(files, filesHost, Number(filesPort));
  return { store, files, uid: user.uid };
}

// The first state of a document that meets a condition, as a listener sees it.
export function until(target, met) {
  return new Promise((resolve, reject) => {
    const stop = onSnapshot(target, (snapshot) => {
      if (!met(snapshot)) return;
      setTimeout(() => stop());
      resolve(snapshot.data());
    }, reject);
  });
}

export async function disconnected() {
  await Promise.all(apps.map(deleteApp));
}
