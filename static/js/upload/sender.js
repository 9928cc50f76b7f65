/**
 * Sends of a source what the portal lacks: small files many at a time, large ones piece
 * by piece. What arrived stays there, so that after a lost connection only the rest is
 * sent.
 */

import { send } from "./send.js";
import { tar } from "./tar.js";

const AT_ONCE = 4;
const SMALL = 2 * 1024 * 1024;
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_FILES = 500;
const PIECE = 8 * 1024 * 1024;
/** Seconds to wait before each new try. */
const PAUSES = [1, 2, 4, 8, 15, 30];

/**
 * @typedef {{sha256: string, file: File}} Content
 *
 * @param {Content[]} contents each of another hash
 * @param {object} options
 * @param {string} options.url where objects go; a single one has its hash below it
 * @param {AbortSignal} options.signal
 * @param {(sent: number) => void} options.onProgress in bytes
 * @param {(seconds: number) => void} [options.onLost] told before each new try
 * @param {number[]} [options.pauses]
 * @returns {Promise<void>} when all is there
 */
export async function sendContents(contents, given) {
  // The first that fails stops the others, which would go on behind its back.
  const stopping = new AbortController();
  const signal = AbortSignal.any([given.signal, stopping.signal]);
  const options = { ...given, signal };
  const progress = new Progress(given.onProgress);
  const small = contents.filter(({ file }) => file.size <= SMALL);
  const large = contents.filter(({ file }) => file.size > SMALL);
  const tasks = [
    ...large.map((content) => () => sendLarge(content, options, progress.part())),
    ...inBatches(small).map((batch) => () => sendBatch(batch, options, progress.part())),
  ];
  const lane = async () => {
    for (let task = tasks.shift(); task; task = tasks.shift()) {
      signal.throwIfAborted();
      await task();
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  } finally {
    stopping.abort();
  }
}

async function sendBatch(batch, options, report) {
  const body = tar(batch.map(({ sha256, file }) => ({ path: sha256, file })));
  const files = batch.map(({ file }) => file);
  await again({ ...options, files }, () =>
    send(options.url, body, { signal: options.signal, headers: BINARY, onProgress: report }),
  );
}

async function sendLarge({ sha256, file }, given, report) {
  const options = { ...given, files: [file] };
  const url = `${options.url}${sha256}/?size=${file.size}`;
  const ask = async () => (await fetchJson(url, options.signal)).received;
  let offset = await again(options, ask);
  while (offset < file.size) {
    const start = offset;
    report(start);
    const piece = file.slice(start, start + PIECE);
    const onProgress = (sent) => report(start + Math.min(sent, piece.size));
    offset = await again(options, () =>
      send(`${url}&offset=${start}`, piece, {
        signal: options.signal,
        headers: BINARY,
        onProgress,
      }).then(
        ({ received }) => received,
        // Another window of the same person was there before, or an answer was lost.
        (error) => (error.status === 409 ? ask() : Promise.reject(error)),
      ),
    );
  }
  report(file.size);
}

const BINARY = { "Content-Type": "application/octet-stream" };

async function fetchJson(url, signal) {
  let answer;
  try {
    answer = await fetch(url, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("The connection to the portal was lost."), { status: 0 });
  }
  if (answer.ok) return answer.json();
  throw Object.assign(new Error("The portal does not take this file."), {
    status: answer.status,
  });
}

/** Try once more when the connection was lost, after a longer and longer pause. */
async function again({ signal, files, onLost, pauses = PAUSES }, attempt) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      const isLost = error.status === 0 || error.status >= 502;
      if (!isLost) throw error;
      await Promise.all(files.map(stillThere));
      if (tries === pauses.length) throw error;
      onLost?.(pauses[tries]);
      await pause(pauses[tries], signal);
    }
  }
}

/** Browsers break off where a file was changed, as if the connection had been lost. */
async function stillThere(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Error(
      `“${file.name}” was changed or removed meanwhile: choose the source once more.`,
    );
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** The sum of what several requests have sent. */
class Progress {
  #parts = [];
  #onProgress;

  constructor(onProgress) {
    this.#onProgress = onProgress;
  }

  /** @returns {(sent: number) => void} to tell about one of them */
  part() {
    const place = this.#parts.push(0) - 1;
    return (sent) => {
      this.#parts[place] = sent;
      this.#onProgress(this.#parts.reduce((total, each) => total + each, 0));
    };
  }
}

function inBatches(contents) {
  const batches = [];
  let batch = [];
  let bytes = 0;
  for (const content of contents) {
    batch.push(content);
    bytes += content.file.size;
    if (batch.length === BATCH_FILES || bytes >= BATCH_BYTES) {
      batches.push(batch);
      [batch, bytes] = [[], 0];
    }
  }
  return batch.length ? [...batches, batch] : batches;
}
