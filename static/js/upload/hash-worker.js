/**
 * A worker that hashes files: told {number, files, texts}, it answers with {number,
 * hashed}, a list of {sha256, secret} in the same order, or with {number, failed}, the
 * name of a file that can't be read. `texts` is a list of [marker, pattern, what].
 */

import { sha256 } from "../../vendor/noble/sha2.js";

// What WebCrypto hashes it wants in memory as a whole.
const MOST_WHOLE = 64 * 1024 * 1024;
const PIECE = 4 * 1024 * 1024;
const MOST_SEARCHED = 1024 * 1024;

self.addEventListener("message", async ({ data: { number, files, texts } }) => {
  const hashed = [];
  for (const file of files) {
    try {
      hashed.push(await look(file, texts));
    } catch {
      self.postMessage({ number, failed: file.name });
      return;
    }
  }
  self.postMessage({ number, hashed });
});

async function look(file, texts) {
  // Addresses without TLS, but for this machine's own, have no WebCrypto.
  const isWhole = file.size <= MOST_WHOLE && Boolean(globalThis.crypto?.subtle);
  const first = await file.slice(0, isWhole ? MOST_WHOLE : PIECE).arrayBuffer();
  const digest = isWhole
    ? new Uint8Array(await crypto.subtle.digest("SHA-256", first))
    : await inPieces(file, first);
  return { sha256: toHex(digest), secret: secretIn(first, texts) };
}

async function inPieces(file, first) {
  const hash = sha256.create().update(new Uint8Array(first));
  for (let start = PIECE; start < file.size; start += PIECE) {
    const piece = await file.slice(start, start + PIECE).arrayBuffer();
    hash.update(new Uint8Array(piece));
  }
  return hash.digest();
}

/** What of a secret is in a text, such as "a private key"; "" if nothing is. */
function secretIn(data, texts) {
  const bytes = new Uint8Array(data, 0, Math.min(data.byteLength, MOST_SEARCHED));
  if (bytes.subarray(0, 8192).includes(0)) return "";
  const text = new TextDecoder("latin1").decode(bytes);
  for (const [marker, pattern, what] of texts) {
    if (text.includes(marker) && new RegExp(pattern).test(text)) return what;
  }
  return "";
}

function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
