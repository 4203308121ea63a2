// Serves a site as `firebase emulators:start` does: node hosting_site.mjs NODE_MODULES FOLDER < the site's settings
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, folder] = process.argv.slice(2);
const { server } = createRequire(`${modules}/`)("superstatic");
const named = (rewrite) => Promise.resolve((request, response) => {
  response.statusCode = 200;
  response.end(`function ${rewrite.function.functionId ?? rewrite.function}`);
});
const listening = server({
  port: 0, hostname: "127.0.0.1", config: JSON.parse(readFileSync(0, "utf8")), cwd: folder, stack: "strict",
  rewriters: { function: named },
}).listen();
listening.on("listening", () => console.log(listening.address().port));
