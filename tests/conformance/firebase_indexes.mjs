// Checks a firestore.indexes.json as a deploy would: node firebase_indexes.mjs NODE_MODULES FILE
// Prints the fields that the deploy would patch, as JSON; fails in the CLI's words where the file is not of its form.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, file] = process.argv.slice(2);
const { FirestoreApi } = createRequire(`${modules}/`)("firebase-tools/lib/firestore/api");
const api = new FirestoreApi();
const patched = [];
// What a deploy would ask the platform: nothing is there yet, and patches are noted.
api.getDatabase = async () => ({});
api.listIndexes = async () => [];
api.listFieldOverrides = async () => [];
api.apiClient = { patch: async (url, body, options) => void patched.push({ url, body, options }) };
const { indexes, fieldOverrides } = JSON.parse(readFileSync(file, "utf8"));
await api.deploy({ project: "demo-indexes", nonInteractive: true }, indexes, fieldOverrides);
process.stdout.write(`\n${JSON.stringify(patched)}\n`);
