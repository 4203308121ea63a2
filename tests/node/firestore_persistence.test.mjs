// Persistence on: what a client has seen outlives it. The SDK keeps it in IndexedDB, which Node does not have; here a
// complete one in memory stands in, with as much of a window as the SDK asks for, and the SDK is told so ahead.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";

process.env.USE_MOCK_PERSISTENCE = "YES";
globalThis.window = new EventTarget();
const { deleteApp, initializeApp } = await import("firebase/app");
const {
  connectFirestoreEmulator,
  disableNetwork,
  doc,
  getDoc,
  getDocFromCache,
  getDocFromServer,
  initializeFirestore,
  memoryLocalCache,
  persistentLocalCache,
  setDoc,
  terminate,
  waitForPendingWrites,
} = await import("firebase/firestore");

const [host, port] = (process.env.FIRESTORE_EMULATOR_HOST ?? "").split(":");
assert.ok(host && port, "start the service first and name it in FIRESTORE_EMULATOR_HOST");
const projectId = `demo-persistence-${process.pid}`;

async function client(localCache, work) {
  const app = initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" }, "same");
  const db = initializeFirestore(app, { localCache: localCache() });
  connectFirestoreEmulator(db, host, Number(port));
  try {
    return await work(db, doc(db, "rooms/a"));
  } finally {
    await terminate(db);
    await deleteApp(app);
  }
}

for (const [name, localCache, survives] of [
  ["on", persistentLocalCache, true],
  ["off", memoryLocalCache, false],
]) {
  test(`persistence ${name}: what was read offline later`, async () => {
    await client(localCache, async (db, place) => {
      await setDoc(place, { text: name });
      assert.equal((await getDocFromServer(place)).data().text, name);
    });
    await client(localCache, async (db, place) => {
      await disableNetwork(db);
      if (survives) {
        const found = await getDocFromCache(place);
        assert.deepEqual([found.data(), found.metadata.fromCache], [{ text: name }, true]);
        assert.equal((await getDoc(place)).data().text, name);
      } else {
        await assert.rejects(getDocFromCache(place), { code: "unavailable" });
      }
      await assert.rejects(getDocFromServer(place), { code: "unavailable" });
    });
  });

  test(`persistence ${name}: a write that was not sent before its client ended`, async () => {
    await client(localCache, async (db, place) => {
      await setDoc(place, { text: "before" });
      await disableNetwork(db);
      setDoc(place, { text: "written offline" }).catch(() => {});
      assert.equal((await getDoc(place)).data().text, "written offline");
    });
    await client(localCache, async (db, place) => {
      await waitForPendingWrites(db);
      assert.equal((await getDocFromServer(place)).data().text, survives ? "written offline" : "before");
    });
  });
}
