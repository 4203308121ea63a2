// The peers of bench/media, all on sharp: one encode per output (in sequence, in parallel), and the extension's flow.
import { readFile, writeFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import sharp from "sharp";

const { flow, input, outputs, repeats, folder, animated } = JSON.parse(process.argv[2]);
// Repeats must not be served from a cache that a cold function would not have.
sharp.cache(false);

const source = await readFile(input);
const open = (bytes) => sharp(bytes, { animated });

function shaped(image, output) {
  return image
    .rotate()
    .resize(output.width, output.height, { fit: "inside", withoutEnlargement: true });
}

function encoded(image, output) {
  return output.format === "avif"
    ? image.avif({ quality: output.quality, effort: 1 })
    : image.webp({ quality: output.quality, effort: 4 });
}

const single = (output) => encoded(shaped(open(source), output), output).toBuffer();

// The best-known extension resizes into the source's format, converts, and writes once more with its metadata.
async function extension(output) {
  const resized = await shaped(open(source), output).toBuffer();
  const converted = await encoded(open(resized), output).toBuffer();
  return encoded(open(converted), output).toBuffer();
}

async function inSequence(make) {
  const results = [];
  for (const output of outputs) results.push(await make(output));
  return results;
}

const flows = {
  sequence: () => inSequence(single),
  parallel: () => Promise.all(outputs.map(single)),
  extension: () => inSequence(extension),
};

let best = { wall: Infinity, cpu: Infinity };
let results = [];
for (let round = 0; round < repeats; round += 1) {
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  results = await flows[flow]();
  const wall = performance.now() - started;
  const { user, system } = process.cpuUsage(cpuBefore);
  best = { wall: Math.min(best.wall, wall), cpu: Math.min(best.cpu, (user + system) / 1000) };
}
await Promise.all(results.map((bytes, at) => writeFile(`${folder}/${outputs[at].name}`, bytes)));
const status = await readFile("/proc/self/status", "utf8");
const memory = Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024;
console.log(JSON.stringify({ ...best, memory, version: sharp.versions.sharp }));
