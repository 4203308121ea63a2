// Firestore's typed values: as rows of a tree, as text to edit, and back from that text. Nothing here touches the page.
export const TYPES = [
  "string", "integer", "double", "boolean", "null", "timestamp", "reference", "geopoint", "bytes", "map", "array", "vector",
];
const SHOWN_CHARACTERS = 300;
const INTEGER_LIMIT = 2n ** 63n;
const SIMPLE_NAME = /^[A-Za-z_][A-Za-z_0-9]*$/;

export function typeOf(value) {
  const key = Object.keys(value)[0];
  if (key === "mapValue" && value.mapValue.fields?.__type__?.stringValue === "__vector__") return "vector";
  return {
    nullValue: "null", booleanValue: "boolean", integerValue: "integer", doubleValue: "double", timestampValue: "timestamp",
    stringValue: "string", bytesValue: "bytes", referenceValue: "reference", geoPointValue: "geopoint",
    arrayValue: "array", mapValue: "map",
  }[key];
}

function numberText(number) {
  return Object.is(number, -0) ? "-0" : String(number);
}

// What an editor of the value begins with; `documents` is what the names of this database's documents begin with.
export function textOf(value, documents) {
  switch (typeOf(value)) {
    case "null": return "";
    case "boolean": return String(value.booleanValue);
    case "double": return numberText(value.doubleValue);
    case "reference": return value.referenceValue.startsWith(documents)
      ? value.referenceValue.slice(documents.length) : value.referenceValue;
    case "geopoint": return `${numberText(value.geoPointValue.latitude ?? 0)}, ${numberText(value.geoPointValue.longitude ?? 0)}`;
    case "vector": return `[${elements(value.mapValue.fields.value).map((each) =>
      numberText(each.doubleValue ?? Number(each.integerValue))).join(", ")}]`;
    case "map": case "array": return JSON.stringify(plain(value));
    default: return String(Object.values(value)[0]);
  }
}

function elements(value) {
  return value.arrayValue?.values ?? [];
}

function plain(value) {
  const type = typeOf(value);
  if (type === "array") return elements(value).map(plain);
  if (type === "map") return Object.fromEntries(Object.entries(value.mapValue.fields ?? {}).map(([name, each]) => [name, plain(each)]));
  return Object.values(value)[0];
}

// One line, short: a value of a megabyte is a row like any other.
export function summary(value, documents) {
  const type = typeOf(value);
  if (type === "map") return count(Object.keys(value.mapValue.fields ?? {}).length, "field");
  if (type === "array") return count(elements(value).length, "element");
  if (type === "vector") return `${count(elements(value.mapValue.fields.value).length, "dimension")} ${cut(textOf(value, documents))}`;
  if (type === "null") return "null";
  return cut(type === "string" ? JSON.stringify(value.stringValue.slice(0, SHOWN_CHARACTERS + 1)) : textOf(value, documents));
}

function count(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function cut(text) {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

// What a person typed as a value of that type; throws an error that says what was expected.
export function read(type, text, documents) {
  const written = text.trim();
  switch (type) {
    case "null": return { nullValue: null };
    case "string": return { stringValue: text };
    case "boolean":
      if (written !== "true" && written !== "false") throw new Error(`a boolean is true or false, not \`${written}\``);
      return { booleanValue: written === "true" };
    case "integer": return { integerValue: integer(written) };
    case "double": return { doubleValue: double(written) };
    case "timestamp":
      if (Number.isNaN(Date.parse(written))) throw new Error(`a timestamp has the form 2026-01-31T12:00:00Z, not \`${written}\``);
      return { timestampValue: written };
    case "reference":
      if (!written) throw new Error("a reference is the path of a document, such as rooms/blue");
      return { referenceValue: written.startsWith("projects/") ? written : documents + written.replace(/^\//, "") };
    case "geopoint": {
      const parts = written.split(",");
      if (parts.length !== 2) throw new Error(`a geopoint is latitude, longitude, not \`${written}\``);
      return { geoPointValue: { latitude: double(parts[0].trim()), longitude: double(parts[1].trim()) } };
    }
    case "bytes":
      try {
        atob(written);
      } catch {
        throw new Error("bytes are written in base64");
      }
      return { bytesValue: written };
    case "vector": {
      const numbers = json(written || "[]");
      if (!Array.isArray(numbers) || !numbers.every((each) => typeof each === "number")) {
        throw new Error("a vector is a list of numbers, such as [1, 2.5]");
      }
      const values = numbers.map((each) => ({ doubleValue: numberText(each) }));
      return { mapValue: { fields: { __type__: { stringValue: "__vector__" }, value: { arrayValue: { values } } } } };
    }
    case "map": {
      const found = json(written || "{}");
      if (found === null || typeof found !== "object" || Array.isArray(found)) throw new Error('a map is written {"name": "value"}');
      return typed(found);
    }
    default: {
      const found = json(written || "[]");
      if (!Array.isArray(found)) throw new Error('an array is written ["value", 1]');
      return typed(found);
    }
  }
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`this is no JSON: ${error.message}`);
  }
}

function integer(text) {
  if (!/^[+-]?\d+$/.test(text)) throw new Error(`an integer has digits only, not \`${text}\``);
  const number = BigInt(text.replace(/^\+/, ""));
  if (number < -INTEGER_LIMIT || number >= INTEGER_LIMIT) throw new Error(`\`${text}\` does not fit into 64 bits`);
  return String(number);
}

// As text: JSON has neither NaN nor the infinities, and loses the sign of -0.
function double(text) {
  if (["NaN", "Infinity", "-Infinity"].includes(text)) return text;
  if (text === "" || !Number.isFinite(Number(text))) throw new Error(`\`${text}\` is no number; NaN, Infinity and -Infinity are`);
  return numberText(Number(text));
}

function typed(found) {
  if (found === null) return { nullValue: null };
  if (typeof found === "boolean") return { booleanValue: found };
  if (typeof found === "string") return { stringValue: found };
  if (typeof found === "number") {
    if (!Number.isFinite(found) || (Number.isInteger(found) && !Number.isSafeInteger(found))) {
      throw new Error("a number in this JSON is too large to be read exactly; add it as a field of its own");
    }
    return Number.isInteger(found) && !Object.is(found, -0) ? { integerValue: String(found) } : { doubleValue: numberText(found) };
  }
  if (Array.isArray(found)) return { arrayValue: { values: found.map(typed) } };
  return { mapValue: { fields: Object.fromEntries(Object.entries(found).map(([name, each]) => [name, typed(each)])) } };
}

// Every field with those inside it, in order. `path` has names for maps and numbers for arrays.
export function rows(fields) {
  const found = [];
  const add = (path, value) => {
    found.push({ path, value, type: typeOf(value) });
    const type = typeOf(value);
    if (type === "map") inside(path, value.mapValue.fields ?? {});
    if (type === "array") elements(value).forEach((each, index) => add([...path, index], each));
  };
  const inside = (path, named) => {
    for (const name of Object.keys(named).sort()) add([...path, name], named[name]);
  };
  inside([], fields);
  return found;
}

// The write that puts `value` at `path` and touches nothing else; without a value it removes what is there.
export function change(document, path, value) {
  // A mask names fields of maps; an array changes as a whole.
  const end = path.findIndex((step) => typeof step === "number");
  const named = end < 0 ? path : path.slice(0, end);
  let kept = value;
  if (end >= 0) {
    kept = structuredClone(named.reduce((place, name) => place.mapValue.fields[name], { mapValue: { fields: document.fields } }));
    put(kept, path.slice(end), value);
  }
  const fields = {};
  if (kept !== undefined) {
    const place = named.slice(0, -1).reduce((outer, name) => {
      outer[name] = { mapValue: { fields: {} } };
      return outer[name].mapValue.fields;
    }, fields);
    place[named.at(-1)] = kept;
  }
  return {
    update: { name: document.name, fields }, updateMask: { fieldPaths: [fieldPath(named)] },
    // Whoever wrote in between is not overwritten unseen.
    currentDocument: { updateTime: document.updateTime },
  };
}

function put(value, [step, ...rest], wanted) {
  const place = typeof step === "number" ? (value.arrayValue.values ??= []) : (value.mapValue.fields ??= {});
  if (rest.length) put(place[step], rest, wanted);
  else if (wanted !== undefined) place[step] = wanted;
  else if (typeof step === "number") place.splice(step, 1);
  else delete place[step];
}

export function fieldPath(names) {
  return names.map((name) => (SIMPLE_NAME.test(name) ? name : `\`${name.replace(/[\\`]/g, "\\$&")}\``)).join(".");
}
