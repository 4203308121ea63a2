// Every call of @google-cloud/pubsub that pubsub.test.mjs leaves out: the generated clients, and the rest of the classes.
// Run by tests/emulator/pubsub/test_javascript_sdk.py, which starts the service and names it in the environment.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { PubSub, SchemaTypes, v1 } from "@google-cloud/pubsub";

assert.ok(process.env.PUBSUB_EMULATOR_HOST, "start the service first and name it in the environment");
const [servicePath, port] = process.env.PUBSUB_EMULATOR_HOST.split(":");
const projectId = "demo-node-every-call";
const project = `projects/${projectId}`;
const definition = JSON.stringify({ type: "record", name: "Thing", fields: [{ name: "id", type: "int" }] });
const wider = JSON.stringify({ type: "record", name: "Thing", fields: [{ name: "id", type: "int" }, { name: "n", type: "int", default: 0 }] });
// Credentials of another copy of grpc-js are refused, so they come from the client's own.
const { GrpcClient } = createRequire(createRequire(import.meta.url).resolve("@google-cloud/pubsub"))("google-gax");
let pubsub, publisher, subscriber, schemas;

before(() => {
  pubsub = new PubSub({ projectId });
  const options = () => ({ servicePath, port: Number(port), sslCreds: new GrpcClient().grpc.credentials.createInsecure(), projectId });
  publisher = new v1.PublisherClient(options());
  subscriber = new v1.SubscriberClient(options());
  schemas = new v1.SchemaServiceClient(options());
});

after(async () => {
  await Promise.all([pubsub.close(), publisher.close(), subscriber.close(), schemas.close()]);
});

async function listed(listing) {
  const found = [];
  const take = (each) => found.push(each.name ?? each);
  if (typeof listing.on === "function") {
    await new Promise((resolve, reject) => listing.on("error", reject).on("end", resolve).on("data", take));
  } else {
    for await (const each of listing) take(each);
  }
  return found;
}

async function policies(client, resource) {
  const bindings = [{ role: "roles/viewer", members: ["allUsers"] }];
  await client.setIamPolicy({ resource, policy: { bindings } });
  assert.equal((await client.getIamPolicy({ resource }))[0].bindings[0].role, "roles/viewer");
  const [{ permissions }] = await client.testIamPermissions({ resource, permissions: ["pubsub.topics.get"] });
  assert.deepEqual(permissions, ["pubsub.topics.get"]);
}

test("the generated publisher makes, changes, lists and deletes topics", async () => {
  const topic = `${project}/topics/generated`;
  assert.equal(await publisher.getProjectId(), projectId);
  await publisher.createTopic({ name: topic });
  assert.equal((await publisher.getTopic({ topic }))[0].name, topic);
  const changed = { topic: { name: topic, labels: { a: "b" } }, updateMask: { paths: ["labels"] } };
  assert.deepEqual((await publisher.updateTopic(changed))[0].labels, { a: "b" });
  await policies(publisher, topic);
  const subscription = `${project}/subscriptions/generated`;
  await subscriber.createSubscription({ name: subscription, topic });
  await subscriber.createSnapshot({ name: `${project}/snapshots/generated`, subscription });
  const [{ messageIds }] = await publisher.publish({ topic, messages: [{ data: Buffer.from("x") }] });
  assert.equal(messageIds.length, 1);
  assert.ok((await publisher.listTopics({ project }))[0].some((each) => each.name === topic));
  assert.ok((await listed(publisher.listTopicsAsync({ project }))).includes(topic));
  assert.ok((await listed(publisher.listTopicsStream({ project }))).includes(topic));
  assert.deepEqual((await publisher.listTopicSubscriptions({ topic }))[0], [subscription]);
  assert.deepEqual(await listed(publisher.listTopicSubscriptionsAsync({ topic })), [subscription]);
  assert.deepEqual(await listed(publisher.listTopicSubscriptionsStream({ topic })), [subscription]);
  assert.deepEqual((await publisher.listTopicSnapshots({ topic }))[0], [`${project}/snapshots/generated`]);
  assert.equal((await listed(publisher.listTopicSnapshotsAsync({ topic }))).length, 1);
  assert.equal((await listed(publisher.listTopicSnapshotsStream({ topic }))).length, 1);
  await publisher.detachSubscription({ subscription });
  await publisher.deleteTopic({ topic });
  await assert.rejects(publisher.getTopic({ topic }), { code: 5 });
});

test("the generated subscriber makes, pulls, acknowledges, seeks, lists and deletes", async () => {
  const topic = `${project}/topics/subscribed`;
  const subscription = `${project}/subscriptions/subscribed`;
  const snapshot = `${project}/snapshots/subscribed`;
  await publisher.createTopic({ name: topic });
  assert.equal(await subscriber.getProjectId(), projectId);
  await subscriber.createSubscription({ name: subscription, topic });
  await policies(subscriber, subscription);
  const changed = { subscription: { name: subscription, labels: { a: "b" } }, updateMask: { paths: ["labels"] } };
  await subscriber.updateSubscription(changed);
  await subscriber.modifyPushConfig({ subscription, pushConfig: {} });
  assert.deepEqual((await subscriber.getSubscription({ subscription }))[0].labels, { a: "b" });
  await subscriber.createSnapshot({ name: snapshot, subscription });
  await subscriber.updateSnapshot({ snapshot: { name: snapshot, labels: { a: "b" } }, updateMask: { paths: ["labels"] } });
  assert.equal((await subscriber.getSnapshot({ snapshot }))[0].name, snapshot);
  await publisher.publish({ topic, messages: [{ data: Buffer.from("x") }] });
  const [first] = await subscriber.pull({ subscription, maxMessages: 1 });
  const ackIds = first.receivedMessages.map((each) => each.ackId);
  await subscriber.modifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds: 60 });
  await subscriber.acknowledge({ subscription, ackIds });
  await subscriber.seek({ subscription, snapshot });
  const stream = subscriber.streamingPull();
  const arrived = new Promise((resolve, reject) =>
    stream.on("error", reject).on("data", (answer) => answer.receivedMessages.length && resolve(answer)),
  );
  stream.write({ subscription, streamAckDeadlineSeconds: 30 });
  assert.equal((await arrived).receivedMessages[0].message.data.toString(), "x");
  stream.removeAllListeners("error").on("error", () => {});
  stream.cancel();
  for (const found of [subscriber.listSubscriptionsAsync({ project }), subscriber.listSubscriptionsStream({ project })]) {
    assert.ok((await listed(found)).includes(subscription));
  }
  for (const found of [subscriber.listSnapshotsAsync({ project }), subscriber.listSnapshotsStream({ project })]) {
    assert.ok((await listed(found)).includes(snapshot));
  }
  assert.ok((await subscriber.listSubscriptions({ project }))[0].length);
  assert.ok((await subscriber.listSnapshots({ project }))[0].length);
  await subscriber.deleteSnapshot({ snapshot });
  await subscriber.deleteSubscription({ subscription });
  await assert.rejects(subscriber.getSubscription({ subscription }), { code: 5 });
});

test("the generated schema client does all that a schema can", async () => {
  assert.equal(await schemas.getProjectId(), projectId);
  const schema = { type: "AVRO", definition };
  const [made] = await schemas.createSchema({ parent: project, schemaId: "generated", schema });
  const { name } = made;
  await policies(schemas, name);
  const [second] = await schemas.commitSchema({ name, schema: { name, type: "AVRO", definition: wider } });
  const [third] = await schemas.rollbackSchema({ name, revisionId: made.revisionId });
  assert.equal((await schemas.getSchema({ name, view: "FULL" }))[0].definition, definition);
  assert.equal((await schemas.listSchemaRevisions({ name }))[0].length, 3);
  assert.equal((await listed(schemas.listSchemaRevisionsAsync({ name }))).length, 3);
  assert.equal((await listed(schemas.listSchemaRevisionsStream({ name }))).length, 3);
  await schemas.deleteSchemaRevision({ name: `${name}@${second.revisionId}` });
  assert.ok(third.revisionId);
  assert.ok((await schemas.listSchemas({ parent: project }))[0].length);
  assert.deepEqual(await listed(schemas.listSchemasAsync({ parent: project })), [name]);
  assert.deepEqual(await listed(schemas.listSchemasStream({ parent: project })), [name]);
  await schemas.validateSchema({ parent: project, schema });
  await schemas.validateMessage({ parent: project, name, message: Buffer.from('{"id": 1}'), encoding: "JSON" });
  await schemas.deleteSchema({ name });
  await assert.rejects(schemas.getSchema({ name }), { code: 5 });
});

test("topics by their own class: publishing in every form, settings, options", async () => {
  const topic = pubsub.topic("own-class", { messageOrdering: true });
  await topic.create();
  topic.setPublishOptions({ batching: { maxMessages: 1 }, messageOrdering: true });
  assert.ok(topic.getPublishOptionDefaults().batching);
  const subscription = topic.subscription("own-class-sub");
  await subscription.create();
  subscription.setOptions({ flowControl: { maxMessages: 10 } });
  await topic.publish(Buffer.from("plain"));
  await topic.publishJSON({ a: 1 });
  const controlled = topic.flowControlled();
  await controlled.publish({ data: Buffer.from("controlled") });
  await Promise.all(await controlled.all());
  topic.resumePublishing("key");
  await topic.flush();
  const [found] = await topic.get();
  assert.equal(found.name, topic.name);
  assert.deepEqual((await topic.getSubscriptions())[0].map((each) => each.name), [subscription.name]);
  const data = [];
  const done = new Promise((resolve) => {
    subscription.on("message", (message) => {
      if (!data.includes("given back")) {
        data.push("given back");
        message.nack();
        return;
      }
      message.modAck(30);
      data.push(message.data.toString());
      message.ack();
      if (data.length === 4) resolve();
    });
  });
  await done;
  assert.deepEqual(data.slice(1).sort(), ["controlled", "plain", '{"a":1}']);
  await subscription.close();
  assert.deepEqual(await subscription.exists(), [true]);
  assert.equal((await subscription.get())[0].name, subscription.name);
  await subscription.setMetadata({ labels: { a: "b" } });
  assert.deepEqual((await subscription.getMetadata())[0].labels, { a: "b" });
  await subscription.modifyPushConfig({ pushEndpoint: "" });
  assert.deepEqual(await subscription.detached(), [false]);
  await pubsub.detachSubscription(subscription.name);
  assert.deepEqual(await subscription.detached(), [true]);
  await subscription.delete();
  await topic.delete();
});

test("snapshots, schemas and messages of exactly-once delivery by their own classes", async () => {
  const [topic] = await pubsub.createTopic("others");
  const [subscription] = await pubsub.createSubscription(topic, "others-sub", { enableExactlyOnceDelivery: true });
  const snapshot = pubsub.subscription(subscription.name).snapshot("others-snapshot");
  await snapshot.create();
  await pubsub.snapshot(snapshot.name).delete();
  const schema = pubsub.schema("others-schema");
  await schema.create(SchemaTypes.Avro, definition);
  assert.equal(await schema.getName(), `${project}/schemas/others-schema`);
  assert.ok(await pubsub.getSchemaClient());
  assert.equal((await pubsub.getClientConfig()).projectId, projectId);
  await schema.delete();
  await topic.publishMessage({ data: Buffer.from("x") });
  const answers = await new Promise((resolve, reject) => {
    const found = [];
    subscription.on("error", reject).on("message", async (message) => {
      if (found.length === 0) {
        found.push(await message.modAckWithResponse(60));
        found.push(await message.nackWithResponse());
      } else {
        resolve([...found, await message.ackWithResponse()]);
      }
    });
  });
  assert.deepEqual(answers, ["SUCCESS", "SUCCESS", "SUCCESS"]);
  await subscription.close();
});
