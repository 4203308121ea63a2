// Keeps the page itself, so that it opens without a network. Data is kept by Firestore's own cache, never here.
const KEPT = "page-1";
const SHELL = ["/", "/page.css", "/icon.svg", "/app/hosting_setup.js", "/__/firebase/init.js?useEmulator=true"];

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(KEPT)
      .then((kept) => kept.addAll(SHELL))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== KEPT).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin || !isOfThePage(pathname)) return;
  event.respondWith(isForEver(pathname) ? keptOrFetched(event.request) : fetchedOrKept(event.request));
});

function isOfThePage(pathname) {
  return pathname === "/" || /^\/(app|__\/firebase)\/|^\/(page\.css|icon\.svg)$/.test(pathname);
}

/** A version of the SDK never changes. */
function isForEver(pathname) {
  return /^\/__\/firebase\/\d/.test(pathname);
}

async function keptOrFetched(request) {
  return (await caches.match(request)) ?? fetchedOrKept(request);
}

async function fetchedOrKept(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok) {
      const copy = answer.clone();
      const kept = await caches.open(KEPT);
      await kept.put(request, copy);
    }
    return answer;
  } catch (error) {
    const kept = await caches.match(request);
    if (kept) return kept;
    throw error;
  }
}
