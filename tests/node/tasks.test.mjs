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

  test(`every other call of @google-cloud/tasks over ${wire}`, async () => {
    const client = clients[wire];
    const name = `${parent}/queues/every-${wire}`;
    const listed = async (listing) => {
      const found = [];
      if (typeof listing.on === "function") {
        await new Promise((resolve, reject) =>
          listing.on("error", reject).on("end", resolve).on("data", (each) => found.push(each.name)),
        );
      } else {
        for await (const each of listing) found.push(each.name);
      }
      return found;
    };
    if (wire === "grpc") assert.equal(await client.getProjectId(), projectId); // its stand-in for credentials knows none
    await client.createQueue({ parent, queue: { name } });
    await client.pauseQueue({ name });
    const changed = { queue: { name, retryConfig: { maxAttempts: 7 } }, updateMask: { paths: ["retry_config.max_attempts"] } };
    assert.equal((await client.updateQueue(changed))[0].retryConfig.maxAttempts, 7);
    assert.equal((await client.getQueue({ name }))[0].state, "PAUSED");
    const policy = { bindings: [{ role: "roles/viewer", members: ["allUsers"] }] };
    await client.setIamPolicy({ resource: name, policy });
    assert.equal((await client.getIamPolicy({ resource: name }))[0].bindings.length, 1);
    const permissions = ["cloudtasks.queues.get"];
    assert.deepEqual((await client.testIamPermissions({ resource: name, permissions }))[0].permissions, permissions);
    const httpRequest = {
      url: handler,
      httpMethod: "POST",
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify({ data: `by ${wire}` })).toString("base64"),
    };
    const [task] = await client.createTask({ parent: name, task: { httpRequest } });
    await client.runTask({ name: task.name });
    await control("settled", {});
    const later = { httpRequest, scheduleTime: { seconds: Math.floor(Date.now() / 1000) + 36_000 } };
    const [waits] = await client.createTask({ parent: name, task: later });
    assert.deepEqual(await listed(client.listTasksAsync({ parent: name })), [waits.name]);
    assert.deepEqual(await listed(client.listTasksStream({ parent: name })), [waits.name]);
    assert.ok((await listed(client.listQueuesAsync({ parent }))).includes(name));
    assert.ok((await listed(client.listQueuesStream({ parent }))).includes(name));
    assert.equal((await client.getLocation({ name: parent }))[0].locationId, "us-central1");
    assert.ok((await listed(client.listLocationsAsync({ name: `projects/${projectId}` }))).includes(parent));
    await client.deleteTask({ name: waits.name });
    await client.deleteQueue({ name });
  });
}
