// The focal loss as a port for focal-parity: docs/protocol.md on stdin and stdout.
//
//     focal-parity check --command "node examples/ports/focal.js" --as sigmoid_focal_loss
//
// All arithmetic is in float64; for float32 the results are rounded to it at the end.
"use strict";
const readline = require("node:readline");

// x·y, where 0·inf is 0: certainty costs nothing, and neither does a class with α = 0.
function times(x, y) {
  return (x === 0 && Math.abs(y) === Infinity) || (y === 0 && Math.abs(x) === Infinity) ? 0 : x * y;
}

// σ(x), to full relative accuracy also where it is tiny; 1 − σ(x) is σ(−x) and is never a difference.
function sigmoid(x) {
  const e = Math.exp(-Math.abs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

// α_t·m^γ·b with m = 1 − p_t and b = BCE at the logit z and the target y, and its derivatives in z.
function focal(z, y, alpha, gamma) {
  const p = sigmoid(z), q = sigmoid(-z), m = y * q + (1 - y) * p;
  const weight = alpha === null ? 1 : y * alpha + (1 - y) * (1 - alpha);
  const b = times(y, softplus(-z)) + times(1 - y, softplus(z)), db = (1 - y) * p - y * q;
  // d log(m)/dz. For a hard target p·q/m is p or q itself, also where m is 0.
  const r = y === 1 ? -p : y === 0 ? q : ((1 - 2 * y) * p * q) / m;
  const rb = gamma * times(r, b), power = weight * m ** gamma;
  return {
    "loss": times(power, b),
    "logits": power * (rb + db),
    "logits logits": power * (rb * (gamma * r + q - p - r) + 2 * gamma * r * db + p * q),
  };
}

// A float from a string such as "-0x1.8000000000000p+1", exactly.
function fromHex(text) {
  const found = /^([+-]?)0x([0-9a-f]+)\.?([0-9a-f]*)p([+-]?\d+)$/i.exec(text);
  if (!found) return { inf: Infinity, "-inf": -Infinity }[text] ?? NaN;
  const size = parseInt(found[2] + found[3], 16) * 2 ** (Number(found[4]) - 4 * found[3].length);
  return found[1] === "-" ? -size : size;
}

// The string of a float, digit by digit from its bits.
function toHex(x) {
  if (Number.isNaN(x)) return "nan";
  if (Math.abs(x) === Infinity) return x < 0 ? "-inf" : "inf";
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0).toString(16).padStart(16, "0");
  const head = parseInt(bits.slice(0, 3), 16), exponent = head & 0x7ff;
  return `${head >> 11 ? "-" : ""}0x${exponent ? 1 : 0}.${bits.slice(3)}p${(exponent || 1) - 1023}`;
}

function handshake({ function: name, dtype }) {
  if (name !== "sigmoid_focal_loss") return { error: "this port is a sigmoid_focal_loss" };
  if (dtype !== "float32" && dtype !== "float64") return { error: "this port has float32 and float64" };
  const results = ["loss", "logits", "logits logits"];
  return { protocol: 1, arguments: ["logits", "targets", "alpha", "gamma"], results };
}

function answer({ id, arguments: given }, round) {
  const [z, y, gamma] = [given.logits, given.targets, given.gamma].map(fromHex);
  const f = focal(z, y, given.alpha === undefined ? null : fromHex(given.alpha), gamma);
  const results = Object.entries(f).map(([name, x]) => [name, toHex(round(x))]);
  return { id, results: Object.fromEntries(results) };
}

let round = null;
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  if (!line.trim()) return;
  const question = JSON.parse(line);
  console.log(JSON.stringify(round === null ? handshake(question) : answer(question, round)));
  round ??= question.dtype === "float32" ? Math.fround : (x) => x;
});
