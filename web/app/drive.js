// A user's Google Drive: linked at Google, completed where the browser comes back, shown live, unlinked.
import { doc, onSnapshot } from "firebase/firestore";
import { ask } from "./api.js";
import { button, element } from "./element.js";
import { reasonOf } from "./reasons.js";
import { bytes, has, say } from "./texts.js";
import { tell, undoable } from "./undo.js";

const ROOT = "/api/phase5/auth";
const failed = (error) => tell(reasonOf(error));

/** Completes the link with what Google's answer left in the address: as the user who began it, and as nobody else. */
export async function completeLink(backend, { state, ticket }) {
  await ask(backend, "POST", `${ROOT}/complete`, { body: { state, ticket } });
  tell(say("drive.linked"));
}

/** Shows the link, where this deployment offers one or the user has one; returns what ends its listener. */
export function showDrive(place, backend) {
  let [canLink, link] = [false, { state: "unlinked" }];
  const draw = () => {
    const isShown = canLink || link.state !== "unlinked";
    place.replaceChildren(...(isShown ? [driveCard(link, canLink, backend)] : []));
  };
  ask(backend, "GET", `${ROOT}/link`).then(
    (found) => {
      canLink = found.can_link;
      draw();
    },
    () => {}, // without an answer none is offered; whatever is linked is shown all the same
  );
  return onSnapshot(
    doc(backend.db, "drive", backend.user.uid),
    (found) => {
      link = found.data() ?? { state: "unlinked" };
      draw();
    },
    failed,
  );
}

function driveCard(link, canLink, backend) {
  const made = element("section", { class: "card" }, element("h2", {}, say("drive")));
  const key = `drive.${link.state}`;
  made.append(element("p", {}, has(key) ? say(key, { email: link.account_email ?? "" }) : String(link.state)));
  if (link.error) made.append(element("p", { class: "problem" }, link.error));
  const { usage_bytes: used, limit_bytes: limit } = link.quota ?? {};
  if (link.state === "active" && limit) {
    made.append(element("p", { class: "quiet" }, say("drive.room", { used: bytes(used), limit: bytes(limit) })));
  }
  const acts = element("div", { class: "row" });
  if (canLink && link.state !== "active") acts.append(button(say("drive.link"), () => goToGoogle(backend), { failed }));
  if (link.state !== "unlinked") {
    const unlink = () => {
      made.hidden = true;
      undoable(say("drive.unlinking"), {
        act: () => ask(backend, "DELETE", `${ROOT}/link`),
        back: () => {
          made.hidden = false;
        },
      });
    };
    acts.append(button(say("drive.unlink"), unlink));
  }
  made.append(acts);
  return made;
}

/** The user consents at Google; the address that Google sends the browser back to leads to `completeLink`. */
async function goToGoogle(backend) {
  const begun = await ask(backend, "POST", `${ROOT}/authorize`);
  location.assign(begun.authorization_url);
}
