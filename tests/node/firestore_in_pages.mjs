// What the tests of Firestore in a browser share; pages load it as /node/firestore_in_pages.mjs.
import { assert } from "./assert_in_pages.mjs";
import { clientCases } from "./firestore_client_cases.mjs";

// A client of the service at `port`, with a name of its own where a page has several.
export async function connected(port, projectId, { settings = {}, name = "[DEFAULT]", token } = {}) {
  const { initializeApp } = await import("firebase/app");
  const sdk = await import("firebase/firestore");
  const app = initializeApp({ projectId, apiKey: "x", appId: "1:2:web:3" }, name);
  const given = typeof settings === "function" ? settings(sdk) : settings;
  const db = sdk.initializeFirestore(app, given);
  sdk.connectFirestoreEmulator(db, "127.0.0.1", port, token === undefined ? {} : { mockUserToken: token });
  return { app, db, sdk };
}

// Snapshots as they arrive; `until` waits for one that fits.
export function watched(sdk, target, options = {}) {
  const arrived = [];
  let told = () => {};
  const hear = (seen) => {
    arrived.push(seen);
    told();
  };
  const stop = sdk.onSnapshot(target, options, (snapshot) => hear({ snapshot }), (error) => hear({ error }));
  const until = async (fits) => {
    for (;;) {
      while (arrived.length) {
        const { snapshot, error } = arrived.shift();
        if (error) throw error;
        if (fits(snapshot)) return snapshot;
      }
      await new Promise((resolve) => (told = resolve));
    }
  };
  return { until, stop };
}

// Every shared case in this page, and how it went.
export async function casesInThisPage(port, projectId, settings) {
  const { db, sdk } = await connected(port, projectId, { settings });
  const localCache = sdk.memoryLocalCache({ garbageCollector: sdk.memoryLruGarbageCollector() });
  const { db: other } = await connected(port, projectId, { settings: { ...settings, localCache }, name: "other" });
  const cases = [];
  clientCases({ test: (name, work) => cases.push([name, work]), assert, sdk, clients: () => ({ db, other }) });
  const outcomes = {};
  for (const [name, work] of cases) {
    outcomes[name] = await work().then(() => "passed", (error) => error.stack ?? String(error));
  }
  await Promise.all([sdk.terminate(db), sdk.terminate(other)]);
  return outcomes;
}
