// Resolves what the functions declare the way `firebase deploy` does before it asks Google for anything:
// node firebase_resolve.mjs NODE_MODULES MANIFEST PARAMETERS, both JSON files. Prints the functions as they would be sent.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, manifest, parameters] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const discovery = require("firebase-tools/lib/deploy/functions/runtimes/discovery/v1alpha1.js");
const build = require("firebase-tools/lib/deploy/functions/build.js");
const { ParamValue } = require("firebase-tools/lib/deploy/functions/params.js");
const { functionFromEndpoint } = require("firebase-tools/lib/gcp/cloudfunctionsv2.js");

const declared = JSON.parse(readFileSync(manifest, "utf8"));
const wanted = discovery.buildFromV1Alpha1(declared, "demo-resolve", "us-central1", "python311");
const values = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync(parameters, "utf8"))).map(([name, value]) => [
    name,
    // The CLI reads them from files, where everything is text that may be any of the three.
    new ParamValue(value, false, { string: true, boolean: true, number: true }),
  ]),
);
const backend = build.toBackend(wanted, values);
const functions = {};
for (const region of Object.values(backend.endpoints)) {
  for (const endpoint of Object.values(region)) {
    functions[endpoint.id] = functionFromEndpoint({ ...endpoint, codebase: "default" });
  }
}
console.log(JSON.stringify(functions));
