// The users of Auth: a list of any length, and one user with providers and custom claims.
import { askService } from "./api.js";
import { askIn } from "./dialog.js";
import { element, facts } from "./elements.js";
import { Pages } from "./virtual-list.js";

export class AuthPage extends HTMLElement {
  connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "uid, email or phone number", "aria-label": "Find a user",
      onkeydown: (event) => event.key === "Enter" && this.#find(),
    });
    this.count = element("span", { className: "quiet", role: "status" });
    this.said = element("p", { role: "status", className: "bad" });
    this.tenants = element("select", {
      "aria-label": "Tenant", onchange: () => { location.hash = place(null, this.tenants.value); },
    });
    this.list = element("virtual-list", { className: "users", "aria-label": "Users by uid" });
    this.list.addEventListener("choose", (event) =>
      location.replace(place(event.detail.localId, this.tenant)));
    this.detail = element("section", { "aria-label": "The chosen user", tabIndex: 0 },
      element("p", { className: "quiet" }, "Choose a user."));
    this.dialog = element("dialog");
    const add = element("button", { type: "button", onclick: () => this.#askForNew() }, "Add user");
    this.replaceChildren(element("div", { className: "stack" },
      element("div", { className: "row" }, this.tenants, this.filter, add, this.count), this.said, this.list), this.detail, this.dialog);
    this.stop = this.app.onChange("state", () => this.refresh());
    this.go(this.place);
  }

  disconnectedCallback() {
    this.stop();
  }

  focusFilter() {
    this.filter.focus();
  }

  // An address without a uid, and without a tenant, has nothing in its place.
  go([uid = "", tenant = ""]) {
    this.uid = decodeURIComponent(uid) || null;
    const chosen = decodeURIComponent(tenant);
    if (chosen !== this.tenant) {
      Object.assign(this, { pages: null, shown: null, tenant: chosen });
      this.detail.replaceChildren(element("p", { className: "quiet" }, "Choose a user."));
    }
    return this.refresh();
  }

  async #showTenants() {
    const project = encodeURIComponent(this.app.state.project);
    const found = [];
    let pageToken = "";
    do {
      const query = new URLSearchParams({ pageSize: 1000, ...(pageToken ? { pageToken } : {}) });
      const page = await askService("auth", `/identitytoolkit.googleapis.com/v2/projects/${project}/tenants?${query}`);
      found.push(...page.tenants ?? []);
      pageToken = page.nextPageToken;
    } while (pageToken);
    const options = [["", "no tenant"], ...found.map(({ name, displayName }) => {
      const id = name.split("/").at(-1);
      return [id, displayName ? `${displayName} (${id})` : id];
    })];
    const news = JSON.stringify(options);
    if (news !== this.knownTenants) {
      this.knownTenants = news;
      this.tenants.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
    }
    this.tenants.value = this.tenant;
  }

  #ask(verb, body) {
    const project = encodeURIComponent(this.app.state.project);
    const scope = this.tenant ? `${project}/tenants/${encodeURIComponent(this.tenant)}` : project;
    return askService("auth", `/identitytoolkit.googleapis.com/v1/projects/${scope}/accounts${verb}`, { method: "POST", body });
  }

  async refresh() {
    if (!this.app.state) return;
    if (!this.app.runs("auth")) {
      this.said.textContent = "this suite runs no Auth";
      return;
    }
    try {
      const { tenant } = this;
      await this.#showTenants();
      const total = Number((await this.#ask(":query", { returnUserInfo: false })).recordsCount);
      if (tenant !== this.tenant) return;
      const load = async (offset, limit) => (await this.#ask(":query", { returnUserInfo: true, offset, limit })).userInfo;
      if (this.pages) this.pages.renew(total, load);
      else this.pages = new Pages(total, load);
      this.pages.onerror = (error) => { this.said.textContent = error.message; };
      this.count.textContent = `${total.toLocaleString("en")} user${total === 1 ? "" : "s"}`;
      this.list.show(this.pages, {
        key: (user) => user.localId,
        fill: (user) => [
          element("span", { className: user.disabled ? "bad" : "" }, user.email ?? user.phoneNumber ?? user.displayName ?? "anonymous"),
          element("span", { className: "quiet" }, user.disabled ? "disabled" : user.customAttributes ? "claims" : ""),
          element("span", { className: "code quiet" }, user.localId),
        ],
      });
      this.said.textContent = "";
      await this.#showUser();
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  async #find() {
    const wanted = this.filter.value.trim();
    if (!wanted) return;
    try {
      // Each alone: what is no email, for one, is refused together with the rest.
      for (const given of [{ localId: [wanted] }, ...wanted.includes("@") ? [{ email: [wanted] }] : [],
        ...wanted.startsWith("+") ? [{ phoneNumber: [wanted] }] : []]) {
        const { users } = await this.#ask(":lookup", given);
        if (users) {
          location.hash = place(users[0].localId, this.tenant);
          return;
        }
      }
      this.said.textContent = `no user has the uid, email or phone number \`${wanted}\``;
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  async #showUser() {
    if (this.uid === null) return;
    const uid = this.uid;
    const user = (await this.#ask(":lookup", { localId: [uid] })).users?.[0] ?? null;
    if (uid !== this.uid || !this.isConnected) return;
    if (this.list.selected?.localId !== uid) this.list.mark(uid);
    const news = JSON.stringify([uid, user]);
    if (this.shown === news) return;
    // What is being typed stays; saving it says what it is about.
    if (user && this.shownUid === uid && this.isWriting) return;
    Object.assign(this, { shown: news, shownUid: uid, isWriting: false });
    this.detail.replaceChildren(...(user ? this.#about(user) : [element("p", { className: "quiet" }, "There is no such user.")]));
  }

  #about(user) {
    const said = element("span", { role: "status" });
    const act = async (change, done, saysClaims) => {
      said.className = "";
      try {
        await change();
        const typed = this.isWriting && !saysClaims ? claims.value : null;
        this.isWriting = false;
        said.textContent = done;
        await this.refresh();
        const field = this.detail.querySelector("textarea");
        if (typed !== null && field) {
          field.value = typed;
          this.isWriting = true;
        }
      } catch (error) {
        said.className = "bad";
        said.textContent = error.message;
      }
    };
    const claims = element("textarea", {
      rows: 6, className: "code", "aria-label": "Custom claims as JSON", value: pretty(user.customAttributes),
      oninput: () => { this.isWriting = true; },
    });
    const update = (fields) =>
      act(() => this.#ask(":update", { localId: user.localId, ...fields }), "saved", "customAttributes" in fields);
    const button = (text, onclick) => element("button", { type: "button", onclick }, text);
    return [
      element("h2", {}, user.email ?? user.phoneNumber ?? user.displayName ?? "anonymous"),
      facts(known(user)),
      element("h3", {}, "Custom claims"), claims,
      element("div", { className: "row" },
        button("Save claims", () => update({ customAttributes: claims.value.trim() || "{}" })),
        button(user.disabled ? "Enable" : "Disable", () => update({ disableUser: !user.disabled })),
        button("Delete user", () => askIn(this.dialog, `Delete the user \`${user.localId}\`?`, [], [["Delete", async () => {
          await this.#ask(":delete", { localId: user.localId });
          await this.refresh();
        }]])), said),
    ];
  }

  #askForNew() {
    const input = (label, type) => element("input", { type, placeholder: label, "aria-label": label, autocomplete: "off" });
    const [uid, email, password] = [input("Uid, or empty for a new one", "text"), input("Email", "text"), input("Password", "text")];
    askIn(this.dialog, "A new user; without an email an anonymous one", [uid, email, password], [["Add", async () => {
      const given = { localId: uid.value.trim(), email: email.value.trim(), password: password.value };
      const { localId } = await this.#ask("", Object.fromEntries(Object.entries(given).filter(([, value]) => value)));
      location.hash = place(localId, this.tenant);
    }]]);
  }
}

function place(uid, tenant) {
  return `#auth/${encodeURIComponent(uid ?? "")}${tenant ? `/${encodeURIComponent(tenant)}` : ""}`;
}

function known(user) {
  const moment = (milliseconds) => new Date(Number(milliseconds)).toISOString();
  return [
    ["uid", user.localId], ["email", user.email && `${user.email}${user.emailVerified ? " (verified)" : ""}`],
    ["phone number", user.phoneNumber], ["name", user.displayName], ["photo", user.photoUrl],
    ["providers", user.providerUserInfo?.map((each) => each.providerId).join(", ")],
    ["tenant", user.tenantId], ["second factors", user.mfaInfo?.map((each) => each.displayName || each.phoneInfo || "TOTP").join(", ")],
    ["disabled", user.disabled ? "yes" : null], ["created", user.createdAt && moment(user.createdAt)],
    ["last sign-in", user.lastLoginAt && moment(user.lastLoginAt)],
  ];
}

function pretty(text) {
  if (!text) return "{}";
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
customElements.define("auth-page", AuthPage);
