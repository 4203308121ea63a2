// Keeps the page itself, so that it opens without a network. Data is kept by Firestore's own cache, never here.
const KEPT = "page-1";
const SDK = "/__/firebase/12.19.0";
/** Every room opens without a network, also one that nobody has been to. */
const SHELL = [
  "/",
  "/page.css",
  "/icon.svg",
  "/app/api.js",
  "/app/backend.js",
  "/app/blurhash.js",
  "/app/charts.js",
  "/app/comparison.js",
  "/app/configuration.js",
  "/app/drive.js",
  "/app/element.js",
  "/app/export.js",
  "/app/hosting_setup.js",
  "/app/live_pages.js",
  "/app/main.js",
  "/app/pages/account.js",
  "/app/pages/books.js",
  "/app/pages/dialogues.js",
  "/app/pages/gallery.js",
  "/app/pages/generations.js",
  "/app/pages/operators.js",
  "/app/pages/storage.js",
  "/app/pages/versions.js",
  "/app/pages/viewer.js",
  "/app/picture.js",
  "/app/reasons.js",
  "/app/session.js",
  "/app/stored_files.js",
  "/app/texts.js",
  "/app/undo.js",
  "/app/uploads.js",
  "/app/virtual_list.js",
  "/app/words.js",
  "/__/firebase/init.js?useEmulator=true",
  ...["app", "auth", "firestore", "storage"].map((part) => `${SDK}/firebase-${part}.js`),
];

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
