// The frame of the page: navigation, language, who is here. It is drawn before any part of the SDK is asked for.
import { element } from "./element.js";
import { reasonOf } from "./reasons.js";
import { LANGUAGES, language, say, speak } from "./texts.js";

const ROOMS = {
  gallery: () => import("./pages/gallery.js"),
  generations: () => import("./pages/generations.js"),
  dialogues: () => import("./pages/dialogues.js"),
  books: () => import("./pages/books.js"),
  versions: () => import("./pages/versions.js"),
  storage: () => import("./pages/storage.js"),
  operators: () => import("./pages/operators.js"),
  account: () => import("./pages/account.js"),
};
const main = document.getElementById("main");
let backend = null;
let user = null;
let close = () => {};
let opening = 0;

function room() {
  const name = location.hash.slice(1).split("/")[0];
  return Object.hasOwn(ROOMS, name) ? name : "gallery";
}

function drawFrame() {
  document.documentElement.lang = language();
  document.title = `${say(`room.${room()}`)} · Afterimage`;
  const links = Object.keys(ROOMS)
    .filter((name) => name !== "operators" || user?.isAdmin)
    .map((name) =>
      element("a", { href: `#${name}`, "aria-current": name === room() ? "page" : null }, say(`room.${name}`)),
    );
  const rooms = document.getElementById("rooms");
  rooms.setAttribute("aria-label", say("rooms"));
  rooms.replaceChildren(...links);
  bringRoomIntoSight();
  const choice = element(
    "select",
    { "aria-label": say("language"), onchange: () => speak(choice.value) },
    LANGUAGES.map(([code, name]) => element("option", { value: code, selected: code === language() }, name)),
  );
  const who = user ? (user.isAnonymous ? say("account.guest") : user.email) : "…";
  const account = element("span", { class: "who", title: who }, who);
  document.getElementById("account-state").replaceChildren(account, choice);
  drawConnection();
}

/** On a narrow screen the rooms are one line that moves. */
function bringRoomIntoSight() {
  const rooms = document.getElementById("rooms");
  const { left, width } = rooms.querySelector("[aria-current]").getBoundingClientRect();
  rooms.scrollLeft += left + width / 2 - innerWidth / 2;
}

function drawConnection() {
  const line = document.getElementById("connection");
  line.textContent = navigator.onLine ? "" : say("offline");
  line.hidden = navigator.onLine;
}

/** Opens the room that the address names, in the language of now. */
async function openRoom() {
  const turn = ++opening;
  drawFrame();
  if (!user) return;
  close();
  close = () => {};
  const name = room();
  try {
    const { open } = await ROOMS[name]();
    if (turn !== opening) return;
    const place = element("section", { class: `room ${name}`, "aria-label": say(`room.${name}`) });
    main.replaceChildren(element("h1", {}, say(`room.${name}`)), place);
    close = open(place, backend, location.hash.slice(1).split("/").slice(1).map(decodeURIComponent)) ?? (() => {});
  } catch (error) {
    fail(error);
  }
}

function fail(error) {
  main.replaceChildren(
    element("p", { role: "alert", class: "problem" }, reasonOf(error)),
    element("button", { type: "button", onclick: () => location.reload() }, say("try.again")),
  );
}

async function start() {
  let fromGoogle = takeGooglesAnswer();
  drawFrame();
  main.replaceChildren(element("h1", {}, say(`room.${room()}`)), element("p", { class: "quiet" }, say("starting")));
  addEventListener("hashchange", () => openRoom().then(() => main.focus({ preventScroll: true })));
  addEventListener("languagechosen", openRoom);
  addEventListener("resize", bringRoomIntoSight);
  addEventListener("online", drawConnection);
  addEventListener("offline", drawConnection);
  ROOMS[room()]().catch(() => {}); // beside the rest; whoever opens the room hears of what is wrong
  const [{ Backend }, session] = await Promise.all([import("./backend.js"), import("./session.js")]);
  await session.nobodyLeaves();
  backend = await Backend.connect();
  const changed = async (found) => {
    const claims = await session.claimsOf(found).catch(() => ({}));
    user = { uid: found.uid, email: found.email, isAnonymous: found.isAnonymous, isAdmin: claims.admin === true };
    openRoom();
    if (fromGoogle) completeDriveLink(fromGoogle);
    fromGoogle = null;
  };
  session.followUser(backend.auth, changed, fail);
  keepForOffline();
}

/** What a user comes back with who gave leave to a Drive; it is good once, so it leaves the address at once. */
function takeGooglesAnswer() {
  const said = new URLSearchParams(location.hash.slice(1));
  const [state, ticket] = [said.get("drive_state"), said.get("drive_ticket")];
  if (!state || !ticket) return null;
  history.replaceState(null, "", "#storage");
  return { state, ticket };
}

async function completeDriveLink(answer) {
  const [{ completeLink }, { tell }] = await Promise.all([import("./drive.js"), import("./undo.js")]);
  await completeLink(backend, answer).catch((error) => tell(reasonOf(error)));
}

/** The page opens without a network from now on; what that needs is fetched when the page itself is there. */
function keepForOffline() {
  if (!("serviceWorker" in navigator)) return;
  const own = { createScriptURL: (path) => path };
  const policy = globalThis.trustedTypes ? trustedTypes.createPolicy("service-worker", own) : own;
  navigator.serviceWorker.register(policy.createScriptURL("/service-worker.js")).catch(() => {});
}

start().catch(fail);
