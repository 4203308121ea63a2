// Why something did not work, as a sentence for the person who asked for it.
import { has, say } from "./texts.js";

/** The sentence of any error: of the API in its own words, of the SDK by its code. */
export function reasonOf(error) {
  if (error?.sentence) return error.sentence;
  const code = String(error?.code ?? "").replace(/^firestore\//, "");
  const key = `error.${code}`;
  if (code && has(key)) return say(key);
  return error?.message ? say("error.other", { message: error.message }) : say("error.unknown");
}
