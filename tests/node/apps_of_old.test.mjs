// The apps that the contract was made from, call by call and in their order, with the official JavaScript SDK in place of
// the Dart one: their own rules are gone, everything else is as they have it. Under `--import ./browser_build.mjs` the SDK
// connects as it does in React Native. Run by tests/functions/clients/test_apps_of_old.py.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
  collection, doc, getDoc, getDocs, increment, runTransaction, serverTimestamp, setDoc, updateDoc, writeBatch,
} from "firebase/firestore";
import {
  deleteObject, getBytes, getDownloadURL, getMetadata, listAll, ref, uploadBytes, uploadBytesResumable,
} from "firebase/storage";

import { bucket, connected, disconnected, until, WEBP } from "./clients_of_old.mjs";

let db, storage, userId, stranger;

// The books follow a busy user within a minute; here that minute's roll-up runs as soon as every event has been booked.
async function rollUp() {
  for (const path of ["settled", "schedules/ledger_roll_up:run"]) {
    const answer = await fetch(`http://${process.env.FIREBASE_EMULATOR_HUB}/control/${path}`, { method: "POST", body: "{}" });
    assert.equal(answer.status, 200, await answer.text());
  }
}

before(async () => {
  const own = await connected("own");
  ({ store: db, files: storage, uid: userId } = own);
  stranger = await connected("stranger");
});

after(disconnected);

class FirestoreAIService {
  constructor(firestore, uid) {
    this.outputs = collection(firestore, "ai_outputs", uid, "dialogues");
    this.firestore = firestore;
  }

  saveDialogue({ cardId, interactionId, text, personalityTraits, model, latencyMs, costUsd }) {
    return setDoc(doc(this.outputs, `${cardId}_${interactionId}`), {
      card_id: cardId,
      interaction_id: interactionId,
      text,
      generated_at: serverTimestamp(),
      model,
      model_version: { "gemini-2.5-flash": "2.5.20251001", "gemini-2.5-pro": "2.5.20251001" }[model] ?? "unknown",
      latency_ms: latencyMs,
      cost_usd: costUsd,
      personality_traits: personalityTraits,
      cached: true,
      cache_hit_count: 0,
      last_accessed: serverTimestamp(),
      version: 1,
    });
  }

  async getDialogue(cardId, interactionId) {
    const found = await getDoc(doc(this.outputs, `${cardId}_${interactionId}`));
    if (!found.exists()) return null;
    await updateDoc(found.ref, { cache_hit_count: increment(1), last_accessed: serverTimestamp() });
    return found.data();
  }

  async batchSaveDialogues(dialogues) {
    const batch = writeBatch(this.firestore);
    for (const { id, ...fields } of dialogues) batch.set(doc(this.outputs, id), fields);
    await batch.commit();
  }

  async getCostAnalytics() {
    const docs = (await getDocs(this.outputs)).docs.map((each) => each.data());
    const total = docs.reduce((sum, fields) => sum + fields.cost_usd, 0);
    return {
      total_generations: docs.length,
      total_cost_usd: total,
      cache_rate: docs.length ? docs.filter((fields) => fields.cached).length / docs.length : 0,
      avg_cost_per_generation: docs.length ? total / docs.length : 0,
    };
  }
}

class CloudStorageAIService {
  constructor(files, uid) {
    this.files = files;
    this.root = `users/${uid}/ai_generated`;
  }

  async uploadImage({ cardId, imageType, imageBytes }, onProgress = () => {}) {
    const path = `${this.root}/images/${cardId}_${imageType}.webp`;
    const task = uploadBytesResumable(ref(this.files, path), imageBytes, {
      contentType: "image/webp",
      customMetadata: { card_id: cardId, image_type: imageType, generated_at: new Date().toISOString() },
    });
    task.on("state_changed", (snapshot) => onProgress(snapshot.bytesTransferred / snapshot.totalBytes));
    await task;
    return path;
  }

  async downloadImage(path) {
    const url = await getDownloadURL(ref(this.files, path));
    return { url, data: new Uint8Array(await getBytes(ref(this.files, path))) };
  }

  async uploadVideo({ sceneId, videoBytes }) {
    const path = `${this.root}/videos/${sceneId}.mp4`;
    const customMetadata = { scene_id: sceneId, generated_at: new Date().toISOString() };
    await uploadBytes(ref(this.files, path), videoBytes, { contentType: "video/mp4", customMetadata });
    return path;
  }

  async uploadAudioStem({ stemId, stemType, audioBytes }) {
    const path = `${this.root}/audio/stems/${stemType}_${stemId}.opus`;
    const customMetadata = { stem_id: stemId, stem_type: stemType, generated_at: new Date().toISOString() };
    await uploadBytes(ref(this.files, path), audioBytes, { contentType: "audio/opus", customMetadata });
    return path;
  }

  delete(path) {
    return deleteObject(ref(this.files, path));
  }

  async getStorageUsage() {
    const { items } = await listAll(ref(this.files, this.root));
    let total = 0;
    for (const item of items) total += (await getMetadata(item)).size;
    return total;
  }

  async uploadIfNotExists(path, data, metadata) {
    try {
      await getMetadata(ref(this.files, path));
      return false;
    } catch (error) {
      if (error.code !== "storage/object-not-found") throw error;
      await uploadBytes(ref(this.files, path), data, metadata);
      return true;
    }
  }
}

async function retryWithBackoff({ operation, maxRetries = 3, initialDelay = 1000 }) {
  for (let attempt = 0; ; ) {
    try {
      return await operation();
    } catch (error) {
      attempt += 1;
      if (attempt >= maxRetries) throw error;
      await new Promise((resolve) => setTimeout(resolve, initialDelay * (1 << attempt)));
    }
  }
}

class AIOutputSyncService {
  constructor(services, second) {
    Object.assign(this, { services, second, queue: [], syncing: false, lost: [] });
  }

  queueForSync(task) {
    this.queue.push(task);
    this.processSyncQueue();
  }

  async processSyncQueue() {
    if (this.syncing || !this.queue.length) return;
    this.syncing = true;
    while (this.queue.length) {
      const task = this.queue.shift();
      try {
        await task.execute(this.services);
      } catch {
        if (task.retryCount < 3) {
          await new Promise((resolve) => setTimeout(resolve, this.second * (2 << task.retryCount)));
          this.requeue({ ...task, retryCount: task.retryCount + 1 });
        } else this.lost.push(task.id);
      }
    }
    this.syncing = false;
  }

  requeue(task) {
    this.queue.push(task);
  }

  async syncAll() {
    while (this.queue.length) await this.processSyncQueue();
  }

  get stats() {
    return { queueSize: this.queue.length, isSyncing: this.syncing };
  }
}

// With the lines that docs/contract.md says to change.
class MendedSyncService extends AIOutputSyncService {
  queueForSync(task) {
    this.queue = this.queue.filter((each) => each.id !== task.id);
    super.queueForSync(task);
  }

  requeue(task) {
    if (!this.queue.some((each) => each.id === task.id)) super.requeue(task);
  }

  processSyncQueue() {
    return (this.running ??= super.processSyncQueue().finally(() => (this.running = null)));
  }
}

const task = (id, execute) => ({ id, retryCount: 0, execute });
const idle = async (service) => {
  while (service.stats.queueSize || service.stats.isSyncing) await new Promise((resolve) => setTimeout(resolve, 5));
};

function dialogue(number) {
  return {
    cardId: "card", interactionId: `i${number}`, text: `line ${number}`, personalityTraits: { warmth: 0.5, wit: 0.25 },
    model: "gemini-2.5-flash", latencyMs: 480, costUsd: 0.125,
  };
}

test("dialogues are saved, read, saved in batches and added up", async () => {
  const service = new FirestoreAIService(db, userId);
  await service.saveDialogue(dialogue(1));
  assert.equal((await service.getDialogue("card", "i1")).text, "line 1");
  assert.equal(await service.getDialogue("card", "nothing"), null);
  await service.saveDialogue(dialogue(1));
  const one = (await service.getDialogue("card", "i1"));
  assert.deepEqual([one.cache_hit_count, one.model_version], [0, "2.5.20251001"]);
  const batch = Array.from({ length: 39 }, (_, number) => ({ id: `card_b${number}`, ...one, interaction_id: `b${number}` }));
  await service.batchSaveDialogues(batch);
  const counted = await service.getCostAnalytics();
  assert.deepEqual(counted, { total_generations: 40, total_cost_usd: 5, cache_rate: 1, avg_cost_per_generation: 0.125 });
  await rollUp();
  const books = await until(doc(db, "usage", userId), (found) => found.data()?.total_generations === 40);
  for (const [figure, value] of Object.entries(counted)) assert.equal(books[figure], value, figure);
  const hits = await until(doc(db, "usage", userId, "records", "dialogues~card_i1"), (found) => found.data()?.hits_booked === 2);
  assert.equal(hits.cost_source, "reported");
  await assert.rejects(new FirestoreAIService(stranger.store, userId).getCostAnalytics(), { code: "permission-denied" });
});

test("files are uploaded with progress, downloaded, deleted, and uploaded only where they are missing", async () => {
  const service = new CloudStorageAIService(storage, userId);
  const progress = [];
  const image = await service.uploadImage({ cardId: "card", imageType: "portrait", imageBytes: WEBP }, (share) => progress.push(share));
  assert.equal(progress.at(-1), 1);
  const { url, data } = await service.downloadImage(image);
  assert.deepEqual(data, WEBP);
  assert.equal((await fetch(url)).status, 200);
  const film = await service.uploadVideo({ sceneId: "scene", videoBytes: new TextEncoder().encode("\0\0\0\x18ftypisom\0\0\0\0isom") });
  const sound = await service.uploadAudioStem({ stemId: "1", stemType: "bass", audioBytes: new TextEncoder().encode("OggS") });
  assert.deepEqual([film, sound].map((path) => path.split("/").at(-1)), ["scene.mp4", "bass_1.opus"]);
  assert.equal(await service.uploadIfNotExists(image, WEBP), false);

  // What has to change, as docs/contract.md says it.
  const evolved = `users/${userId}/ai_generated/images/card_evolution.webp`;
  await assert.rejects(service.uploadIfNotExists(evolved, WEBP), { code: "storage/unauthorized" });
  assert.equal(await service.uploadIfNotExists(evolved, WEBP, { contentType: "image/webp" }), true);
  assert.equal(await service.getStorageUsage(), 0);
  const sizes = await Promise.all([image, film, sound, evolved].map(async (path) => (await getMetadata(ref(storage, path))).size));
  const used = (books) => Object.values(books.data()?.storage?.bytes ?? {}).reduce((sum, bytes) => sum + bytes, 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  await rollUp();
  await until(doc(db, "usage", userId), (books) => used(books) === total);

  const id = btoa(`${bucket}/${image}`).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const record = await until(doc(db, "users", userId, "objects", id), (found) => found.data()?.status === "ready");
  assert.deepEqual([record.output.card_id, record.output.image_type], ["card", "portrait"]);
  await service.delete(image);
  await until(doc(db, "users", userId, "objects", id), (found) => !found.exists());
  await rollUp();
  await until(doc(db, "usage", userId), (books) => used(books) === total - sizes[0]);
  await assert.rejects(service.downloadImage(image), { code: "storage/object-not-found" });
  await assert.rejects(new CloudStorageAIService(stranger.files, userId).downloadImage(film), { code: "storage/unauthorized" });
});

test("the retry helper makes as many attempts as it is told, and a save behind it is stored once", async () => {
  const service = new FirestoreAIService(db, userId);
  let attempts = 0;
  const operation = async () => {
    attempts += 1;
    if (attempts < 3) throw new Error("the network is away");
    await service.saveDialogue(dialogue("retried"));
  };
  await retryWithBackoff({ operation, initialDelay: 1 });
  assert.deepEqual([attempts, (await service.getDialogue("card", "iretried")).text], [3, "line retried"]);
  const refused = retryWithBackoff({ operation: () => new FirestoreAIService(db, stranger.uid).saveDialogue(dialogue(1)), initialDelay: 1 });
  await assert.rejects(refused, { code: "permission-denied" });
});

test("a phone asks a worker for pictures and sees them come", async () => {
  const fileUid = crypto.randomUUID();
  const seen = [];
  const generation = (store) => doc(store, "generations", userId, "files", fileUid);
  const completed = until(generation(db), (found) => {
    if (found.exists()) seen.push(found.data().status);
    return found.data()?.status === "completed";
  });
  const answer = await fetch(process.env.WORKER, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      input: { task_type: "text2img", prompt: "a city", num_images: 2, user_id: userId, file_uid: fileUid, use_cloud_storage: true },
    }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  const data = await completed;
  assert.deepEqual([...new Set(seen)], ["processing", "completed"]);
  const urls = data.generation_data.images || [data.generation_data.video_url];
  assert.deepEqual([urls.length, data.generation_data.image_url, data.user_id], [2, urls[0], userId]);
  for (const url of urls) assert.equal((await fetch(url)).headers.get("content-type"), "image/png");
  const id = btoa(`${bucket}/generating/${userId}/image/${fileUid}_0.png`).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  await until(doc(db, "users", userId, "objects", id), (found) => found.data()?.status === "ready");
  await until(doc(db, "usage", userId, "records", `files~${fileUid}`), (found) => found.exists());
  await assert.rejects(getDoc(generation(stranger.store)), { code: "permission-denied" });
});

test("ten transactions at once on one document each count once, and whoever was overtaken reads again", async () => {
  const scene = doc(db, "scenes", `scene-${crypto.randomUUID()}`);
  await setDoc(scene, { rev: 0, order: 0 });
  const refusals = new Set();
  const edit = async (store) => {
    for (;;) {
      try {
        return await runTransaction(store, async (transaction) => {
          const found = (await transaction.get(doc(store, scene.path))).data();
          transaction.update(doc(store, scene.path), { rev: found.rev + 1, order: found.order + 1 });
        });
      } catch (error) {
        refusals.add(error.code);
      }
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, number) => edit(number % 2 ? db : stranger.store)));
  assert.deepEqual((await getDoc(scene)).data(), { rev: 10, order: 10 });
  for (const code of refusals) assert.ok(["permission-denied", "failed-precondition", "aborted"].includes(code), code);
});

test("what is queued is synced, four kinds in their order, and given up after three retries", async () => {
  const services = { firestore: new FirestoreAIService(db, userId), storage: new CloudStorageAIService(storage, userId) };
  const service = new AIOutputSyncService(services, 1);
  const bytes = (text) => new TextEncoder().encode(text);
  service.queueForSync(task("line", ({ firestore }) => firestore.saveDialogue(dialogue("queued"))));
  service.queueForSync(task("image", ({ storage }) => storage.uploadImage({ cardId: "q", imageType: "action", imageBytes: WEBP })));
  service.queueForSync(task("film", ({ storage }) => storage.uploadVideo({ sceneId: "q", videoBytes: bytes("\0\0\0\x18ftypisom\0\0\0\0isom") })));
  service.queueForSync(task("stem", ({ storage }) => storage.uploadAudioStem({ stemId: "q", stemType: "bass", audioBytes: bytes("OggS") })));
  assert.deepEqual(service.stats, { queueSize: 3, isSyncing: true });
  await idle(service);
  const root = `users/${userId}/ai_generated`;
  for (const name of ["images/q_action.webp", "videos/q.mp4", "audio/stems/bass_q.opus"]) await getMetadata(ref(storage, `${root}/${name}`));
  assert.equal((await services.firestore.getDialogue("card", "iqueued")).text, "line queued");
  let attempts = 0;
  const refused = ({ firestore }) => (attempts += 1, new FirestoreAIService(db, stranger.uid)).saveDialogue(dialogue(1), firestore);
  service.queueForSync(task("not theirs", refused));
  await service.processSyncQueue();
  await idle(service);
  assert.deepEqual([attempts, service.lost], [4, ["not theirs"]]);
});

test("what the sync service of old gets wrong, and what it does with the lines that have to change", async () => {
  const texts = {};
  for (const Service of [AIOutputSyncService, MendedSyncService]) {
    const firestore = new FirestoreAIService(db, userId);
    const service = new Service({ firestore }, 20);
    const saved = (text) => firestore.saveDialogue({ ...dialogue(Service.name), text });
    let isAway = true;
    service.queueForSync(task("line", async () => {
      if (isAway) throw new Error((isAway = false, "the network is away"));
      await saved("older");
    }));
    service.queueForSync(task("line", () => saved("newer")));
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (Service === AIOutputSyncService) {
      // It comes back at once while others wait: `syncAll` would ask again for ever, and nothing else would be done.
      await service.processSyncQueue();
      assert.deepEqual(service.stats, { queueSize: 1, isSyncing: true });
    } else {
      await service.syncAll();
      assert.deepEqual(service.stats, { queueSize: 0, isSyncing: false });
    }
    await idle(service);
    texts[Service.name] = (await firestore.getDialogue("card", `i${Service.name}`)).text;
  }
  assert.deepEqual(texts, { AIOutputSyncService: "older", MendedSyncService: "newer" });
});
