// Prints what the installed JavaScript SDKs offer: by package and class, the names that a program can call.
import { createRequire } from "node:module";

const require = createRequire(new URL("../node/package.json", import.meta.url));

const CLIENT = ["ai", "analytics", "app", "app-check", "auth", "data-connect", "database", "firestore", "firestore/lite",
  "functions", "installations", "messaging", "performance", "remote-config", "storage"];
const ADMIN = {
  "app": [],
  "app-check": ["AppCheck"],
  "auth": ["Auth", "TenantAwareAuth", "TenantManager", "ProjectConfigManager"],
  "data-connect": ["DataConnect"],
  "database": [],
  "eventarc": ["Eventarc", "Channel"],
  "extensions": ["Extensions"],
  "firestore": [],
  "functions": ["Functions", "TaskQueue"],
  "installations": ["Installations"],
  "instance-id": ["InstanceId"],
  "machine-learning": ["MachineLearning"],
  "messaging": ["Messaging"],
  "project-management": ["ProjectManagement"],
  "remote-config": ["RemoteConfig"],
  "security-rules": ["SecurityRules"],
  "storage": ["Storage"],
};

const isName = (name) => !/^_|_$|^[A-Z_\d]+$/.test(name);

function methods(made) {
  const found = new Set();
  for (let proto = made.prototype; proto && proto !== Object.prototype && proto.constructor.name !== "EventEmitter";
    proto = Object.getPrototypeOf(proto)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      if (name !== "constructor" && isName(name) && typeof value === "function") found.add(name);
    }
  }
  return [...found].sort();
}

// Names of paths are put together and taken apart without a request.
const asks = (name) => !/Path$|^match[A-Z]\w+From|^(checkForIncremental|initialize$)/.test(name);
// Classes are what functions answer with, but for those that make credentials.
const isCall = (name) => /^[a-z]|(Provider|Generator|Verifier)$/.test(name);
const functionsOf = (module) =>
  Object.keys(module).filter((name) => isName(name) && isCall(name) && typeof module[name] === "function").sort();

const found = {};
for (const name of CLIENT) found[`firebase/${name}`] = functionsOf(require(`firebase/${name}`));
for (const [name, classes] of Object.entries(ADMIN)) {
  const module = require(`firebase-admin/${name}`);
  const offered = functionsOf(module);
  found[`firebase-admin/${name}`] = offered.filter((each) => /^[a-z]/.test(each));
  for (const each of classes) found[`firebase-admin/${name} ${each}`] = module[each] ? methods(module[each]) : ["missing"];
}
const pubsub = require("@google-cloud/pubsub");
for (const name of ["PubSub", "Topic", "Subscription", "Snapshot", "Schema", "IAM", "Message"]) {
  found[`@google-cloud/pubsub ${name}`] = methods(pubsub[name]).filter(asks);
}
for (const [name, made] of Object.entries(pubsub.v1)) {
  if (made.prototype) found[`@google-cloud/pubsub v1.${name}`] = methods(made).filter(asks);
}
const tasks = require("@google-cloud/tasks");
found["@google-cloud/tasks CloudTasksClient"] = methods(tasks.v2.CloudTasksClient).filter(asks);
process.stdout.write(JSON.stringify(found));
process.exit(0);
