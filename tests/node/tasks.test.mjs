// firebase-admin and @google-cloud/tasks filling the queues of Python functions. Run by
// tests/emulator/tasks/test_functions.py, which starts a suite with the codebase `queues` and names it in the environment.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { CloudTasksClient } from "@google-cloud/tasks";
import { deleteApp, initializeApp } from "firebase-admin/app";
import { getFunctions } from "firebase-admin/functions";

// Credentials of another copy of grpc-js are refused, so they come from the client's own.
const ofClient = createRequire(createRequire(import.meta.url).resolve("@google-cloud/tasks"));
const { GrpcClient } = ofClient("google-gax");
const { PassThroughClient } = createRequire(ofClient.resolve("google-gax"))("google-auth-library");

const projectId = process.env.GCLOUD_PROJECT;
const tasksHost = process.env.CLOUD_TASKS_EMULATOR_HOST;
assert.ok(projectId && tasksHost, "start the suite first and name it in the environment");
const [host, port] = tasksHost.split(":");
const parent = `projects/${projectId}/locations/us-central1`;
const handler = `http://${process.env.FUNCTIONS_HOST}/${projectId}/us-central1/plain`;

let app, queue, clients;

before(() => {
  app = initializeApp({ projectId });
  queue = getFunctions(app).taskQueue("plain");
  const insecure = new GrpcClient().grpc.credentials.createInsecure();
  clients = {
    grpc: new CloudTasksClient({ servicePath: host, port: Number(port), sslCreds: insecure, projectId }),
    rest: new CloudTasksClient({
      servicePath: host,
      port: Number(port),
      fallback: "rest",
      protocol: "http",
      authClient: new PassThroughClient(),
      projectId,
    }),
  };
});

after(async () => {
  for (const client of Object.values(clients)) await client.close();
  await deleteApp(app);
});

async function control(path, body) {
  const answer = await fetch(`http://${process.env.HUB}/control/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
}

test("a task of the Admin SDK reaches its function", async () => {
  await queue.enqueue("by admin");
  await control("settled", {});
});

test("a name is taken once", async () => {
  const options = { id: "once", scheduleTime: new Date(Date.now() + 24 * 3600 * 1000) };
  await queue.enqueue("never", options);
  await assert.rejects(queue.enqueue("never", options), { code: "functions/task-already-exists" });
  await queue.delete("once");
  await queue.delete("once"); // the SDK ignores a task that is not there
});

test("a task waits for its time", async () => {
  await queue.enqueue("later", { scheduleDelaySeconds: 3600, dispatchDeadlineSeconds: 30 });
  await control("clock", { advance_seconds: 3600 });
  await control("settled", {});
});

test("a queue that is not there is told of", async () => {
  await assert.rejects(getFunctions(app).taskQueue("nobody").enqueue("x"), { code: "functions/not-found" });
});

for (const wire of ["grpc", "rest"]) {
  test(`@google-cloud/tasks over ${wire}`, async () => {
    const client = clients[wire];
    const name = `${parent}/queues/of-${wire}`;
    const [made] = await client.createQueue({ parent, queue: { name, rateLimits: { maxConcurrentDispatches: 2 } } });
    assert.equal(made.rateLimits.maxConcurrentDispatches, 2);
    const task = {
      name: `${name}/tasks/one`,
      httpRequest: {
        url: handler,
        httpMethod: "POST",
        headers: { "content-type": "application/json" },
        body: Buffer.from(JSON.stringify({ data: `by ${wire}` })).toString("base64"),
      },
    };
    await client.pauseQueue({ name });
    const [created] = await client.createTask({ parent: name, task, responseView: "FULL" });
    assert.equal(Buffer.from(created.httpRequest.body).toString(), JSON.stringify({ data: `by ${wire}` }));
    const [tasks] = await client.listTasks({ parent: name });
    assert.deepEqual(tasks.map((each) => each.name), [task.name]);
    await assert.rejects(client.createTask({ parent: name, task }), /Requested entity already exists/);
    const [queues] = await client.listQueues({ parent });
    assert.ok(queues.some((each) => each.name === name));
    await client.resumeQueue({ name });
    await control("settled", {});
    await assert.rejects(client.getTask({ name: task.name }), /existed recently/);
    await client.purgeQueue({ name });
    await client.deleteQueue({ name });
  });
}
