// Compares firebase.json with the schema that the Firebase CLI ships: node firebase_schema.mjs NODE_MODULES FILE…
// Prints what does not fit, one JSON line each; says nothing where all fits.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, ...files] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const Ajv = require("ajv").default;
const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
require("ajv-formats").default(ajv);
const fits = ajv.compile(JSON.parse(readFileSync(`${modules}/firebase-tools/schema/firebase-config.json`, "utf8")));
for (const file of files) {
  if (!fits(JSON.parse(readFileSync(file, "utf8")))) {
    for (const { instancePath, message } of fits.errors) console.log(JSON.stringify({ file, instancePath, message }));
  }
}
