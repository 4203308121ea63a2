// A page's client of the API: it asks by fetch and listens with the official JavaScript SDK, under the deployed rules. Run by
// tests/functions/api/test_javascript_sdk.py, which names the suite and its functions in the environment.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, inMemoryPersistence, initializeAuth, signInAnonymously } from "firebase/auth";
import { collection, connectFirestoreEmulator, doc, getFirestore, limit, onSnapshot, orderBy, query } from "firebase/firestore";

const projectId = process.env.GCLOUD_PROJECT;
const api = `http://${process.env.FUNCTIONS_HOST}/${projectId}/us-central1/api`;
const apps = [];
let alice, bob;

async function person(name) {
  const app = initializeApp({ apiKey: "any", projectId }, name);
  apps.push(app);
  const auth = initializeAuth(app, { persistence: inMemoryPersistence });
  connectAuthEmulator(auth, `http://${process.env.FIREBASE_AUTH_EMULATOR_HOST}`, { disableWarnings: true });
  const db = getFirestore(app);
  const [host, port] = process.env.FIRESTORE_EMULATOR_HOST.split(":");
  connectFirestoreEmulator(db, host, Number(port));
  const { user } = await signInAnonymously(auth);
  const ask = async (method, path, body) => {
    const headers = { Authorization: `Bearer ${await user.getIdToken()}`, "Content-Type": "application/json" };
    const answer = await fetch(`${api}${path}`, { method, headers, body: body && JSON.stringify(body) });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
  };
  return { db, uid: user.uid, ask };
}

// Everything that a listener is told, and a promise of the first of it that meets a condition.
function listening(target) {
  const seen = [];
  const waiting = [];
  let failure = null;
  const stop = onSnapshot(
    target,
    (snapshot) => {
      const told = snapshot.docs ? snapshot.docs.map((each) => ({ id: each.id, ...each.data() })) : snapshot.data();
      seen.push(told);
      for (const each of waiting) if (told && each.met(told)) each.resolve(told);
    },
    (error) => {
      failure = error;
      for (const each of waiting) each.reject(error);
    },
  );
  const until = (met) => new Promise((resolve, reject) => {
    const already = seen.find((told) => told && met(told));
    if (already) resolve(already);
    else if (failure) reject(failure);
    else waiting.push({ met, resolve, reject });
  });
  return { seen, until, stop };
}

before(async () => {
  [alice, bob] = [await person("alice"), await person("bob")];
});

after(async () => {
  await Promise.all(apps.map(deleteApp));
});

test("a listener sees a generation begin and end, and the API then says where its archive is", async () => {
  const newest = query(collection(alice.db, "users", alice.uid, "generations"), orderBy("created_at", "desc"), limit(5));
  const list = listening(newest);
  await list.until((told) => told.length === 0);
  const asked = alice.ask("POST", "/generations/generate", { prompt: "a shop for tea", mode: "enhanced" });
  const [begun] = await list.until((told) => told.length === 1 && told[0].status === "processing");
  const [ended] = await list.until((told) => told.length === 1 && told[0].status === "completed");
  assert.deepEqual([begun.id, begun.files_count, begun.archive], [ended.id, 0, null]);
  assert.equal((await asked).id, ended.id);
  assert.ok(ended.files_count > 5);
  const shown = await alice.ask("GET", `/generations/${ended.id}`);
  const archive = await fetch(shown.download_url);
  assert.deepEqual([archive.status, shown.cloud_storage_enabled], [200, true]);
  assert.deepEqual([...new Uint8Array(await archive.arrayBuffer()).slice(0, 2)], [0x1f, 0x8b]);

  const versions = listening(collection(alice.db, "users", alice.uid, "generations", ended.id, "versions"));
  await versions.until((told) => told.length === 1);
  const next = await alice.ask("POST", "/generations/iterate", { generation_id: ended.id, prompt: "and for coffee" });
  await versions.until((told) => told.length === 2 && told[1].status === "completed");
  assert.equal(next.version, 2);
  const stranger = listening(doc(bob.db, "users", alice.uid, "generations", ended.id));
  await assert.rejects(stranger.until(() => true), { code: "permission-denied" });
  for (const each of [list, versions, stranger]) each.stop();
});

test("a listener sees an upload's progress and its end, and what it does to the room that is left", async () => {
  const data = "a line of text\n".repeat(1000);
  const file = { name: "notes.txt", size: data.length, content_type: "text/plain" };
  const { files: [{ upload }] } = await alice.ask("POST", "/api/phase5/storage/uploads", { files: [file] });
  const progress = listening(doc(alice.db, upload.document));
  const room = listening(doc(alice.db, "quota", alice.uid));
  await progress.until((told) => told.state === "open" && told.received_bytes === 0);
  await room.until((told) => told.reserved_bytes === data.length && told.used_bytes === 0);

  const begun = await fetch(upload.start.url, { method: upload.start.method, headers: upload.start.headers });
  const session = begun.headers.get("Location");
  const half = data.length / 2;
  const part = { "Content-Range": `bytes 0-${half - 1}/${data.length}` };
  assert.equal((await fetch(session, { method: "PUT", headers: part, body: data.slice(0, half) })).status, 308);
  await alice.ask("POST", `/api/phase5/storage/uploads/${upload.upload_id}/progress`, { received_bytes: half });
  await progress.until((told) => told.received_bytes === half);
  const rest = { "Content-Range": `bytes ${half}-${data.length - 1}/${data.length}` };
  assert.equal((await fetch(session, { method: "PUT", headers: rest, body: data.slice(half) })).status, 200);
  const done = await progress.until((told) => told.state === "done");
  assert.deepEqual([done.received_bytes, done.version_number], [data.length, 1]);
  await room.until((told) => told.reserved_bytes === 0 && told.used_bytes === data.length);
  const saved = listening(doc(alice.db, "artifacts", alice.uid, "files", done.saved_file_id));
  assert.equal((await saved.until((told) => told)).name, "notes.txt");
  const stranger = listening(doc(bob.db, upload.document));
  await assert.rejects(stranger.until(() => true), { code: "permission-denied" });
  for (const each of [progress, room, saved, stranger]) each.stop();
});
