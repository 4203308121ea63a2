// What the Firestore page asks of one database: Firestore's own REST interface, and two routes beside it.
import { askService } from "./api.js";
import { fieldPath } from "./firestore-values.js";

export const databases = async () => (await askService("firestore", "/databases")).databases;

export class DatabaseApi {
  constructor(project, database) {
    this.database = database;
    this.root = `projects/${project}/databases/${database}`;
    this.documents = `${this.root}/documents/`;
  }

  #url(path, verb = "") {
    const place = `${this.root}/documents${path ? `/${path}` : ""}`;
    return `/v1/${place.split("/").map(encodeURIComponent).join("/")}${verb}`;
  }

  #post(path, verb, body) {
    return askService("firestore", this.#url(path, verb), { method: "POST", body });
  }

  async collections(parent) {
    const found = [];
    let pageToken = "";
    do {
      const { collectionIds, nextPageToken } = await this.#post(parent, ":listCollectionIds", { pageToken });
      found.push(...collectionIds ?? []);
      pageToken = nextPageToken ?? "";
    } while (pageToken);
    return found;
  }

  missing(collection) {
    const query = new URLSearchParams({ database: this.database, collection });
    return askService("firestore", `/missing?${query}`);
  }

  async get(path) {
    const [{ found }] = await this.#post("", ":batchGet", { documents: [this.documents + path] });
    return found ? { ...found, fields: found.fields ?? {} } : null;
  }

  async count(parent, structuredQuery) {
    const structuredAggregationQuery = { structuredQuery, aggregations: [{ alias: "all", count: {} }] };
    const [{ result }] = await this.#post(parent, ":runAggregationQuery", { structuredAggregationQuery });
    return Number(result.aggregateFields.all.integerValue);
  }

  // The names of `count` documents of a query from the one at `first` on.
  async names(parent, query, first, count) {
    const structuredQuery = { ...query, offset: first, limit: count, select: { fields: [{ fieldPath: "__name__" }] } };
    const found = await this.#post(parent, ":runQuery", { structuredQuery });
    return found.filter((each) => each.document).map((each) => each.document.name);
  }

  commit(writes) {
    return this.#post("", ":commit", { writes });
  }

  // Answers the document's path; without an id the suite makes one.
  async create(collection, id) {
    const query = id ? `?documentId=${encodeURIComponent(id)}` : "";
    const { name } = await askService("firestore", this.#url(collection) + query, { method: "POST", body: {} });
    return name.slice(this.documents.length);
  }

  deleteAll(path) {
    const place = `projects/${this.root.split("/")[1]}/databases/${this.database}/documents/${path}`;
    return askService("firestore", `/emulator/v1/${place.split("/").map(encodeURIComponent).join("/")}`, { method: "DELETE" });
  }
}

export const OPERATORS = {
  "==": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS_THAN", "<=": "LESS_THAN_OR_EQUAL", ">": "GREATER_THAN",
  ">=": "GREATER_THAN_OR_EQUAL", contains: "ARRAY_CONTAINS", in: "IN", "not in": "NOT_IN", "contains any": "ARRAY_CONTAINS_ANY",
};

// `a.b` are two names; a name with dots in it is written `like.this` between backticks, as Firestore writes it.
function field(text) {
  const written = text.trim();
  return { fieldPath: written.includes("`") ? written : fieldPath(written.split(".")) };
}

// `conditions` are {field, operator, value}, `orders` {field, descending}.
export function structured({ collection, group, conditions, orders }) {
  const filters = conditions.map((each) => ({
    fieldFilter: { field: field(each.field), op: OPERATORS[each.operator], value: each.value },
  }));
  return {
    from: [{ collectionId: collection, allDescendants: group }],
    ...(filters.length ? { where: filters.length === 1 ? filters[0] : { compositeFilter: { op: "AND", filters } } } : {}),
    ...(orders.length ? {
      orderBy: orders.map((each) => ({ field: field(each.field), direction: each.descending ? "DESCENDING" : "ASCENDING" })),
    } : {}),
  };
}
