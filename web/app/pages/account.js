// The account: a password for a guest, signing in as somebody else, signing out.
import { button, element, field } from "../element.js";
import { reasonOf } from "../reasons.js";
import { enter, keepAccount, leave } from "../session.js";
import { say } from "../texts.js";

export function open(place, backend) {
  const { user } = backend;
  const told = element("p", { role: "alert", class: "problem" });
  const failed = (error) => {
    told.textContent = reasonOf(error);
  };
  const who = user.isAnonymous ? say("account.anonymous") : say("account.known", { email: user.email });
  place.append(element("p", {}, who), told);
  if (user.isAnonymous) {
    const keep = (email, password) => keepAccount(backend.auth, email, password);
    place.append(
      form("keep", say("account.keep"), say("account.keep.why"), keep, failed),
      form("enter", say("account.enter"), say("account.enter.why"), (...given) => enter(backend, ...given), failed),
    );
  } else {
    place.append(
      button(say("account.leave"), () => leave(backend), { failed }),
      element("p", {}, say("account.leave.why")),
    );
  }
  place.append(element("p", { class: "quiet" }, say("account.id"), " ", element("code", {}, user.uid)));
}

function form(id, title, why, act, failed) {
  const email = field(say("email"), { type: "email", name: "email", required: true, autocomplete: "username" });
  const kind = id === "keep" ? "new-password" : "current-password";
  const password = field(say("password"), { type: "password", name: "password", required: true, autocomplete: kind });
  const made = element("form", { class: "card", id }, element("h2", {}, title), element("p", {}, why));
  made.append(email, password, element("button", {}, title));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    act(email.input.value, password.input.value).catch(failed);
  });
  return made;
}
