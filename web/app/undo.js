// Second thoughts: what is asked for happens a little later, and until then can be taken back.
import { element } from "./element.js";
import { reasonOf } from "./reasons.js";
import { say } from "./texts.js";

export const UNTIL_IT_HAPPENS_MS = 8000;
const waiting = new Map();

/**
 * Shows `text` with a way back. `act` happens when the time is over, or when somebody says so; `back` happens when it
 * is taken back, or fails. A page that is left before has done nothing.
 */
export function undoable(text, { act, back }) {
  const key = Symbol(text);
  const before = document.activeElement;
  const message = element("span", {}, text);
  const undo = element("button", { type: "button" }, say("undo"));
  const now = element("button", { type: "button", class: "plain" }, say("undo.now"));
  const shown = element("div", { class: "toast" }, message, undo, now);
  const leave = () => {
    clearTimeout(waiting.get(key));
    waiting.delete(key);
    const isHeld = shown.contains(document.activeElement);
    shown.remove();
    return isHeld;
  };
  // Whoever came here by keys goes back to where they were, or to the room where that is gone.
  const goBack = () => (before?.checkVisibility() ? before : document.getElementById("main")).focus({ preventScroll: true });
  const happen = async () => {
    if (leave()) goBack();
    try {
      await act();
    } catch (error) {
      back();
      tell(reasonOf(error));
    }
  };
  undo.addEventListener("click", () => {
    const isHeld = leave();
    back();
    if (isHeld) goBack();
  });
  now.addEventListener("click", happen);
  waiting.set(key, setTimeout(happen, UNTIL_IT_HAPPENS_MS));
  document.getElementById("undo").append(shown);
  undo.focus();
}

/** Says something that needs no answer. */
export function tell(text) {
  const close = element("button", { type: "button", class: "plain", "aria-label": say("close") }, "×");
  const shown = element("div", { class: "toast" }, element("span", {}, text), close);
  close.addEventListener("click", () => shown.remove());
  setTimeout(() => shown.remove(), UNTIL_IT_HAPPENS_MS);
  document.getElementById("undo").append(shown);
}
