// What the local Firestore refuses reaches the Node server SDKs at the first attempt. Run by
// tests/emulator/firestore/test_javascript_sdk.py, which counts the requests that arrive and makes one RunQuery fail.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Firestore } from "@google-cloud/firestore";
import { deleteApp, initializeApp } from "firebase-admin/app";
import { getFirestore } from "firebase-admin/firestore";

assert.ok(process.env.FIRESTORE_EMULATOR_HOST, "start the service first and name it in FIRESTORE_EMULATOR_HOST");
const projectId = "demo-refusals";
const INVALID_ARGUMENT = 3;
const tooMany = [...Array(31).keys()];
let app;
const clients = {};

before(() => {
  app = initializeApp({ projectId });
  clients["firebase-admin"] = getFirestore(app);
  clients["@google-cloud/firestore"] = new Firestore({ projectId });
});

after(async () => {
  await clients["@google-cloud/firestore"].terminate();
  await deleteApp(app);
});

for (const name of ["firebase-admin", "@google-cloud/firestore"]) {
  test(`${name}: a refused query, aggregation, look-up, commit and listener`, async () => {
    const client = clients[name];
    const things = client.collection("things");
    const refused = { code: INVALID_ARGUMENT };
    await assert.rejects(things.where("n", "in", tooMany).get(), refused);
    await assert.rejects(things.where("n", "in", tooMany).count().get(), refused);
    await assert.rejects(client.getAll(things.doc("__reserved__")), refused);
    await assert.rejects(things.doc("__reserved__").set({}), refused);
    const listening = new Promise((_, reject) => things.where("n", "in", tooMany).onSnapshot(() => {}, reject));
    await assert.rejects(listening, { message: /^Error 3: / });
  });
}

test("a query that fails for the moment is asked again", async () => {
  assert.equal((await clients["firebase-admin"].collection("shaky").get()).size, 0);
});
