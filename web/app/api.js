// Calls of the HTTP API: with the user's token, once however often it is sent, and again where the API says later.
const TRIES = 3;
const LONGEST_WAIT_SECONDS = 10;

/** A refusal in the API's own words; `code` is for programs. */
export class ApiError extends Error {
  constructor(status, { error = "", detail = "", code = "" } = {}) {
    super(error || `HTTP ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.sentence = error ? [error, detail].filter(Boolean).join(": ") : null;
  }
}

/** `ask("GET", "/generations", { query })`; `key` makes a repeat of the same operation one operation. */
export async function ask(backend, method, path, { query = {}, body, type, key, spends = false } = {}) {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
  const address = parameters.size ? `${path}?${parameters}` : path;
  const isRaw = body instanceof Blob;
  let isTokenNew = false;
  for (let turn = 1; ; turn++) {
    const headers = { Authorization: `Bearer ${await backend.user.getIdToken(isTokenNew)}` };
    const proof = await backend.appCheckToken({ once: spends });
    if (proof) headers["X-Firebase-AppCheck"] = proof;
    if (key) headers["Idempotency-Key"] = key;
    if (body !== undefined) headers["Content-Type"] = isRaw ? type : "application/json";
    const sent = body === undefined ? undefined : isRaw ? body : JSON.stringify(body);
    let answer;
    try {
      answer = await fetch(address, { method, headers, body: sent });
    } catch (error) {
      // Nobody knows whether it arrived: only what is one operation however often it is sent may go again.
      if (turn < TRIES && navigator.onLine && (method === "GET" || key)) continue;
      throw Object.assign(error, { code: "unavailable" });
    }
    if (answer.ok) return answer.json();
    const refusal = await answer.json().catch(() => ({}));
    if (answer.status === 401 && !isTokenNew) {
      isTokenNew = true;
      continue;
    }
    const wait = Number(answer.headers.get("Retry-After") ?? NaN);
    if ((answer.status === 503 || answer.status === 429) && wait <= LONGEST_WAIT_SECONDS && turn < TRIES) {
      await new Promise((resume) => setTimeout(resume, wait * 1000));
      continue;
    }
    throw new ApiError(answer.status, refusal);
  }
}
