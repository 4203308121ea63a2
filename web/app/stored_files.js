// Where stored files lie, and the records that functions keep of them.
import { element } from "./element.js";

/** Any client can compute where the record of a file will be, before it uploads. */
export function objectId(bucket, path) {
  const letters = String.fromCharCode(...new TextEncoder().encode(`${bucket}/${path}`));
  return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

export function recordPath(uid, bucket, path) {
  return `users/${uid}/objects/${objectId(bucket, path)}`;
}

export const MOST_BYTES = 5 * 1024 * 1024;

const PICTURES = {
  "image/avif": "avif",
  "image/bmp": "bmp",
  "image/gif": "gif",
  "image/heic": "heic",
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/tiff": "tif",
  "image/webp": "webp",
};

/** Where a user's file goes, with which type and metadata; or `refused`, the key of the reason. */
export function placeOf(uid, file, id = crypto.randomUUID()) {
  const folder = `users/${uid}/ai_generated`;
  const named = { original_name: file.name.slice(0, 200) };
  if (file.size === 0) return { refused: "upload.empty" };
  if (file.size >= MOST_BYTES) return { refused: "upload.too.large" };
  if (file.type in PICTURES) {
    const customMetadata = { card_id: id, image_type: "portrait", ...named };
    return { path: `${folder}/images/${id}_portrait.${PICTURES[file.type]}`, contentType: file.type, customMetadata };
  }
  if (file.type === "video/mp4") {
    return { path: `${folder}/videos/${id}.mp4`, contentType: file.type, customMetadata: { scene_id: id, ...named } };
  }
  if (file.type === "audio/opus" || file.type === "audio/ogg" || file.name.toLowerCase().endsWith(".opus")) {
    const customMetadata = { stem_type: "sound", stem_id: id, ...named };
    return { path: `${folder}/audio/stems/sound_${id}.opus`, contentType: "audio/opus", customMetadata };
  }
  return { refused: "upload.wrong.kind" };
}

const addresses = new Map();
const MOST_ADDRESSES = 2000;

/** The address of a stored file; what is derived never changes, so its address is asked for once. */
export async function addressOf(backend, bucket, path) {
  const key = `${bucket}/${path}`;
  if (!addresses.has(key)) {
    const { getDownloadURL, ref } = await import("firebase/storage");
    const asked = getDownloadURL(ref(await backend.storage(bucket), path));
    asked.catch(() => addresses.delete(key));
    addresses.set(key, asked);
    if (addresses.size > MOST_ADDRESSES) addresses.delete(addresses.keys().next().value);
  }
  return addresses.get(key);
}

/** Hands a file to the browser's downloads. */
export function download(address, name) {
  const link = element("a", { href: address, download: name, target: "_blank", rel: "noopener" });
  document.body.append(link);
  link.click();
  link.remove();
}
