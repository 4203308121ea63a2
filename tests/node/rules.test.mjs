// @firebase/rules-unit-testing as it comes from npm, against the suite. Run by
// tests/emulator/rules_testing/test_javascript_library.py, which starts the suite and names its hub.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { assertFails, assertSucceeds, initializeTestEnvironment, withFunctionTriggersDisabled } from "@firebase/rules-unit-testing";
import firebase from "firebase/compat/app";

const projectId = process.env.GCLOUD_PROJECT;
assert.ok(projectId && process.env.FIREBASE_EMULATOR_HUB, "start the suite first: its `exec` names project and hub");

const FIRESTORE_RULES = `
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /notes/{note} {
      allow get: if resource.data.owner == request.auth.uid || resource.data.public == true;
      allow list: if request.auth != null && resource.data.owner == request.auth.uid;
      allow create: if request.auth != null && request.resource.data.owner == request.auth.uid
                    && request.resource.data.text.size() < 100;
      allow update: if resource.data.owner == request.auth.uid;
      allow delete: if request.auth.token.admin == true;
    }
    match /profiles/{uid} {
      allow read: if request.auth != null;
      allow write: if request.auth.uid == uid
                   && existsAfter(/databases/$(database)/documents/names/$(request.resource.data.name));
    }
    match /names/{name} {
      allow write: if getAfter(/databases/$(database)/documents/profiles/$(request.auth.uid)).data.name == name;
    }
  }
}`;
const STORAGE_RULES = `
rules_version = '2';
service firebase.storage {
  match /b/{bucket}/o {
    match /users/{uid}/{file} {
      allow read: if request.auth != null && request.auth.uid == uid;
      allow create: if request.auth.uid == uid && request.resource.size < 64
                    && request.resource.contentType.matches('text/.*');
      allow update: if request.auth.uid == uid && request.resource.metadata.mood != 'bad';
      allow delete: if request.auth.token.admin == true;
    }
    match /shared/{file} {
      allow read: if firestore.get(/databases/(default)/documents/notes/$(file)).data.public == true;
    }
  }
}`;

let environment, alice, bob, nobody, admin;

before(async () => {
  environment = await initializeTestEnvironment({
    projectId,
    firestore: { rules: FIRESTORE_RULES },
    storage: { rules: STORAGE_RULES },
  });
  alice = environment.authenticatedContext("alice", { email: "alice@example.com" });
  bob = environment.authenticatedContext("bob");
  admin = environment.authenticatedContext("root", { admin: true });
  nobody = environment.unauthenticatedContext();
});

beforeEach(async () => {
  await environment.clearFirestore();
  await environment.withSecurityRulesDisabled(async (context) => {
    await context.firestore().doc("notes/a").set({ owner: "alice", text: "hello" });
    await context.firestore().doc("notes/b").set({ owner: "bob", text: "open", public: true });
  });
});

after(() => environment?.cleanup());

const text = (content) => [content, "raw", { contentType: "text/plain" }];

test("documents are read by whom the rules say", async () => {
  const found = await assertSucceeds(alice.firestore().doc("notes/a").get());
  assert.equal(found.data().text, "hello");
  await assertSucceeds(nobody.firestore().doc("notes/b").get());
  await assertFails(bob.firestore().doc("notes/a").get());
  await assertFails(nobody.firestore().doc("notes/a").get());
  await assertFails(alice.firestore().doc("elsewhere/a").get());
});

test("assertFails is not pleased by an allowed request, nor assertSucceeds by a denied one", async () => {
  await assert.rejects(assertFails(alice.firestore().doc("notes/a").get()), /Expected request to fail/);
  await assert.rejects(assertSucceeds(bob.firestore().doc("notes/a").get()), { code: "permission-denied" });
});

test("queries prove themselves by their filters", async () => {
  const notes = (context) => context.firestore().collection("notes");
  const mine = await assertSucceeds(notes(alice).where("owner", "==", "alice").get());
  assert.deepEqual(mine.docs.map((note) => note.id), ["a"]);
  await assertFails(notes(alice).get());
  await assertFails(notes(alice).where("owner", "==", "bob").get());
  await assertFails(notes(nobody).where("owner", "==", "alice").get());
});

test("creating, changing and deleting are judged by both states and by claims", async () => {
  const note = (context, name) => context.firestore().doc(`notes/${name}`);
  await assertSucceeds(note(alice, "new").set({ owner: "alice", text: "x" }));
  await assertFails(note(alice, "other").set({ owner: "bob", text: "x" }));
  await assertFails(note(alice, "long").set({ owner: "alice", text: "x".repeat(100) }));
  await assertSucceeds(note(alice, "a").update({ text: "changed" }));
  await assertFails(note(bob, "a").update({ text: "stolen" }));
  await assertFails(note(alice, "a").delete());
  await assertSucceeds(note(admin, "a").delete());
});

test("a batch and a transaction are judged as one commit", async () => {
  const store = alice.firestore();
  await assertFails(store.doc("profiles/alice").set({ name: "wonder" }));
  const batch = store.batch();
  batch.set(store.doc("profiles/alice"), { name: "wonder" });
  batch.set(store.doc("names/wonder"), { uid: "alice" });
  await assertSucceeds(batch.commit());
  await assertSucceeds(
    store.runTransaction(async (transaction) => {
      const profile = await transaction.get(store.doc("profiles/alice"));
      transaction.set(store.doc(`names/${profile.data().name}2`), { uid: "alice" });
      transaction.update(profile.ref, { name: `${profile.data().name}2` });
    }),
  );
  const broken = store.batch();
  broken.set(store.doc("notes/fine"), { owner: "alice", text: "x" });
  broken.set(store.doc("notes/wrong"), { owner: "bob", text: "x" });
  await assertFails(broken.commit());
  await environment.withSecurityRulesDisabled(async (context) => {
    assert.equal((await context.firestore().doc("notes/fine").get()).exists, false);
  });
});

test("listeners hear what they may, and are told when they may not", async () => {
  const first = (query) =>
    new Promise((resolve, reject) => {
      // The SDK shows what it has kept from earlier tests first; the server's answer is what counts here.
      const show = (snapshot) => snapshot.metadata.fromCache || (stop(), resolve(snapshot));
      const stop = query.onSnapshot({ includeMetadataChanges: true }, show, reject);
    });
  const notes = (context) => context.firestore().collection("notes").where("owner", "==", "alice");
  assert.equal((await assertSucceeds(first(notes(alice)))).size, 1);
  await assertFails(first(notes(bob)));
});

test("a listener that new rules deny ends with permission-denied", async () => {
  let arrived;
  const shown = new Promise((resolve) => (arrived = resolve));
  const ended = new Promise((resolve) => {
    alice.firestore().collection("notes").where("owner", "==", "alice").onSnapshot(arrived, resolve);
  });
  await shown;
  const closed = "service cloud.firestore { match /databases/{d}/documents { match /{all=**} { allow read: if false; } } }";
  try {
    await initializeTestEnvironment({ projectId, firestore: { rules: closed } });
    assert.equal((await ended).code, "permission-denied");
  } finally {
    await initializeTestEnvironment({ projectId, firestore: { rules: FIRESTORE_RULES } });
  }
});

test("clearFirestore leaves nothing", async () => {
  await environment.clearFirestore();
  await environment.withSecurityRulesDisabled(async (context) => {
    assert.equal((await context.firestore().collection("notes").get()).size, 0);
  });
});

test("files are read, written, listed and deleted by whom the rules say", async () => {
  const file = (context, path = "users/alice/a.txt") => context.storage().ref(path);
  await assertSucceeds(file(alice).putString(...text("hi")).then());
  await assertFails(file(bob, "users/alice/b.txt").putString(...text("hi")).then());
  await assertFails(file(nobody, "users/alice/b.txt").putString(...text("hi")).then());
  await assertFails(file(alice, "users/alice/b.txt").putString(...text("x".repeat(64))).then());
  await assertFails(file(alice, "users/alice/b.png").putString("hi", "raw", { contentType: "image/png" }).then());
  assert.equal((await assertSucceeds(file(alice).getMetadata())).size, 2);
  await assertSucceeds(file(alice).getDownloadURL());
  await assertFails(file(bob).getMetadata());
  await assertFails(file(bob).getDownloadURL());
  await assertFails(file(bob, "users/alice").listAll());
  await assertSucceeds(file(alice).updateMetadata({ customMetadata: { mood: "good" } }));
  await assertFails(file(alice).updateMetadata({ customMetadata: { mood: "bad" } }));
  await assertFails(file(alice).delete());
  await assertSucceeds(file(admin).delete());
});

test("Storage rules look documents up", async () => {
  await environment.withSecurityRulesDisabled(async (context) => {
    await context.storage().ref("shared/a").putString(...text("closed")).then();
    await context.storage().ref("shared/b").putString(...text("open")).then();
  });
  await assertSucceeds(nobody.storage().ref("shared/b").getMetadata());
  await assertFails(nobody.storage().ref("shared/a").getMetadata());
});

test("clearStorage deletes what lies at the top of the bucket", async () => {
  const names = () =>
    new Promise((resolve, reject) =>
      environment
        .withSecurityRulesDisabled(async (context) => {
          resolve((await context.storage().ref().listAll()).items.map((item) => item.name));
        })
        .catch(reject),
    );
  await environment.withSecurityRulesDisabled(async (context) => {
    await context.storage().ref("one").putString(...text("1")).then();
    await context.storage().ref("two").putString(...text("2")).then();
  });
  assert.deepEqual(await names(), ["one", "two"]);
  await environment.clearStorage();
  assert.deepEqual(await names(), []);
});

test("coverage tells which expressions were evaluated, and to what", async () => {
  await assertSucceeds(nobody.firestore().doc("notes/b").get());
  const { host, port } = environment.emulators.firestore;
  const address = `http://${host}:${port}/emulator/v1/projects/${projectId}:ruleCoverage`;
  const coverage = await (await fetch(address)).json();
  assert.equal(coverage.rules.files[0].content, FIRESTORE_RULES);
  const evaluated = coverage.report.filter((part) => part.values?.some((seen) => seen.count > 0));
  assert.ok(evaluated.length > 0, "some expressions were evaluated");
  const page = await (await fetch(`${address}.html`)).text();
  assert.match(page, /<html|<!doctype html/i);
});

test("broken rules are refused with their place", async () => {
  await assert.rejects(
    initializeTestEnvironment({ projectId, firestore: { rules: "service cloud.firestore {\n  match /a {{\n}" } }),
    /"line":2/,
  );
  await assert.rejects(initializeTestEnvironment({ projectId, storage: { rules: "nonsense" } }), /error updating rules/);
  await assertSucceeds(alice.firestore().doc("notes/a").get());
});

test("functions' triggers can be switched off around seeding", async () => {
  assert.equal(await withFunctionTriggersDisabled(async () => 7), 7);
});

test("a context that was used with the rules off is of no use afterwards", async () => {
  let kept;
  await environment.withSecurityRulesDisabled(async (context) => (kept = context));
  assert.throws(() => kept.firestore(), /no longer valid/);
  assert.ok(firebase.SDK_VERSION);
});
