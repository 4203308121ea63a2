// What an app sees that asks for a Realtime Database. Run by tests/emulator/hub/test_out_of_scope.py.
import assert from "node:assert/strict";
import { test } from "node:test";

import { initializeApp } from "firebase/app";
import { connectDatabaseEmulator, get, getDatabase, ref } from "firebase/database";

test("the first call is told whose scope it is, and the client asks no more", async () => {
  const [host, port] = process.env.FIREBASE_DATABASE_EMULATOR_HOST.split(":");
  const projectId = process.env.GCLOUD_PROJECT;
  const app = initializeApp({ projectId, apiKey: "x", databaseURL: `https://${projectId}-default-rtdb.firebaseio.com` });
  const database = getDatabase(app);
  connectDatabaseEmulator(database, host, Number(port));
  const told = new Promise((resolve) => (console.warn = (...words) => resolve(words.join(" "))));
  get(ref(database, "things")); // waits for a connection for ever, as the SDK's calls do
  assert.match(await told, /Realtime Database is out of the suite's scope/);
  process.exit(0);
});
