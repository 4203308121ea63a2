// Indexes that queries needed since the start, that no indexes file declares, and that production would ask for.
import { ask } from "./api.js";
import { element } from "./elements.js";

export class IndexesPage extends HTMLElement {
  connectedCallback() {
    this.stop = this.app.onChange("state", () => this.refresh());
    this.refresh();
  }

  disconnectedCallback() {
    this.stop();
  }

  async refresh() {
    let missing;
    try {
      ({ missing } = await ask("/control/indexes"));
    } catch (error) {
      this.replaceChildren(element("p", { className: "bad", role: "status" }, error.message));
      return;
    }
    const news = JSON.stringify(missing);
    if (news === this.shown) return;
    this.shown = news;
    const said = element("span", { role: "status", className: "quiet" });
    const databases = [...new Set(missing.map(({ database }) => database))];
    this.replaceChildren(element("h2", {}, "Indexes that production would ask for"),
      ...(missing.length ? [
        element("p", {}, "Queries since the start needed these, and no indexes file declares them. ",
          element("code", {}, "afterimage-emulator indexes --write"), " adds them to the file."), said,
        ...databases.flatMap((database) => this.#database(database, missing.filter((each) => each.database === database), said)),
      ] : [element("p", { className: "good" }, "Every query so far has the index it needs.")]));
  }

  #database(database, missing, said) {
    const entries = { indexes: [], fieldOverrides: [] };
    for (const { section, entry } of missing) {
      // Queries of several projects may have needed one and the same.
      if (!entries[section].some((known) => JSON.stringify(known) === JSON.stringify(entry))) entries[section].push(entry);
    }
    const text = JSON.stringify(entries, null, 2);
    return [element("h3", {}, `database ${database}: ${entries.indexes.length + entries.fieldOverrides.length}`),
      element("div", { className: "row" }, element("button", { type: "button", onclick: async () => {
        await navigator.clipboard.writeText(text);
        said.textContent = "copied";
      } }, "Copy")), element("pre", { className: "code" }, text)];
  }
}
customElements.define("indexes-page", IndexesPage);
