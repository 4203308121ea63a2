// The frame: pages by the address's hash, keys, and what all pages share: the state, requests, log lines.
import { Stream, ask } from "./api.js";
import { element } from "./elements.js";
import "./auth.js";
import "./capabilities.js";
import "./coverage.js";
import "./events.js";
import "./firestore.js";
import "./functions.js";
import "./indexes.js";
import "./logs.js";
import "./overview.js";
import "./pubsub.js";
import "./requests.js";
import "./storage.js";
import "./time.js";

// The hash, the title, the element, and the key that opens it.
const PAGES = [
  ["overview", "Overview", "overview-page", "1"],
  ["requests", "Requests", "requests-page", "2"],
  ["events", "Events", "events-page", "3"],
  ["time", "Clock and faults", "time-page", "4"],
  ["logs", "Logs", "logs-page", "5"],
  ["firestore", "Firestore", "firestore-page", "6"],
  ["auth", "Auth", "auth-page", "7"],
  ["storage", "Storage", "storage-page", "8"],
  ["functions", "Functions", "functions-page", "9"],
  ["pubsub", "Pub/Sub", "pubsub-page", "0"],
  ["coverage", "Coverage", "coverage-page", "r"],
  ["indexes", "Indexes", "indexes-page", "i"],
  ["capabilities", "Capabilities", "capabilities-page", "c"],
];
const KEPT_REQUESTS = 500;
const KEPT_LINES = 2000;
const REFRESH_MILLISECONDS = 2000;

class ConsoleApp extends HTMLElement {
  requests = [];
  logs = [];
  state = null;
  listening = false;
  #changes = new EventTarget();

  connectedCallback() {
    this.active = element("span", { className: "active", role: "status" });
    this.project = element("span", { className: "quiet" });
    this.links = PAGES.map(([name, title, , key]) =>
      element("a", { href: `#${name}`, "aria-keyshortcuts": key }, title, element("kbd", { "aria-hidden": "true" }, key)));
    this.main = element("main", { tabIndex: -1 });
    this.replaceChildren(
      element("header", {}, element("h1", {}, "Local Firebase"), this.project, this.active),
      element("nav", { "aria-label": "Pages" }, ...this.links), this.main);
    addEventListener("hashchange", () => this.#open());
    addEventListener("keydown", (event) => this.#key(event));
    this.#open();
    this.#listen();
    this.load();
    setInterval(() => document.visibilityState === "visible" && this.load(), REFRESH_MILLISECONDS);
  }

  onChange(what, react) {
    this.#changes.addEventListener(what, react);
    return () => this.#changes.removeEventListener(what, react);
  }

  runs(service) {
    return this.state.services.some(({ name }) => name === service);
  }

  async load() {
    try {
      this.state = await ask("/console/state");
    } catch (error) {
      this.active.textContent = error.message;
      return;
    }
    const { clock, faults, project } = this.state;
    this.project.textContent = project;
    this.active.textContent = [
      clock.frozen ? "clock stopped" : Math.abs(clock.offset_seconds) > 1 ? "clock moved" : "",
      faults.length ? `${faults.length} fault${faults.length > 1 ? "s" : ""} ordered` : "",
    ].filter(Boolean).join(", ");
    this.#tell("state");
  }

  #listen() {
    const stream = new Stream();
    stream.addEventListener("open", () => {
      this.listening = true;
      this.#catchUp();
    });
    stream.addEventListener("missed", () => this.#catchUp());
    stream.addEventListener("request", (event) => this.#take([event.detail]));
    stream.addEventListener("log", (event) => {
      this.logs.push(event.detail);
      this.logs.splice(0, Math.max(0, this.logs.length - KEPT_LINES));
      this.#tell("logs");
    });
    stream.addEventListener("cut", () => { this.active.textContent = "the suite does not answer"; });
    stream.addEventListener("refused", () => location.reload());
  }

  async #catchUp() {
    const { requests } = await ask(`/control/requests?after=${this.requests[0]?.id ?? 0}`);
    this.#take(requests);
  }

  #take(judged) {
    const known = new Set(this.requests.map((one) => one.id));
    const fresh = judged.filter((one) => !known.has(one.id)).reverse();
    this.requests = [...fresh, ...this.requests].sort((one, other) => other.id - one.id).slice(0, KEPT_REQUESTS);
    this.#tell("requests");
  }

  #tell(what) {
    this.#changes.dispatchEvent(new Event(what));
  }

  #open() {
    const [wanted, ...place] = location.hash.slice(1).split("/");
    const at = Math.max(0, PAGES.findIndex(([name]) => name === wanted));
    const shown = this.main.firstElementChild;
    if (shown?.localName === PAGES[at][2] && shown.go) {
      shown.go(place);
      return;
    }
    this.links.forEach((link, index) =>
      index === at ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"));
    document.title = `${PAGES[at][1]} · Local Firebase`;
    const page = document.createElement(PAGES[at][2]);
    page.app = this;
    page.place = place;
    this.main.replaceChildren(page);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    if (document.querySelector("dialog[open]")) return;  // a question is answered before the page below it is left
    const page = PAGES.find(([, , , key]) => key === event.key);
    if (page) location.hash = page[0];
    else if (event.key === "/") {
      event.preventDefault();
      this.main.firstElementChild.focusFilter?.();
    }
  }
}
customElements.define("console-app", ConsoleApp);
