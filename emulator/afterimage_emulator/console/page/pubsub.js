// Topics and subscriptions of Pub/Sub: what is published is typed here, what is pulled is shown and acknowledged.
import { askService } from "./api.js";
import { askIn } from "./dialog.js";
import { element, facts } from "./elements.js";
import "./virtual-list.js";

const PULLED = 10;

export class PubSubPage extends HTMLElement {
  #items = [];

  connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "name", "aria-label": "Filter topics and subscriptions", oninput: () => this.draw(),
    });
    this.count = element("span", { className: "quiet", role: "status" });
    this.said = element("p", { role: "status", className: "bad" });
    this.list = element("virtual-list", { className: "functions", "aria-label": "Topics and subscriptions" });
    this.list.addEventListener("choose", (event) => this.show(event.detail));
    this.detail = element("section", { "aria-label": "The chosen topic or subscription", tabIndex: 0 },
      element("p", { className: "quiet" }, "Choose a topic or a subscription."));
    this.dialog = element("dialog");
    const add = (text, act) => element("button", { type: "button", onclick: act }, text);
    this.replaceChildren(element("div", { className: "stack" }, element("div", { className: "row" },
      this.filter, add("Add topic", () => this.#askForTopic()), add("Add subscription", () => this.#askForSubscription()),
      this.count), this.said, this.list), this.detail, this.dialog);
    this.stop = this.app.onChange("state", () => this.refresh());
    this.refresh();
  }

  disconnectedCallback() {
    this.stop();
  }

  focusFilter() {
    this.filter.focus();
  }

  get #project() {
    return `projects/${this.app.state.project}`;
  }

  #ask(name, options) {
    return askService("pubsub", `/v1/${name}`, options);
  }

  async refresh() {
    if (!this.app.state) return;
    if (!this.app.runs("pubsub")) {
      this.said.textContent = "this suite runs no Pub/Sub";
      return;
    }
    try {
      const [topics, subscriptions] = await Promise.all(
        ["topics", "subscriptions"].map((kind) => this.#all(kind)));
      this.#items = [...topics.map((each) => ({ kind: "topic", ...each })),
        ...subscriptions.map((each) => ({ kind: "subscription", ...each }))];
      this.said.textContent = "";
      this.draw();
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  async #all(kind) {
    const found = [];
    let pageToken = "";
    do {
      const query = new URLSearchParams({ pageSize: 1000, ...(pageToken ? { pageToken } : {}) });
      const page = await this.#ask(`${this.#project}/${kind}?${query}`);
      found.push(...page[kind] ?? []);
      pageToken = page.nextPageToken;
    } while (pageToken);
    return found;
  }

  draw() {
    const wanted = this.filter.value.toLowerCase();
    const items = this.#items.filter((item) => item.name.toLowerCase().includes(wanted));
    this.count.textContent = `${items.length} of ${this.#items.length}`;
    this.list.show(items, {
      key: (item) => item.name,
      fill: (item) => [
        element("span", { className: "code" }, last(item.name)), element("span", { className: "quiet" }, item.kind),
        element("span", { className: "quiet code" }, item.topic ? last(item.topic) : ""),
      ],
    });
  }

  show(item) {
    if (item === null) return;
    this.detail.replaceChildren(element("h2", { className: "code" }, last(item.name)),
      ...(item.kind === "topic" ? this.#aboutTopic(item) : this.#aboutSubscription(item)));
  }

  #aboutTopic(topic) {
    const said = element("span", { role: "status" });
    const data = element("textarea", { rows: 4, className: "code", "aria-label": "Data" });
    const attributes = element("input", { className: "code", size: 40, value: "{}", "aria-label": "Attributes as JSON" });
    const key = element("input", { className: "code", "aria-label": "Ordering key" });
    const publish = act(said, async () => {
      const message = { data: encoded(data.value), attributes: JSON.parse(attributes.value || "{}") };
      if (key.value) message.orderingKey = key.value;
      const { messageIds } = await this.#ask(`${topic.name}:publish`, { method: "POST", body: { messages: [message] } });
      said.textContent = `published as ${messageIds[0]}`;
    });
    const below = this.#items.filter((item) => item.topic === topic.name).map((item) => last(item.name));
    return [facts([["name", topic.name], ["subscriptions", below.join(", ") || "none"]]),
      element("h3", {}, "Publish"), data,
      element("div", { className: "row" }, element("label", {}, "attributes ", attributes), element("label", {}, "ordering key ", key)),
      element("div", { className: "row" }, button("Publish", publish), this.#deleting(topic), said)];
  }

  #aboutSubscription(subscription) {
    const said = element("span", { role: "status" });
    const messages = element("div", { "aria-label": "Pulled messages", role: "group" });
    const order = (verb, body) => this.#ask(`${subscription.name}:${verb}`, { method: "POST", body });
    const pull = act(said, async () => {
      const { receivedMessages = [] } = await order("pull", { maxMessages: PULLED, returnImmediately: true });
      said.textContent = receivedMessages.length ? `${receivedMessages.length} pulled` : "nothing waits";
      messages.replaceChildren(...receivedMessages.map((each) => pulled(each, order, said)));
    });
    const { name, topic, kind, ...settings } = subscription;
    return [facts([["name", name], ["topic", topic]]),
      element("details", {}, element("summary", {}, "Settings"), element("pre", {}, JSON.stringify(settings, null, 2))),
      element("div", { className: "row" }, button("Pull", pull), this.#deleting(subscription), said), messages];
  }

  #deleting(item) {
    return button(`Delete ${item.kind}`, () => askIn(this.dialog, `Delete the ${item.kind} \`${last(item.name)}\`?`, [], [
      ["Delete", async () => {
        await this.#ask(item.name, { method: "DELETE" });
        this.detail.replaceChildren();
        await this.refresh();
      }]]));
  }

  #askForTopic() {
    const name = named("Name of the topic");
    askIn(this.dialog, "A new topic", [name], [["Add", async () => {
      await this.#ask(`${this.#project}/topics/${encodeURIComponent(name.value.trim())}`, { method: "PUT", body: {} });
      await this.refresh();
    }]]);
  }

  #askForSubscription() {
    const [name, topic] = [named("Name of the subscription"), named("Name of its topic")];
    const filter = named("Filter, or empty");
    if (this.list.selected?.kind === "topic") topic.value = last(this.list.selected.name);
    askIn(this.dialog, "A new subscription", [name, topic, filter], [["Add", async () => {
      await this.#ask(`${this.#project}/subscriptions/${encodeURIComponent(name.value.trim())}`, {
        method: "PUT", body: { topic: `${this.#project}/topics/${topic.value.trim()}`, filter: filter.value },
      });
      await this.refresh();
    }]]);
  }
}

function pulled({ ackId, message, deliveryAttempt }, order, said) {
  const article = element("article", {}, element("h3", {}, `message ${message.messageId}`),
    facts([["published", message.publishTime], ["ordering key", message.orderingKey],
      ["attributes", message.attributes && JSON.stringify(message.attributes)], ["attempt", deliveryAttempt && String(deliveryAttempt)]]),
    element("pre", {}, decoded(message.data)));
  const answer = (verb, body) => act(said, async () => {
    await order(verb, body);
    article.remove();
  });
  article.append(element("div", { className: "row" },
    button("Acknowledge", answer("acknowledge", { ackIds: [ackId] })),
    button("Give back", answer("modifyAckDeadline", { ackIds: [ackId], ackDeadlineSeconds: 0 }))));
  return article;
}

function act(said, work) {
  return async () => {
    said.className = "";
    try {
      await work();
    } catch (error) {
      said.className = "bad";
      said.textContent = error.message;
    }
  };
}

function button(text, onclick) {
  return element("button", { type: "button", onclick }, text);
}

function named(label) {
  return element("input", { type: "text", placeholder: label, "aria-label": label, autocomplete: "off", className: "code" });
}

function last(name) {
  return name.split("/").at(-1);
}

function encoded(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

function decoded(data = "") {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return `${bytes.length} bytes, in base64: ${data}`;
  }
}
customElements.define("pubsub-page", PubSubPage);
