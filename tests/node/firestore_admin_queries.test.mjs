// The official Node.js server SDK against the local Firestore: vector search, explain, partitions, lazy transactions.
// Run by tests/emulator/firestore/adapters/test_javascript_sdk.py.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { FieldValue, Firestore } from "@google-cloud/firestore";

let db, rooms;

before(async () => {
  db = new Firestore({ projectId: `demo-node-queries-${process.pid}` });
  rooms = db.collection("rooms");
  const batch = db.batch();
  for (let n = 0; n < 9; n++) batch.set(rooms.doc(`r${n}`), { n, k: n % 3, v: FieldValue.vector([n, 1]) });
  await batch.commit();
});

after(() => db.terminate());

test("the nearest vectors come first, with their distance, within the threshold", async () => {
  const found = await rooms
    .where("k", "==", 1)
    .findNearest({
      vectorField: "v",
      queryVector: [2, 1],
      limit: 5,
      distanceMeasure: "EUCLIDEAN",
      distanceResultField: "far",
      distanceThreshold: 3,
    })
    .get();
  assert.deepEqual(
    found.docs.map((each) => [each.id, each.get("far")]),
    [["r1", 1], ["r4", 2]],
  );
});

test("dot products are ranked largest first", async () => {
  const nearest = { vectorField: "v", queryVector: [1, 0], limit: 2, distanceMeasure: "DOT_PRODUCT" };
  const found = await rooms.findNearest(nearest).get();
  assert.deepEqual(found.docs.map((each) => each.id), ["r8", "r7"]);
});

test("a plan carries nothing out, an analysis brings results and statistics", async () => {
  const query = rooms.where("k", "==", 1).orderBy("n");
  const plan = await query.explain();
  assert.equal(plan.snapshot, null);
  assert.equal(plan.metrics.executionStats, null);
  assert.deepEqual(plan.metrics.planSummary.indexesUsed, [
    { properties: "(k ASC, n ASC, __name__ ASC)", query_scope: "Collection" },
  ]);
  const analysis = await query.explain({ analyze: true });
  assert.equal(analysis.snapshot.size, 3);
  assert.equal(analysis.metrics.executionStats.resultsReturned, 3);
  assert.equal(analysis.metrics.executionStats.readOperations, 3);
  const counted = await rooms.count().explain({ analyze: true });
  assert.equal(counted.snapshot.data().count, 9);
});

test("the partitions of a group are its documents", async () => {
  const found = [];
  for await (const part of db.collectionGroup("rooms").getPartitions(4)) {
    const { docs } = await part.toQuery().get();
    found.push(docs.map((each) => each.id));
  }
  assert.equal(found.length, 4);
  assert.deepEqual(found.flat().sort(), [...Array(9).keys()].map((n) => `r${n}`));
});

test("transactions at once add up, though they share what they read", async () => {
  const counter = db.doc("counters/all");
  await counter.set({ n: 0 });
  const add = () =>
    db.runTransaction(async (transaction) => {
      const seen = await transaction.get(counter);
      transaction.update(counter, { n: seen.get("n") + 1 });
    });
  await Promise.all([add(), add(), add()]);
  assert.equal((await counter.get()).get("n"), 3);
});

test("a refused query is refused once, in the official words", async () => {
  await assert.rejects(
    rooms.where("n", "!=", 1).where("k", "!=", 2).get(),
    (error) => error.code === 3 && error.message.includes("Only a single 'NOT_EQUAL'"),
  );
});
