// As much of node:assert/strict as the shared cases use, for pages.
class AssertionError extends Error {}

const shown = (value) => {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
};

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const names = Reflect.ownKeys(a);
  return names.length === Reflect.ownKeys(b).length && names.every((name) => Object.hasOwn(b, name) && same(a[name], b[name]));
}

export const assert = {
  ok(value, message = `${shown(value)} is not true`) {
    if (!value) throw new AssertionError(message);
  },
  equal(found, wanted) {
    assert.ok(Object.is(found, wanted), `${shown(found)} is not ${shown(wanted)}`);
  },
  deepEqual(found, wanted) {
    assert.ok(same(found, wanted), `${shown(found)} is not ${shown(wanted)}`);
  },
  async rejects(promise, wanted) {
    const reason = await promise.then(
      (value) => new AssertionError(`it came to ${shown(value)}`),
      (error) => error,
    );
    for (const [name, value] of Object.entries(wanted)) assert.equal(reason[name], value);
  },
};
