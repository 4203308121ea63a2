// A stand-in for Google's script of that name, for machines without a network: as much of it as the Firebase SDK uses to
// speak to Auth's helper frame. A page loads it before the SDK, which then loads no other:
//   <script src="http://127.0.0.1:9099/emulator/auth/gapi.js"></script>
"use strict";

(() => {
  if (window.gapi?.iframes?.Iframe) return;
  const MARK = "afterimage-auth-frame";

  /** The other side: a frame in this page, or the page that this frame is in. Unheard messages wait for a listener. */
  class Iframe {
    #window;
    #origin;
    #handlers = new Map();
    #waiting = new Map();
    #asked = new Map();
    #count = 0;
    #ready;

    constructor(otherWindow, origin) {
      this.#window = otherWindow;
      this.#origin = origin;
      this.#ready = new Promise((resolve) => {
        this.becomeReady = resolve;
      });
      window.addEventListener("message", (message) => this.#heard(message));
    }

    register(name, handler) {
      this.#handlers.set(name, handler);
      const waiting = this.#waiting.get(name) ?? [];
      this.#waiting.delete(name);
      waiting.forEach((heard) => this.#handle(heard));
    }

    async send(name, data, callback = () => {}) {
      await this.#ready;
      const id = (this.#count += 1);
      this.#asked.set(id, callback);
      this.#window.postMessage({ mark: MARK, id, name, data }, this.#origin);
    }

    ping(callback, data) {
      return this.#ready.then(() => callback?.(data));
    }

    async restyle() {}

    async #handle({ id, name, data }) {
      const result = await this.#handlers.get(name)(data, this);
      this.#window.postMessage({ mark: MARK, answers: id, result }, this.#origin);
    }

    #heard({ source, origin, data }) {
      if (source !== this.#window || data?.mark !== MARK) return;
      if (this.#origin === "*") this.#origin = origin;
      if (origin !== this.#origin) return;
      if (data.hello) {
        // The page answers, so that the frame knows whom it speaks to before it says anything else.
        if (data.hello === "first") this.#window.postMessage({ mark: MARK, hello: "second" }, this.#origin);
        this.becomeReady();
      } else if (data.answers) {
        this.#asked.get(data.answers)?.([data.result]);
        this.#asked.delete(data.answers);
      } else if (this.#handlers.has(data.name)) this.#handle(data);
      else this.#waiting.set(data.name, [...(this.#waiting.get(data.name) ?? []), data]);
    }
  }

  /** The parent's side: the frame says hello once its own script runs. */
  function open({ where, url, attributes = {} }, callback) {
    const address = new URL(url);
    address.searchParams.set("standIn", "1");
    const element = document.createElement("iframe");
    Object.assign(element.style, attributes.style ?? {});
    element.setAttribute("aria-hidden", "true");
    element.tabIndex = -1;
    element.src = address.href;
    where.append(element);
    const frame = new Iframe(element.contentWindow, address.origin);
    return Promise.resolve(callback?.(frame)).then(() => frame);
  }

  function getParentIframe() {
    const frame = new Iframe(window.parent, "*");
    window.parent.postMessage({ mark: MARK, hello: "first" }, "*");
    return frame;
  }

  window.gapi = {
    load: (name, options) => (typeof options === "function" ? options : options.callback)(),
    iframes: { Iframe, CROSS_ORIGIN_IFRAMES_FILTER: {}, getContext: () => ({ open, getParentIframe }) },
  };
  window.gapi_onload?.();
})();
