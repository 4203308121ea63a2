// Calls of the JavaScript SDK's Firestore that the other files leave out. Run by tests/emulator/firestore/adapters/test_javascript_sdk.py.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import * as sdk from "firebase/firestore";
import * as lite from "firebase/firestore/lite";
import { deleteApp as deleteAdminApp, initializeApp as initializeAdminApp } from "firebase-admin/app";
import { getFirestore as getAdminFirestore } from "firebase-admin/firestore";

const [host, port] = process.env.FIRESTORE_EMULATOR_HOST.split(":");
const projectId = `demo-every-${process.pid}`;
let app, db, light, adminApp, admin;

before(async () => {
  app = initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" });
  sdk.setLogLevel("error");
  lite.setLogLevel("error");
  db = sdk.initializeFirestore(app, { localCache: sdk.memoryLocalCache({ garbageCollector: sdk.memoryEagerGarbageCollector() }) });
  sdk.connectFirestoreEmulator(db, host, Number(port));
  light = lite.getFirestore(initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" }, "light"));
  lite.connectFirestoreEmulator(light, host, Number(port));
  adminApp = initializeAdminApp({ projectId });
  admin = getAdminFirestore(adminApp);
  for (const [id, n] of [["a", 1], ["b", 2], ["c", 3]]) await admin.doc(`things/${id}`).set({ n });
});

after(async () => {
  await sdk.terminate(db);
  await Promise.all([deleteApp(app), deleteAdminApp(adminApp)]);
});

for (const [name, used, database] of [["the client", sdk, () => db], ["Lite", lite, () => light]]) {
  test(`${name}: cursors, the id as a field, equality, aggregates`, async () => {
    const things = used.collection(database(), "things");
    const ordered = used.query(things, used.orderBy("n"), used.startAt(2), used.endAt(3));
    assert.deepEqual((await used.getDocs(ordered)).docs.map((each) => each.id), ["b", "c"]);
    const byId = used.query(things, used.where(used.documentId(), "in", ["a", "c"]));
    assert.equal((await used.getDocs(byId)).size, 2);
    assert.ok(used.queryEqual(ordered, used.query(things, used.orderBy("n"), used.startAt(2), used.endAt(3))));
    assert.ok(used.refEqual(used.doc(things, "a"), used.doc(things, "a")));
    assert.ok(used.snapshotEqual(await used.getDoc(used.doc(things, "a")), await used.getDoc(used.doc(things, "a"))));
    const asked = { total: used.sum("n"), mean: used.average("n") };
    assert.ok(used.aggregateFieldEqual(asked.total, used.sum("n")));
    const aggregate = used.getAggregate ?? used.getAggregateFromServer;
    const [one, other] = [await aggregate(things, asked), await aggregate(things, asked)];
    assert.deepEqual(one.data(), { total: 6, mean: 2 });
    assert.ok(used.aggregateQuerySnapshotEqual(one, other));
  });

  test(`${name}: the larger and the smaller of what is there and what is sent`, async () => {
    const place = used.doc(database(), "things", `bounds-${name.replace(" ", "-")}`);
    await used.setDoc(place, { high: 5, low: 5 });
    await used.updateDoc(place, { high: used.maximum(7), low: used.minimum(3) });
    assert.deepEqual((await used.getDoc(place)).data(), { high: 7, low: 3 });
  });
}

test("a bundle of the admin SDK is loaded, with its named query", async () => {
  const query = admin.collection("things").where("n", "<=", 3).orderBy("n");
  const bundle = admin.bundle("every").add("low", await query.get()).build();
  await sdk.loadBundle(db, new Uint8Array(bundle));
  const named = await sdk.namedQuery(db, "low");
  assert.equal((await sdk.getDocsFromCache(named)).size, 3);
});

test("listeners are told together, and a snapshot goes out and comes back as JSON", async () => {
  const things = sdk.collection(db, "things");
  const inSync = new Promise((resolve) => (globalThis.stop = sdk.onSnapshotsInSync(db, resolve)));
  const found = await new Promise((resolve) => (globalThis.end = sdk.onSnapshot(things, resolve)));
  await inSync;
  globalThis.stop();
  globalThis.end();
  const converter = { toFirestore: (data) => data, fromFirestore: (snapshot) => snapshot.data() };
  const again = sdk.querySnapshotFromJSON(db, found.toJSON(), converter);
  assert.equal(again.size, found.size);
  const [first] = found.docs;
  assert.deepEqual(sdk.documentSnapshotFromJSON(db, first.toJSON(), converter).data(), first.data());
  const resumed = await new Promise((resolve) => (globalThis.end = sdk.onSnapshotResume(db, found.toJSON(), resolve)));
  globalThis.end();
  assert.ok(resumed.size >= 3);
});
