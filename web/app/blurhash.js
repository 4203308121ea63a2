// Turns a BlurHash, the placeholder of a picture's record, into a few pixels.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";

/** A small canvas, to be stretched; null for text that is no BlurHash. */
export function placeholderCanvas(hash, width = 24, height = 24) {
  const parts = componentsOf(hash);
  if (!parts) return null;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const drawing = canvas.getContext("2d");
  const pixels = drawing.createImageData(width, height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const sum = [0, 0, 0];
      for (const { column, row, colour } of parts) {
        const weight = Math.cos((Math.PI * x * column) / width) * Math.cos((Math.PI * y * row) / height);
        for (let channel = 0; channel < 3; channel++) sum[channel] += colour[channel] * weight;
      }
      pixels.data.set([...sum.map(toStandard), 255], at);
    }
  }
  drawing.putImageData(pixels, 0, 0);
  return canvas;
}

function componentsOf(hash) {
  if (typeof hash !== "string" || hash.length < 6 || [...hash].some((digit) => !DIGITS.includes(digit))) return null;
  const size = numberIn(hash[0]);
  const [columns, rows] = [(size % 9) + 1, Math.floor(size / 9) + 1];
  if (hash.length !== 4 + 2 * columns * rows) return null;
  const largest = (numberIn(hash[1]) + 1) / 166;
  return Array.from({ length: columns * rows }, (_, index) => {
    const colour =
      index === 0 ? average(hash.slice(2, 6)) : difference(hash.slice(4 + index * 2, 6 + index * 2), largest);
    return { column: index % columns, row: Math.floor(index / columns), colour };
  });
}

function numberIn(digits) {
  return [...digits].reduce((sum, digit) => sum * 83 + DIGITS.indexOf(digit), 0);
}

function average(digits) {
  const value = numberIn(digits);
  return [value >> 16, (value >> 8) & 255, value & 255].map(toLinear);
}

function difference(digits, largest) {
  const value = numberIn(digits);
  return [Math.floor(value / 361), Math.floor(value / 19) % 19, value % 19].map((step) => {
    const share = (step - 9) / 9;
    return Math.sign(share) * share * share * largest;
  });
}

function toLinear(value) {
  const share = value / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}

function toStandard(linear) {
  const share = Math.max(0, Math.min(1, linear));
  return Math.round(255 * (share <= 0.0031308 ? share * 12.92 : 1.055 * share ** (1 / 2.4) - 0.055));
}
