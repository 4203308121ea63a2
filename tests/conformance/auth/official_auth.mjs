// The official Auth emulator alone, on a free port that it prints: node official_auth.mjs NODE_MODULES PROJECT [PORT]
import { createRequire } from "node:module";

const [modules, project, port] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { createApp } = require("firebase-tools/lib/emulator/auth/server.js");
const server = (await createApp(project)).listen(Number(port ?? 0), "127.0.0.1", () => {
  console.log(server.address().port);
});
process.stdin.resume().on("end", () => process.exit());  // ends with whoever started it
