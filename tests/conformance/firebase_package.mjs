// Packs the functions as a deploy would upload them: node firebase_package.mjs NODE_MODULES PROJECT_FOLDER ARCHIVE
import { copyFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, project, archive] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { prepareFunctionsUpload } = require("firebase-tools/lib/deploy/functions/prepareFunctionsUpload.js");
const [codebase] = JSON.parse(readFileSync(join(project, "firebase.json"), "utf8")).functions;
const packed = await prepareFunctionsUpload(project, join(project, codebase.source), codebase, []);
copyFileSync(packed.pathToSource, archive);
