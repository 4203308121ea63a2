// Signed URLs and POST policies of firebase-admin and @google-cloud/storage for Node, found by the usual environment variables alone.
// Run by tests/emulator/storage/signing/test_strangers_sign.py.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase-admin/app";
import { getStorage } from "firebase-admin/storage";
import { Storage } from "@google-cloud/storage";

assert.ok(process.env.FIREBASE_STORAGE_EMULATOR_HOST, "start the suite first: afterimage-emulator exec '…'");
const expires = () => Date.now() + 3600_000;
let app, bucket;
let names = 0;
const fresh = () => `signed/${process.pid}/${++names} ü's file!.txt`;

before(() => {
  app = initializeApp();
  bucket = getStorage(app).bucket();
});

after(() => deleteApp(app));

for (const version of ["v2", "v4"]) {
  test(`${version}: firebase-admin signs uploads, downloads and deletions`, async () => {
    const file = bucket.file(fresh());
    const contentType = "text/plain";
    const [put] = await file.getSignedUrl({ version, action: "write", expires: expires(), contentType });
    assert.equal((await fetch(put, { method: "PUT", body: "hello", headers: { "content-type": contentType } })).status, 200);
    const [get] = await file.getSignedUrl({ version, action: "read", expires: expires(), responseDisposition: "attachment" });
    const answer = await fetch(get);
    assert.equal(await answer.text(), "hello");
    assert.equal(answer.headers.get("content-disposition"), "attachment");
    assert.equal((await fetch(get, { method: "DELETE" })).status, 403);
    assert.equal((await fetch(get.replace("signed/", "other/"))).status, 403);
    const [gone] = await file.getSignedUrl({ version, action: "delete", expires: expires() });
    assert.equal((await fetch(gone, { method: "DELETE" })).status, 204);
    assert.equal((await fetch(get)).status, 404);
  });

  test(`${version}: a signed start of a resumable upload gives an address that takes the bytes`, async () => {
    const file = bucket.file(fresh());
    const extensionHeaders = { "x-goog-meta-mood": "curious", "x-goog-content-length-range": "1,100" };
    const [start] = await file.getSignedUrl({
      version, action: "resumable", expires: expires(), contentType: "text/plain", extensionHeaders,
    });
    const started = await fetch(start, {
      method: "POST",
      headers: { ...extensionHeaders, "content-type": "text/plain", "x-goog-resumable": "start" },
    });
    assert.equal(started.status, 201, await started.text());
    const location = started.headers.get("location");
    assert.equal((await fetch(location, { method: "PUT", body: "hello" })).status, 200);
    const [metadata] = await file.getMetadata();
    assert.equal(metadata.metadata.mood, "curious");
    assert.equal(metadata.contentType, "text/plain");
  });
}

async function send(url, fields, body) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", new Blob([body], { type: "text/plain" }), "hello.txt");
  return fetch(url, { method: "POST", body: form, redirect: "manual" });
}

test("v4: a policy lets a page's form upload what it allows and nothing else", async () => {
  const file = bucket.file(fresh());
  const [policy] = await file.generateSignedPostPolicyV4({
    expires: expires(),
    conditions: [["content-length-range", 1, 5]],
    fields: { "x-goog-meta-mood": "curious", "content-type": "text/plain" },
  });
  assert.equal((await send(policy.url, policy.fields, "hello")).status, 204);
  assert.equal((await file.getMetadata())[0].metadata.mood, "curious");
  assert.equal((await send(policy.url, policy.fields, "hello again")).status, 400);
  assert.equal((await send(policy.url, { ...policy.fields, key: "another" }, "hello")).status, 400);
});

test("v2: the policy's document, signed, is taken beside the fields that it names", async () => {
  const file = bucket.file(fresh());
  const [policy] = await file.generateSignedPostPolicyV2({
    expires: expires(), equals: ["$Content-Type", "text/plain"], contentLengthRange: { min: 1, max: 5 },
  });
  const { client_email } = await new Storage().authClient.getCredentials();
  const fields = {
    key: file.name, bucket: bucket.name, GoogleAccessId: client_email, policy: policy.base64, signature: policy.signature,
    "Content-Type": "text/plain",
  };
  const url = `${process.env.STORAGE_EMULATOR_HOST}/${bucket.name}`;
  const answer = await send(url, fields, "hello");
  assert.equal(answer.status, 204, await answer.text());
  assert.equal((await file.download())[0].toString(), "hello");
  assert.equal((await send(url, { ...fields, "Content-Type": "text/html" }, "hello")).status, 400);
});
