// The offline-first content app that the contract was made from, call by call: its sync engine over eight collections, its
// local metadata and its queue of media, with the official JavaScript SDK in place of the Dart one. Run by
// tests/functions/clients/test_apps_of_old.py.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { collection, doc, getDoc, onSnapshot, runTransaction, setDoc } from "firebase/firestore";
import { deleteObject, getBytes, ref, uploadBytes } from "firebase/storage";

import { connected, disconnected, until, WEBP } from "./clients_of_old.mjs";

const COLLECTIONS = ["campaigns", "adventures", "chapters", "scenes", "encounters", "entities", "sessions", "mediaAssets"];
let ana, bob;

before(async () => {
  ana = await connected("ana");
  bob = await connected("bob");
});
after(disconnected);

// Local tables, one table of metadata for all of them, and what a DAO does.
class LocalDatabase {
  docs = new Map();
  metas = new Map();

  getById(name, id) {
    return this.docs.get(`${name}/${id}`) ?? null;
  }

  upsert(name, { id, ...fields }, { markDirty = false } = {}) {
    this.docs.set(`${name}/${id}`, { id, ...fields });
    if (markDirty) this.metas.set(`${name}/${id}`, { ...this.metas.get(`${name}/${id}`), dirty: true });
  }

  setClean(name, id, rev) {
    if (rev != null) this.docs.set(`${name}/${id}`, { ...this.getById(name, id), rev });
    this.metas.set(`${name}/${id}`, { ...this.metas.get(`${name}/${id}`), dirty: false, lastSyncedAt: Date.now() });
  }

  isDirty(name, id) {
    return this.metas.get(`${name}/${id}`)?.dirty ?? false;
  }
}

class GenericSyncEngine {
  configs = new Map();
  stops = [];

  constructor(database, firestore) {
    Object.assign(this, { database, firestore });
  }

  registerCollection(config) {
    this.configs.set(config.collectionName, config);
  }

  // What comes from others is taken, unless it was changed here: then the next push merges both.
  start(ids) {
    for (const [name, config] of this.configs) {
      this.stops.push(onSnapshot(doc(collection(this.firestore, name), ids[name]), (found) => {
        if (!found.exists() || config.isDirty(this.database, found.id)) return;
        config.upsert(this.database, { id: found.id, ...found.data() });
      }));
    }
  }

  stop() {
    for (const stop of this.stops) stop();
  }

  // One operation at a time, by compare-and-set.
  async push(name, id) {
    const config = this.configs.get(name);
    const rev = await runTransaction(this.firestore, async (transaction) => {
      const target = doc(this.firestore, name, id);
      const remote = (await transaction.get(target)).data();
      const { id: _, ...local } = config.getById(this.database, id);
      if (!("rev" in local)) return transaction.set(target, local) && null;
      const isNext = remote === undefined || config.getRevFromDoc(remote) === config.getRevFromDoc(local);
      const merged = isNext ? local : config.mergeConflict(remote, local);
      const next = remote === undefined ? 0 : config.getRevFromDoc(remote) + 1;
      transaction.set(target, { ...merged, rev: next });
      config.upsert(this.database, { id, ...merged });
      return next;
    });
    config.setClean(this.database, id, rev);
  }
}

function engineOf({ store }) {
  const database = new LocalDatabase();
  const engine = new GenericSyncEngine(database, store);
  for (const collectionName of COLLECTIONS) {
    engine.registerCollection({
      collectionName,
      getById: (local, id) => local.getById(collectionName, id),
      upsert: (local, fields, options) => local.upsert(collectionName, fields, options),
      setClean: (local, id, rev) => local.setClean(collectionName, id, rev),
      isDirty: (local, id) => local.isDirty(collectionName, id),
      getRevFromDoc: (fields) => fields?.rev,
      mergeConflict: (remote, local) => ({ ...remote, ...local }),
    });
  }
  return engine;
}

class StorageSyncService {
  queue = [];
  cached = new Map();

  constructor(files) {
    this.files = files;
  }

  enqueueUpload(entry) {
    this.queue.push({ priority: 0, ...entry, kind: "upload" });
  }

  enqueueDownload(entry) {
    this.queue.push({ priority: 0, ...entry, kind: "download" });
  }

  // One at a time, the most urgent first.
  async process() {
    this.queue.sort((one, other) => other.priority - one.priority);
    while (this.queue.length) {
      const { kind, assetId, storagePath, mimeType, data, metadata } = this.queue.shift();
      const target = ref(this.files, storagePath);
      if (kind === "upload") await uploadBytes(target, data, { contentType: mimeType, ...metadata });
      else this.cached.set(assetId, new Uint8Array(await getBytes(target)));
    }
  }
}

function contents(uid) {
  const id = Object.fromEntries(COLLECTIONS.map((name) => [name, `${name}-${crypto.randomUUID()}`]));
  const linked = { campaignId: id.campaigns, rev: 0 };
  const fields = {
    campaigns: { name: "a campaign", rev: 0 },
    adventures: { name: "an adventure", order: 0, ...linked },
    chapters: { name: "a chapter", adventureId: id.adventures, order: 0, ...linked },
    scenes: { name: "a scene", chapterId: id.chapters, order: 0, ...linked },
    encounters: { name: "a fight", ...linked },
    entities: { kind: "monster", name: "a dragon", ...linked },
    sessions: { campaignId: id.campaigns, log: "we met", ownerId: uid },
    mediaAssets: { filename: "map.webp", size: WEBP.length, mime: "image/webp", rev: 0 },
  };
  return { id, fields };
}

test("eight collections are made offline, pushed, seen by others, changed by both and merged", async () => {
  const { id, fields } = contents(ana.uid);
  const [here, there] = [engineOf(ana), engineOf(bob)];
  for (const name of COLLECTIONS) {
    here.database.upsert(name, { id: id[name], ...fields[name] }, { markDirty: true });
    assert.equal(here.database.isDirty(name, id[name]), true);
    await here.push(name, id[name]);
    assert.equal(here.database.isDirty(name, id[name]), false);
  }
  there.start(id);
  const arrived = async (met) => {
    while (!met()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await arrived(() => COLLECTIONS.every((name) => there.database.getById(name, id[name])));
  assert.equal(there.database.getById("entities", id.entities).name, "a dragon");
  there.database.upsert("scenes", { ...there.database.getById("scenes", id.scenes), light: "dusk" }, { markDirty: true });
  here.database.upsert("scenes", { ...here.database.getById("scenes", id.scenes), name: "a better scene" }, { markDirty: true });
  await here.push("scenes", id.scenes);
  await there.push("scenes", id.scenes);
  const { rev, light } = (await getDoc(doc(ana.store, "scenes", id.scenes))).data();
  assert.deepEqual([rev, light], [2, "dusk"]);
  there.stop();
});

test("media goes up and comes down, and what has to change is refused as docs/contract.md says it", async () => {
  const { id, fields } = contents(ana.uid);
  const own = { customMetadata: { owner: ana.uid } };
  const [here, there] = [new StorageSyncService(ana.files), new StorageSyncService(bob.files)];
  const path = `media/${id.mediaAssets}/map.webp`;
  const upload = { assetId: id.mediaAssets, storagePath: path, mimeType: "image/webp", data: WEBP };
  here.enqueueUpload(upload);
  await here.process();
  await setDoc(doc(ana.store, "mediaAssets", id.mediaAssets), fields.mediaAssets);
  await until(doc(bob.store, "mediaAssets", id.mediaAssets), (found) => found.exists());
  there.enqueueDownload({ assetId: "prefetched", storagePath: path, priority: 0 });
  there.enqueueDownload({ assetId: id.mediaAssets, storagePath: path, priority: 10 });
  await there.process();
  assert.deepEqual([...there.cached.keys()], [id.mediaAssets, "prefetched"]);
  assert.deepEqual(there.cached.get(id.mediaAssets), WEBP);
  there.enqueueDownload({ assetId: "flat", storagePath: "media/map.webp" });
  await assert.rejects(there.process(), { code: "storage/object-not-found" });

  const drawn = Uint8Array.of(...WEBP.slice(0, -1), 7);
  here.enqueueUpload(upload);
  await here.process();
  here.enqueueUpload({ ...upload, data: drawn });
  await assert.rejects(here.process(), { code: "storage/unauthorized" });
  await assert.rejects(deleteObject(ref(ana.files, path)), { code: "storage/unauthorized" });
  const owned = `media/${id.mediaAssets}/owned.webp`;
  for (const data of [WEBP, drawn]) {
    here.enqueueUpload({ ...upload, storagePath: owned, data, metadata: own });
    await here.process();
  }
  await assert.rejects(deleteObject(ref(bob.files, owned)), { code: "storage/unauthorized" });
  await deleteObject(ref(ana.files, owned));

  const { ownerId, ...session } = fields.sessions;
  await assert.rejects(setDoc(doc(ana.store, "sessions", id.sessions), session), { code: "permission-denied" });
  await setDoc(doc(ana.store, "sessions", id.sessions), { ...session, ownerId });
  await assert.rejects(setDoc(doc(bob.store, "sessions", id.sessions), { ...session, ownerId }), { code: "permission-denied" });
});
