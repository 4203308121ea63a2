// The official JavaScript SDKs (client over gRPC, Lite over REST, admin) against the local Firestore. Run by
// tests/emulator/firestore/test_javascript_sdk.py, which starts the service and names it in FIRESTORE_EMULATOR_HOST.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import * as sdk from "firebase/firestore";
import * as lite from "firebase/firestore/lite";
import { deleteApp as deleteAdminApp, initializeApp as initializeAdminApp } from "firebase-admin/app";
import { FieldValue, getFirestore as getAdminFirestore } from "firebase-admin/firestore";

import { clientCases } from "./firestore_client_cases.mjs";

const [host, port] = (process.env.FIRESTORE_EMULATOR_HOST ?? "").split(":");
assert.ok(host && port, "start the service first and name it in FIRESTORE_EMULATOR_HOST");
const projectId = `demo-node-${process.pid}`;
const settings = JSON.parse(process.env.FIRESTORE_SETTINGS ?? "{}");

let app, db, other, otherApp, adminApp, admin;
let names = 0;
const fresh = () => `things${++names}`;

before(() => {
  app = initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" });
  db = sdk.initializeFirestore(app, settings);
  sdk.connectFirestoreEmulator(db, host, Number(port));
  otherApp = initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" }, "other");
  other = sdk.initializeFirestore(otherApp, {
    ...settings,
    localCache: sdk.memoryLocalCache({ garbageCollector: sdk.memoryLruGarbageCollector() }),
  });
  sdk.connectFirestoreEmulator(other, host, Number(port));
  adminApp = initializeAdminApp({ projectId });
  admin = getAdminFirestore(adminApp);
});

after(async () => {
  await Promise.all([sdk.terminate(db), sdk.terminate(other)]);
  await Promise.all([deleteApp(app), deleteApp(otherApp), deleteAdminApp(adminApp)]);
});

clientCases({ test, assert, sdk, clients: () => ({ db, other }) });

test("the Lite SDK does the same over REST", async () => {
  const liteApp = initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" }, "lite");
  const light = lite.getFirestore(liteApp);
  lite.connectFirestoreEmulator(light, host, Number(port));
  const things = lite.collection(light, fresh());
  const place = lite.doc(things, "a");
  await lite.setDoc(place, { n: 1, d: -0.5, t: lite.serverTimestamp() });
  await lite.updateDoc(place, { n: lite.increment(1) });
  assert.equal((await lite.getDoc(place)).get("n"), 2);
  assert.equal((await lite.getDocs(lite.query(things, lite.where("n", ">", 1)))).size, 1);
  assert.equal((await lite.getCount(things)).data().count, 1);
  await lite.runTransaction(light, async (transaction) => {
    const found = await transaction.get(place);
    transaction.set(place, { n: found.get("n") * 10 });
  });
  assert.deepEqual((await lite.getDoc(place)).data(), { n: 20 });
  await lite.runTransaction(light, async (transaction) => {
    const found = await transaction.get(place);
    const none = await transaction.get(lite.doc(things, "missing"));
    transaction.set(lite.doc(things, "b"), { n: found.get("n"), alone: !none.exists() });
  });
  assert.deepEqual((await lite.getDoc(lite.doc(things, "b"))).data(), { n: 20, alone: true });
  await assert.rejects(lite.updateDoc(lite.doc(things, "none"), { a: 1 }), { code: "not-found" });
  await lite.terminate(light);
  await deleteApp(liteApp);
});

test("the admin SDK: transactions, listeners, bulk writes and recursive deletes", async () => {
  const things = admin.collection(fresh());
  const writer = admin.bulkWriter();
  for (let n = 0; n < 60; n++) writer.set(things.doc(`d${n}`), { n, at: FieldValue.serverTimestamp() });
  writer.set(things.doc("d1").collection("deep").doc("x"), {});
  await writer.close();
  assert.equal((await things.count().get()).data().count, 60);
  const place = things.doc("counter");
  await place.set({ n: 0 });
  await Promise.all(
    [...Array(6)].map(() =>
      admin.runTransaction(async (transaction) => {
        const found = await transaction.get(place);
        const all = await transaction.get(things.where("n", ">=", 50));
        transaction.update(place, { n: found.get("n") + 1, all: all.size });
      }),
    ),
  );
  assert.deepEqual((await place.get()).data(), { n: 6, all: 10 });
  const sizes = [];
  await new Promise((resolve, reject) => {
    const stop = things.where("n", ">", 57).onSnapshot((snapshot) => {
      sizes.push(snapshot.size);
      if (sizes.length === 1) things.doc("d59").delete();
      else stop(), resolve();
    }, reject);
  });
  assert.deepEqual(sizes, [2, 1]);
  assert.deepEqual((await admin.listCollections()).some((c) => c.id === things.id), true);
  await admin.recursiveDelete(things);
  assert.equal((await admin.collectionGroup("deep").get()).size, 0);
  assert.equal((await things.get()).size, 0);
});
