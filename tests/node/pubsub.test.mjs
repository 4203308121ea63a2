// @google-cloud/pubsub against a Pub/Sub service on loopback. Run by tests/emulator/pubsub/test_javascript_sdk.py, which
// starts the service and names it in the environment.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Encodings, PubSub, Schema, SchemaTypes } from "@google-cloud/pubsub";

assert.ok(process.env.PUBSUB_EMULATOR_HOST, "start the service first and name it in the environment");
const projectId = "demo-node-pubsub";
const definition = JSON.stringify({ type: "record", name: "Thing", fields: [{ name: "id", type: "int" }] });
let pubsub;

before(() => {
  pubsub = new PubSub({ projectId });
});

after(async () => {
  await pubsub.close();
});

// Messages as they arrive. A listener that goes closes the stream and gives back what is out, so this one stays.
function listening(subscription) {
  const arrived = [];
  const waiting = [];
  subscription.on("message", (message) => (waiting.length ? waiting.shift()(message) : arrived.push(message)));
  return () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve)));
}

async function made(name, settings = {}) {
  const [topic] = await pubsub.createTopic({ name });
  const [subscription] = await topic.createSubscription(`${name}-sub`, settings);
  return { topic, subscription };
}

test("what set-up code lists and sets is there", async () => {
  const { topic } = await made("set-up");
  const policy = { bindings: [{ role: "roles/pubsub.publisher", members: ["allUsers"] }] };
  await topic.iam.setPolicy(policy);
  const [kept] = await topic.iam.getPolicy();
  assert.deepEqual(kept.bindings[0].members, ["allUsers"]);
  const [permissions] = await topic.iam.testPermissions(["pubsub.topics.get"]);
  assert.deepEqual(permissions, { "pubsub.topics.get": true });
  for (const listed of [pubsub.getTopics(), pubsub.getSubscriptions(), pubsub.getSnapshots()]) {
    assert.ok(Array.isArray((await listed)[0]));
  }
  for await (const schema of pubsub.listSchemas()) assert.ok(schema.name);
  await topic.setMetadata({ labels: { a: "b" } });
  assert.deepEqual((await topic.getMetadata())[0].labels, { a: "b" });
  assert.deepEqual(await topic.exists(), [true]);
  await topic.delete();
  assert.deepEqual(await topic.exists(), [false]);
});

test("a schema guards a topic, and a message says which", async () => {
  const schema = await pubsub.createSchema("thing", SchemaTypes.Avro, definition);
  const full = await schema.get("FULL");
  assert.equal(full.definition, definition);
  await schema.validateMessage(Buffer.from('{"id": 1}'), Encodings.Json);
  await assert.rejects(schema.validateMessage(Buffer.from("{}"), Encodings.Json), { code: 3 });
  await assert.rejects(pubsub.validateSchema({ type: SchemaTypes.Avro, definition: "{" }), { code: 3 });
  const [topic] = await pubsub.createTopic({
    name: "guarded",
    schemaSettings: { schema: full.name, encoding: Encodings.Json },
  });
  const [subscription] = await topic.createSubscription("guarded-sub");
  await assert.rejects(topic.publishMessage({ data: Buffer.from("nonsense") }), /failed schema validation/);
  await topic.publishMessage({ json: { id: 7 } });
  const message = await listening(subscription)();
  message.ack();
  const told = Schema.metadataFromMessage(message.attributes);
  assert.deepEqual([told.name, told.encoding], [full.name, "JSON"]);
  await subscription.close();
  await schema.delete();
  await assert.rejects(schema.get("FULL"), { code: 5 });
});

test("a snapshot brings back what was acknowledged", async () => {
  const { topic, subscription } = await made("sought", { retainAckedMessages: true, enableExactlyOnceDelivery: true });
  const [snapshot] = await subscription.createSnapshot("before");
  await topic.publishMessage({ data: Buffer.from("x") });
  const next = listening(subscription);
  for (const seek of [() => snapshot.seek(), () => subscription.seek(new Date(0)), () => undefined]) {
    const message = await next();
    assert.equal(message.data.toString(), "x");
    assert.equal(await message.ackWithResponse(), "SUCCESS");
    await seek();
  }
  await subscription.close();
  assert.equal((await pubsub.getSnapshots())[0].length, 1);
  await snapshot.delete();
});

test("an acknowledgement of exactly-once delivery is confirmed", async () => {
  const { topic, subscription } = await made("once", { enableExactlyOnceDelivery: true });
  await topic.publishMessage({ data: Buffer.from("x") });
  const message = await listening(subscription)();
  assert.equal(await message.ackWithResponse(), "SUCCESS");
  await subscription.close();
  const [again] = await subscription.getMetadata();
  assert.equal(again.enableExactlyOnceDelivery, true);
});
