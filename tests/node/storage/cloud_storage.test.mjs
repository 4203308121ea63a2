// @google-cloud/storage against the local Storage: what the client has beyond files and folders. Run by
// tests/emulator/storage/firebase/test_node_sdks.py.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, test } from "node:test";

import { Storage } from "@google-cloud/storage";

assert.ok(process.env.STORAGE_EMULATOR_HOST, "the test that runs this says where Storage is");
const storage = new Storage({ projectId: "demo-storage", apiEndpoint: process.env.STORAGE_EMULATOR_HOST });
const bucket = storage.bucket(process.env.STORAGE_BUCKET);
const saved = async (name, content = "x", options = {}) => {
  const file = bucket.file(name);
  await file.save(content, { resumable: false, ...options });
  return file;
};
const text = async (file) => (await file.download())[0].toString();
const refused = (code) => (error) => Number(error.code) === code;

before(() => bucket.create());

test("files are combined, and the whole counts its parts", async () => {
  const [whole] = await bucket.combine([await saved("1", "one"), await saved("2", "two")], "whole");
  assert.equal(await text(whole), "onetwo");
  const [metadata] = await whole.getMetadata();
  assert.equal(metadata.componentCount, 2);
  assert.equal(metadata.md5Hash, undefined);
});

test("files are copied, moved and put into another class", async () => {
  const file = await saved("from", "x".repeat(3 * 1024 * 1024), { metadata: { metadata: { a: "1" } } });
  const [copy] = await file.copy("copy");
  assert.equal((await copy.getMetadata())[0].metadata.a, "1");
  const [moved] = await copy.moveFileAtomic("moved");
  assert.equal((await copy.exists())[0], false);
  await moved.setStorageClass("nearline");
  assert.equal((await moved.getMetadata())[0].storageClass, "NEARLINE");
  assert.equal((await text(moved)).length, 3 * 1024 * 1024);
});

test("access lists and policies are read and written", async () => {
  const file = await saved("public");
  await file.makePublic();
  const [entries] = await file.acl.get();
  assert.ok(entries.some(({ entity, role }) => entity === "allUsers" && role === "READER"));
  await file.makePrivate();
  const [after] = await file.acl.get();
  assert.ok(!after.some(({ entity }) => entity === "allUsers"));
  const [policy] = await bucket.iam.getPolicy({ requestedPolicyVersion: 3 });
  policy.bindings.push({ role: "roles/storage.objectViewer", members: ["allUsers"] });
  const [kept] = await bucket.iam.setPolicy(policy);
  assert.ok(kept.bindings.some(({ members }) => members.includes("allUsers")));
  const [granted] = await bucket.iam.testPermissions("storage.objects.get");
  assert.deepEqual(granted, { "storage.objects.get": true });
});

test("keys of customers are needed to read", async () => {
  const key = randomBytes(32);
  await bucket.file("secret").setEncryptionKey(key).save("hidden", { resumable: false });
  await assert.rejects(bucket.file("secret").download(), refused(400));
  const next = randomBytes(32);
  await bucket.file("secret").setEncryptionKey(key).rotateEncryptionKey(next);
  assert.equal(await text(bucket.file("secret").setEncryptionKey(next)), "hidden");
});

test("what is held or retained stays, and what was deleted comes back", async () => {
  const file = await saved("held");
  await file.setMetadata({ temporaryHold: true });
  await assert.rejects(file.delete(), refused(403));
  await file.setMetadata({ temporaryHold: false });
  const [{ generation }] = await file.getMetadata();
  await file.delete();
  const [gone] = await bucket.getFiles({ softDeleted: true, prefix: "held" });
  assert.equal(gone.length, 1);
  await bucket.file("held").restore({ generation: Number(generation) });
  assert.equal(await text(bucket.file("held")), "x");
});

test("settings of a bucket are set and read back", async () => {
  await bucket.addLifecycleRule({ action: { type: "Delete" }, condition: { age: 365 } });
  await bucket.setLabels({ team: "blue" });
  await bucket.setCorsConfiguration([{ maxAgeSeconds: 60, origin: ["*"], method: ["GET"] }]);
  const [metadata] = await bucket.getMetadata();
  assert.equal(metadata.lifecycle.rule[0].condition.age, 365);
  assert.equal(metadata.labels.team, "blue");
  assert.equal(metadata.cors[0].maxAgeSeconds, 60);
  await assert.rejects(bucket.setMetadata({ ipFilter: { mode: "Enabled" } }), refused(501));
});

test("keys for signatures are made, switched off and deleted", async () => {
  const [key, secret] = await storage.createHmacKey("robot@demo-storage.iam.gserviceaccount.com");
  assert.equal(secret.length, 40);
  await key.setMetadata({ state: "INACTIVE" });
  await key.delete();
  const [agent] = await storage.getServiceAccount();
  assert.match(agent.emailAddress, /gserviceaccount/);
});
