// firebase-admin publishing to Eventarc's channels. Run by tests/emulator/eventarc/test_channels.py, which starts a suite
// with functions that listen, and names it in the environment.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { deleteApp, initializeApp } from "firebase-admin/app";
import { getEventarc } from "firebase-admin/eventarc";

const projectId = process.env.GCLOUD_PROJECT;
assert.ok(projectId && process.env.CLOUD_EVENTARC_EMULATOR_HOST, "start the suite first and name it in the environment");

let app;

before(() => {
  // The SDK asks for a token before it sends anything, wherever it sends it.
  const credential = { getAccessToken: async () => ({ access_token: "owner", expires_in: 3600 }) };
  app = initializeApp({ projectId, credential });
});

after(() => deleteApp(app));

test("an event with its attributes goes to the default channel", async () => {
  await getEventarc(app).channel().publish({
    type: "com.example.order.placed",
    source: "//shop",
    subject: "orders/7",
    colour: "blue",
    data: { order: 7 },
  });
});

test("several events go to a channel of their own, except for types that it does not allow", async () => {
  const channel = getEventarc(app).channel("locations/europe-west1/channels/own", {
    allowedEventTypes: ["com.example.order.placed"],
  });
  const event = { type: "com.example.order.placed", source: "//shop" };
  await channel.publish([
    { ...event, id: "first", data: { order: 1 } },
    { ...event, id: "second", data: { order: 2 } },
    { ...event, type: "com.example.other", data: { order: 3 } },
  ]);
});
