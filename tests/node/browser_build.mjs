// Lets Node load the SDK that browsers load, which speaks WebChannel: `node --import ./browser_build.mjs …`.
import { register } from "node:module";

const resolving = `
  const parts = ${JSON.stringify({
    "@firebase/firestore": import.meta.resolve("@firebase/firestore").replace("index.node.mjs", "index.esm.js"),
    "@firebase/webchannel-wrapper/webchannel-blob": import.meta
      .resolve("@firebase/webchannel-wrapper/bloom-blob")
      .replace(/bloom-blob.*/, "webchannel-blob/esm/webchannel_blob_es2018.js"),
  })};
  export const resolve = (name, context, next) => next(parts[name] ?? name, context);
`;
register(`data:text/javascript,${encodeURIComponent(resolving)}`);
