// What the official client does, wherever it runs: in Node over gRPC, with its browser build in Node, and in a real
// browser over WebChannel. Each case is registered by `test`, as node:test has it, and checks with `assert`, as
// node:assert/strict has it; `sdk` is the module firebase/firestore; `clients` gives two clients, `db` and `other`.
export function clientCases({ test: register, assert, sdk, clients }) {
  const {
    Bytes,
    GeoPoint,
    Timestamp,
    addDoc,
    and,
    arrayRemove,
    arrayUnion,
    average,
    collection,
    collectionGroup,
    count,
    deleteDoc,
    deleteField,
    disableNetwork,
    doc,
    enableNetwork,
    endBefore,
    getAggregateFromServer,
    getCountFromServer,
    getDoc,
    getDocFromCache,
    getDocFromServer,
    getDocs,
    getDocsFromServer,
    increment,
    limit,
    limitToLast,
    onSnapshot,
    or,
    orderBy,
    query,
    runTransaction,
    serverTimestamp,
    setDoc,
    startAfter,
    sum,
    updateDoc,
    vector,
    waitForPendingWrites,
    where,
    writeBatch,
  } = sdk;
  let db, other;
  let names = 0;
  const run = Math.random().toString(36).slice(2);
  const fresh = () => `things-${run}-${++names}`;
  const test = (name, work) =>
    register(name, async () => {
      ({ db, other } = clients());
      await work();
    });

  // Snapshots as they arrive, to be awaited one by one.
  function snapshotsOf(target, options = {}) {
    const arrived = [];
    const waiting = [];
    const stop = onSnapshot(
      target,
      options,
      (snapshot) => (waiting.length ? waiting.shift().resolve(snapshot) : arrived.push(snapshot)),
      (error) => waiting.forEach((waiter) => waiter.reject(error)),
    );
    const next = () =>
      arrived.length
        ? Promise.resolve(arrived.shift())
        : new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    const until = async (fits) => {
      for (;;) {
        const snapshot = await next();
        if (fits(snapshot)) return snapshot;
      }
    };
    return { next, until, stop };
  }

  test("every value type comes back as it was", async () => {
    const place = doc(db, fresh(), "a");
    const values = {
      n: null,
      b: true,
      i: Number.MAX_SAFE_INTEGER,
      d: -0.5,
      nan: NaN,
      s: "é\u{1F600}",
      t: new Timestamp(1600000000, 123456000),
      y: Bytes.fromUint8Array(new Uint8Array([0, 255])),
      g: new GeoPoint(1.5, -2),
      l: [1, { x: [2] }],
      m: { "odd.key": { "`": 1 } },
      v: vector([1, 2.5]),
    };
    await setDoc(place, { ...values, r: place });
    const { r, ...found } = (await getDocFromServer(place)).data();
    assert.deepEqual(found, values);
    assert.equal(r.path, place.path);
  });

  test("transforms, updates and batches", async () => {
    const place = doc(db, fresh(), "a");
    await setDoc(place, { n: 1, l: [1, 2], x: 1 });
    const batch = writeBatch(db);
    batch.update(place, { n: increment(2), l: arrayUnion(3), x: deleteField(), at: serverTimestamp(), "m.k": 1 });
    batch.update(place, { l: arrayRemove(1) });
    await batch.commit();
    const found = (await getDocFromServer(place)).data();
    assert.ok(found.at instanceof Timestamp);
    delete found.at;
    assert.deepEqual(found, { n: 3, l: [2, 3], m: { k: 1 } });
    await assert.rejects(updateDoc(doc(db, fresh(), "none"), { a: 1 }), { code: "not-found" });
  });

  test("queries, cursors, groups and aggregations", async () => {
    const things = collection(db, fresh());
    const batch = writeBatch(db);
    for (let n = 0; n < 20; n++) batch.set(doc(things, `d${n}`), { n, k: n % 2, tags: [n % 3, "all"] });
    await batch.commit();
    const numbers = async (...parts) => (await getDocsFromServer(query(things, ...parts))).docs.map((d) => d.get("n"));
    assert.deepEqual(await numbers(where("k", "==", 1), orderBy("n", "desc"), limit(3)), [19, 17, 15]);
    assert.deepEqual(await numbers(orderBy("n"), startAfter(3), endBefore(6)), [4, 5]);
    assert.deepEqual(await numbers(orderBy("n"), limitToLast(2)), [18, 19]);
    assert.deepEqual(await numbers(where("n", "in", [3, 5, 99]), where("n", "!=", 3)), [5]);
    assert.deepEqual(await numbers(where("tags", "array-contains-any", [2, "none"]), where("n", "<", 6)), [2, 5]);
    const both = query(things, or(where("n", "==", 1), and(where("k", "==", 0), where("n", ">", 16))), orderBy("n"));
    assert.deepEqual((await getDocsFromServer(both)).docs.map((d) => d.get("n")), [1, 18]);
    const counted = await getAggregateFromServer(query(things, where("n", ">=", 10)), {
      c: count(),
      s: sum("n"),
      a: average("n"),
    });
    assert.deepEqual(counted.data(), { c: 10, s: 145, a: 14.5 });
    const name = fresh();
    await setDoc(doc(db, "x", "1", name, "a"), {});
    await setDoc(doc(db, "y", "2", "z", "3", name, "b"), {});
    assert.equal((await getCountFromServer(collectionGroup(db, name))).data().count, 2);
  });

  test("a listener sees its own writes at once, others' soon, and each state once", async () => {
    const things = collection(db, fresh());
    const seen = snapshotsOf(query(things, orderBy("n"), limit(2)), { includeMetadataChanges: true });
    assert.equal((await seen.until((s) => !s.metadata.fromCache)).size, 0);
    const written = addDoc(things, { n: 5, at: serverTimestamp() });
    const early = await seen.next();
    assert.ok(early.metadata.hasPendingWrites);
    assert.equal(early.docs[0].get("at"), null);
    await written;
    const settled = await seen.until((s) => !s.metadata.hasPendingWrites);
    assert.ok(settled.docs[0].get("at") instanceof Timestamp);
    await setDoc(doc(other, things.path, "second"), { n: 1 });
    const grown = await seen.until((s) => s.size === 2 && !s.metadata.fromCache);
    assert.deepEqual(grown.docs.map((d) => d.get("n")), [1, 5]);
    await setDoc(doc(other, things.path, "third"), { n: 2 });
    const moved = await seen.until((s) => s.docs.some((d) => d.id === "third") && !s.metadata.fromCache);
    assert.deepEqual(moved.docs.map((d) => d.get("n")), [1, 2]);
    await deleteDoc(doc(other, things.path, "second"));
    const back = await seen.until((s) => s.docs[0].id === "third" && s.size === 2 && !s.metadata.fromCache);
    assert.deepEqual(back.docs.map((d) => d.get("n")), [2, 5]);
    seen.stop();
  });

  test("a document that does not exist, comes to be, and goes", async () => {
    const place = doc(db, fresh(), "a");
    const seen = snapshotsOf(place);
    assert.equal((await seen.next()).exists(), false);
    await setDoc(doc(other, place.path), { n: 1 });
    assert.equal((await seen.until((s) => s.exists())).get("n"), 1);
    await deleteDoc(doc(other, place.path));
    assert.equal((await seen.until((s) => !s.exists())).exists(), false);
    seen.stop();
  });

  test("what changed while the network was away arrives when it is back, and nothing lost shows", async () => {
    const things = collection(db, fresh());
    for (const id of ["a", "b", "c"]) await setDoc(doc(things, id), { n: 1 });
    const seen = snapshotsOf(things, { includeMetadataChanges: true });
    await seen.until((s) => s.size === 3 && !s.metadata.fromCache);
    await disableNetwork(db);
    const offline = setDoc(doc(things, "mine"), { n: 2 });
    await deleteDoc(doc(other, things.path, "a"));
    await setDoc(doc(other, things.path, "d"), { n: 3 });
    assert.ok((await getDocFromCache(doc(things, "a"))).exists());
    await enableNetwork(db);
    await offline;
    await waitForPendingWrites(db);
    const now = await seen.until((s) => !s.metadata.fromCache && !s.metadata.hasPendingWrites && s.size === 4);
    assert.deepEqual(now.docs.map((d) => d.id).sort(), ["b", "c", "d", "mine"]);
    seen.stop();
  });

  test("transactions of two clients lose no update", async () => {
    const path = `${fresh()}/counter`;
    await setDoc(doc(db, path), { n: 0 });
    const bump = (from) =>
      runTransaction(
        from,
        async (transaction) => {
          const found = await transaction.get(doc(from, path));
          transaction.update(doc(from, path), { n: found.get("n") + 1 });
        },
        { maxAttempts: 30 },
      );
    await Promise.all([...Array(8)].map((_, n) => bump(n % 2 ? db : other)));
    assert.equal((await getDocFromServer(doc(db, path))).get("n"), 8);
  });

  test("a transaction that reads what it does not write is kept whole", async () => {
    const things = collection(db, fresh());
    const [read, missing, written] = ["read", "missing", "written"].map((id) => doc(things, id));
    await setDoc(read, { n: 1 });
    let attempts = 0;
    const sum = (meanwhile) =>
      runTransaction(db, async (transaction) => {
        attempts++;
        const found = await transaction.get(read);
        const none = await transaction.get(missing);
        if (attempts === 1) await meanwhile?.();
        transaction.set(written, { n: found.get("n"), alone: !none.exists() });
      });
    await sum();
    assert.equal(attempts, 1);
    assert.deepEqual((await getDocFromServer(written)).data(), { n: 1, alone: true });
    attempts = 0;
    await sum(() => setDoc(doc(other, read.path), { n: 2 }));
    assert.equal(attempts, 2);
    assert.deepEqual((await getDocFromServer(written)).data(), { n: 2, alone: true });
    attempts = 0;
    await sum(() => setDoc(doc(other, missing.path), {}));
    assert.equal(attempts, 2);
    assert.deepEqual((await getDocFromServer(written)).data(), { n: 2, alone: false });
    attempts = 0;
    await runTransaction(db, (transaction) => transaction.get(read));
    assert.equal((await getDocFromServer(read)).get("n"), 2);
  });

  test("many listeners on one stream each keep their own view", async () => {
    const things = collection(db, fresh());
    const views = [...Array(25)].map((_, n) => snapshotsOf(query(things, where("n", ">=", n), orderBy("n"))));
    await Promise.all(views.map((view) => view.next()));
    const batch = writeBatch(other);
    for (let n = 0; n < 25; n++) batch.set(doc(other, things.path, `d${n}`), { n });
    await batch.commit();
    const sizes = await Promise.all(views.map((view, n) => view.until((s) => s.size === 25 - n)));
    assert.equal(sizes.length, 25);
    views.forEach((view) => view.stop());
  });

  test("getDocs and getDoc from the cache-aware client", async () => {
    const things = collection(other, fresh());
    await setDoc(doc(things, "a"), { n: 1 });
    assert.equal((await getDocs(things)).size, 1);
    assert.equal((await getDoc(doc(things, "a"))).get("n"), 1);
  });

  test("a client with the LRU cache still has offline what no listener holds", async () => {
    const path = `${fresh()}/a`;
    await setDoc(doc(db, path), { n: 1 });
    await getDocFromServer(doc(other, path));
    await disableNetwork(other);
    try {
      assert.equal((await getDocFromCache(doc(other, path))).get("n"), 1);
      assert.equal((await getDoc(doc(other, path))).metadata.fromCache, true);
    } finally {
      await enableNetwork(other);
    }
  });
}
