// Answers which paths the globs of the Firebase CLI cover: node hosting_globs.mjs NODE_MODULES < [[glob, path], …]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const hosting = createRequire(createRequire(`${process.argv[2]}/`).resolve("superstatic"));
const found = hosting("minimatch");
const minimatch = found.minimatch ?? found;
const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map(([glob, path]) => minimatch(path, glob))));
