// The Firebase JavaScript SDK against the storage service named in STORAGE_ADDRESS, with rules loaded by the caller.
import assert from "node:assert/strict";
import { test } from "node:test";
import { initializeApp } from "firebase/app";
import {
  connectStorageEmulator,
  deleteObject,
  getBytes,
  getDownloadURL,
  getMetadata,
  getStorage,
  list,
  listAll,
  ref,
  updateMetadata,
  uploadBytes,
  uploadBytesResumable,
  uploadString,
} from "firebase/storage";

const [host, port] = process.env.STORAGE_ADDRESS.split(":");
const bucket = process.env.STORAGE_BUCKET;

function storageAs(user) {
  const app = initializeApp({ projectId: "demo-storage", storageBucket: bucket, apiKey: "any" }, user ?? "nobody");
  const storage = getStorage(app);
  connectStorageEmulator(storage, host, Number(port), user ? { mockUserToken: { user_id: user } } : {});
  return storage;
}

const alice = storageAs("alice");
const nobody = storageAs(null);

function patterned(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) bytes[at] = (at * 31) % 251;
  return bytes;
}

const text = (bytes) => Buffer.from(bytes).toString();

test("a small upload comes back with its metadata", async () => {
  const object = ref(alice, "users/alice/notes/one.txt");
  const uploaded = await uploadBytes(object, Buffer.from("hello"), {
    contentType: "text/plain",
    cacheControl: "private",
    customMetadata: { mood: "curious" },
  });
  assert.equal(uploaded.metadata.size, 5);
  const metadata = await getMetadata(object);
  assert.equal(metadata.contentType, "text/plain");
  assert.equal(metadata.cacheControl, "private");
  assert.deepEqual(metadata.customMetadata, { mood: "curious" });
  assert.equal(text(await getBytes(object)), "hello");
  assert.equal(text(await getBytes(object, 2)), "he");
});

test("strings in base64 are stored as what they stand for", async () => {
  const object = ref(alice, "users/alice/ünï cödé/+%&#?.txt");
  await uploadString(object, "aGVsbG8=", "base64", { contentType: "text/plain" });
  assert.equal(text(await getBytes(object)), "hello");
  assert.equal((await getMetadata(object)).name, "+%&#?.txt");
});

test("a resumable upload reports progress and ends whole", async () => {
  const bytes = patterned(1024 * 1024 + 3);
  const task = uploadBytesResumable(ref(alice, "users/alice/big.bin"), bytes);
  const seen = [];
  task.on("state_changed", (snapshot) => seen.push(snapshot.bytesTransferred));
  const done = await task;
  assert.equal(done.state, "success");
  assert.equal(done.bytesTransferred, bytes.length);
  assert.ok(seen.length >= 2, `progress was ${seen}`);
  assert.deepEqual(new Uint8Array(await getBytes(done.ref)), bytes);
});

test("a paused upload resumes where it stood", async () => {
  const bytes = patterned(3 * 1024 * 1024);
  const task = uploadBytesResumable(ref(alice, "users/alice/paused.bin"), bytes);
  let paused = false;
  const resumed = new Promise((resolve, reject) => {
    task.on(
      "state_changed",
      (snapshot) => {
        if (!paused && snapshot.bytesTransferred > 0) {
          paused = task.pause();
        } else if (snapshot.state === "paused") {
          setImmediate(() => task.resume());
        }
      },
      reject,
      resolve,
    );
  });
  await resumed;
  assert.ok(paused);
  assert.deepEqual(new Uint8Array(await getBytes(task.snapshot.ref)), bytes);
});

test("a cancelled upload leaves nothing", async () => {
  const object = ref(alice, "users/alice/cancelled.bin");
  const task = uploadBytesResumable(object, patterned(2 * 1024 * 1024));
  task.on("state_changed", (snapshot) => {
    if (snapshot.bytesTransferred > 0 && snapshot.state === "running") task.cancel();
  });
  await assert.rejects(task, { code: "storage/canceled" });
  await assert.rejects(getMetadata(object), { code: "storage/object-not-found" });
});

test("an empty file can be uploaded in both ways", async () => {
  await uploadBytes(ref(alice, "users/alice/empty-1"), new Uint8Array(0));
  await uploadBytesResumable(ref(alice, "users/alice/empty-2"), new Uint8Array(0));
  assert.equal((await getMetadata(ref(alice, "users/alice/empty-1"))).size, 0);
  assert.equal((await getMetadata(ref(alice, "users/alice/empty-2"))).size, 0);
});

test("folders list by pages", async () => {
  for (const name of ["a", "b", "c", "deep/d", "deep/er/e"]) {
    await uploadString(ref(alice, `users/alice/tree/${name}`), name);
  }
  const tree = ref(alice, "users/alice/tree");
  const all = await listAll(tree);
  assert.deepEqual(all.items.map((item) => item.name), ["a", "b", "c"]);
  assert.deepEqual(all.prefixes.map((prefix) => prefix.fullPath), ["users/alice/tree/deep"]);
  const first = await list(tree, { maxResults: 2 });
  assert.equal(first.items.length, 2);
  const second = await list(tree, { maxResults: 2, pageToken: first.nextPageToken });
  assert.deepEqual(second.items.map((item) => item.name), ["c"]);
  assert.equal(second.prefixes.length, 1);
  assert.equal(second.nextPageToken, undefined);
});

test("metadata changes, and a null removes", async () => {
  const object = ref(alice, "users/alice/meta.txt");
  await uploadString(object, "x", "raw", { customMetadata: { a: "1", b: "2" } });
  const changed = await updateMetadata(object, { contentLanguage: "de", customMetadata: { a: null, c: "3" } });
  assert.equal(changed.contentLanguage, "de");
  assert.deepEqual(changed.customMetadata, { b: "2", c: "3" });
  assert.equal(changed.metageneration, "2");
});

test("a download link works without signing in, and whatever the rules say", async () => {
  const object = ref(alice, "users/alice/linked.txt");
  await uploadString(object, "through the link");
  const url = await getDownloadURL(object);
  const answer = await fetch(url, { headers: { range: "bytes=8-10", origin: "http://localhost:3000" } });
  assert.equal(answer.status, 206);
  assert.equal(await answer.text(), "the");
  assert.equal(answer.headers.get("access-control-allow-origin"), "http://localhost:3000");
  const wrong = await fetch(url.replace(/token=.*/, "token=guessed"));
  assert.equal(wrong.status, 403);
});

test("a deleted object is gone", async () => {
  const object = ref(alice, "users/alice/short-lived");
  await uploadString(object, "x");
  await deleteObject(object);
  await assert.rejects(getBytes(object), { code: "storage/object-not-found" });
  await assert.rejects(deleteObject(object), { code: "storage/object-not-found" });
});

test("the rules refuse strangers every verb", async () => {
  await uploadString(ref(alice, "users/alice/private.txt"), "mine");
  const theirs = ref(nobody, "users/alice/private.txt");
  const denied = { code: "storage/unauthorized" };
  await assert.rejects(getBytes(theirs), denied);
  await assert.rejects(getMetadata(theirs), denied);
  await assert.rejects(getDownloadURL(theirs), denied);
  await assert.rejects(listAll(ref(nobody, "users/alice")), denied);
  await assert.rejects(updateMetadata(theirs, { contentLanguage: "xx" }), denied);
  await assert.rejects(deleteObject(theirs), denied);
  await assert.rejects(uploadString(theirs, "overwritten"), denied);
  await assert.rejects(uploadBytesResumable(theirs, patterned(300 * 1024)), denied);
  assert.equal(text(await getBytes(ref(alice, "users/alice/private.txt"))), "mine");
});

test("the rules see size and type of an upload", async () => {
  const denied = { code: "storage/unauthorized" };
  const object = ref(alice, "small-images/alice/one.png");
  await assert.rejects(uploadBytes(object, patterned(2000), { contentType: "image/png" }), denied);
  await assert.rejects(uploadBytes(object, patterned(20), { contentType: "text/plain" }), denied);
  await uploadBytes(object, patterned(20), { contentType: "image/png" });
});
