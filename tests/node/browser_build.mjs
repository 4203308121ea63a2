// Lets Node load the SDK that browsers load, which speaks WebChannel: `node --import ./browser_build.mjs …`. That SDK
// asks by XMLHttpRequest, which Node lacks: here is as much of one as it uses, over fetch.
import { register } from "node:module";

const parts = {
  "@firebase/firestore": import.meta.resolve("@firebase/firestore").replace("index.node.mjs", "index.esm.js"),
  "@firebase/webchannel-wrapper/webchannel-blob": import.meta
    .resolve("@firebase/webchannel-wrapper/bloom-blob")
    .replace(/bloom-blob.*/, "webchannel-blob/esm/webchannel_blob_es2018.js"),
};
const hooks = `
  const parts = ${JSON.stringify(parts)};
  export const resolve = (name, context, next) => next(parts[name] ?? name, context);
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

globalThis.XMLHttpRequest = class {
  readyState = 0;
  status = 0;
  statusText = "";
  responseText = "";
  responseType = "";
  withCredentials = false;
  onreadystatechange = null;
  #headers = new Headers();
  #answered = new Headers();
  #stopped = new AbortController();

  open(method, url) {
    Object.assign(this, { method, url });
    this.#become(1);
  }

  setRequestHeader(name, value) {
    this.#headers.append(name, value);
  }

  getResponseHeader(name) {
    return this.#answered.get(name);
  }

  getAllResponseHeaders() {
    return [...this.#answered].map((pair) => pair.join(": ")).join("\r\n");
  }

  abort() {
    this.#stopped.abort();
    this.readyState = 0;
  }

  send(body) {
    this.#ask(body || undefined).then(
      () => this.#become(4),
      () => {
        if (this.#stopped.signal.aborted) return;
        this.status = 0;
        this.#become(4);
      },
    );
  }

  async #ask(body) {
    const { method, url } = this;
    const answer = await fetch(url, { method, body, headers: this.#headers, signal: this.#stopped.signal });
    ({ status: this.status, statusText: this.statusText, headers: this.#answered } = answer);
    this.#become(2);
    for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      this.responseText += text;
      this.#become(3);
    }
  }

  #become(state) {
    this.readyState = state;
    this.onreadystatechange?.();
  }
};
