// A question in front of the page: what to fill in, what may be done; whatever is refused is said in it.
import { element } from "./elements.js";

// `actions` are [text, act]; the first is Enter's. The dialog closes when one of them succeeded.
export function askIn(dialog, title, inputs, actions) {
  const said = element("p", { role: "status", className: "bad" });
  const orders = actions.map(([, act]) => async () => {
    buttons.forEach((button) => { button.disabled = true; });  // a second click is no second order
    try {
      await act();
      dialog.close();
    } catch (error) {
      said.textContent = error.message;
      buttons.forEach((button) => { button.disabled = false; });
    }
  });
  // Without a button that submits, Enter would do nothing in a form of several inputs.
  const buttons = actions.map(([text], index) => element("button", index ? { type: "button", onclick: orders[index] } : { type: "submit" }, text));
  dialog.setAttribute("aria-label", title);
  dialog.replaceChildren(element("form", { noValidate: true, onsubmit: (event) => {
    event.preventDefault();
    orders[0]();
  } }, element("p", {}, title), ...inputs.map((input) => element("div", { className: "row" }, input)), said,
  element("div", { className: "row" }, ...buttons,
    element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
  dialog.showModal();
}
