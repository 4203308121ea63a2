// Asks the suite. The token came with this page; no other page can read it.
const token = document.querySelector("meta[name=console-token]").content;
const headers = { "x-console-token": token };

export async function ask(path, { method = "GET", body } = {}) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.error?.message ?? `${path} was answered with ${answer.status}`);
  return read;
}

// Asks a service of the suite, as its administrator.
export function askService(name, path, options) {
  return ask(`/console/services/${name}${path}`, options);
}

// What a service has stored, as it is.
export async function fetchService(name, path, more) {
  const answer = await fetch(`/console/services/${name}${path}`, { headers: { ...headers, ...more } });
  if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`);
  return answer;
}

// A file as an object's content. `told` hears of the bytes that have left; the answer has an `abort`.
export function uploadTo(name, path, file, told) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => told(event.loaded);
    request.onload = () => {
      if (request.status < 300) return resolve();
      let message = `${path} was answered with ${request.status}`;
      try {
        message = JSON.parse(request.responseText).error.message;
      } catch {
        // the answer is not the service's own
      }
      reject(Object.assign(new Error(message), { status: request.status }));
    };
    request.onerror = () => reject(new Error("the suite does not answer"));
    request.onabort = () => reject(new Error("stopped"));
  });
  request.open("POST", `/console/services/${name}${path}`);
  for (const [header, value] of Object.entries(headers)) request.setRequestHeader(header, value);
  request.setRequestHeader("content-type", file.type || "application/octet-stream");
  request.send(file);
  return Object.assign(done, { abort: () => request.abort() });
}

// What happens in the suite, as it happens: `heard` gets the kind and the value. Comes back by itself after a cut.
export class Stream extends EventTarget {
  constructor() {
    super();
    this.#read();
  }

  async #read() {
    for (;;) {
      try {
        const answer = await fetch("/console/stream", { headers });
        if (!answer.ok) return this.#tell("refused", { status: answer.status });
        this.#tell("open", {});
        await this.#events(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      } catch {
        // the suite stopped, or the connection was cut
      }
      this.#tell("cut", {});
      await new Promise((resume) => setTimeout(resume, 1000));
    }
  }

  async #events(reader) {
    let waiting = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const events = (waiting + value).split("\n\n");
      waiting = events.pop();
      for (const event of events) {
        const found = /^event: (\w+)\ndata: (.*)$/.exec(event);
        if (found) this.#tell(found[1], JSON.parse(found[2]));
      }
    }
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
