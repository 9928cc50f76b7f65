/** Hashes files in workers, several at a time. */

const MOST_WORKERS = 4;
// A batch ends at so many files or bytes, so that all workers end at about one time.
const BATCH_FILES = 100;
const BATCH_BYTES = 16 * 1024 * 1024;

/**
 * @typedef {import("./folder.js").Found & {sha256: string, secret: string}} Hashed
 *
 * @param {import("./folder.js").Found[]} files
 * @param {object} options
 * @param {string} options.worker address of hash-worker.js
 * @param {string[][]} options.texts what secrets look like: see hash-worker.js
 * @param {AbortSignal} options.signal
 * @param {(bytes: number) => void} options.onProgress how many were hashed so far
 * @returns {Promise<Hashed[]>} in the same order; rejects if a file can't be read
 */
export function hash(files, { worker, texts, signal, onProgress }) {
  const batches = inBatches(files);
  const count = Math.min(navigator.hardwareConcurrency ?? 2, MOST_WORKERS, batches.length);
  const results = new Array(batches.length);
  const workers = [];
  let next = 0;
  let left = batches.length;
  let bytes = 0;
  const hashed = new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (left === 0) resolve();
    const give = (each) => {
      if (next === batches.length) return;
      const number = next;
      next += 1;
      each.postMessage({ number, texts, files: batches[number].map(({ file }) => file) });
    };
    for (let place = 0; place < count; place += 1) {
      const each = new Worker(worker, { type: "module" });
      workers.push(each);
      each.onerror = () => reject(new Error("The files can't be hashed: reload the page."));
      each.onmessage = ({ data: { number, hashed: found, failed } }) => {
        if (failed !== undefined) {
          reject(new Error(`“${failed}” can't be read: it was changed or removed.`));
          return;
        }
        results[number] = found;
        bytes += sizeOf(batches[number]);
        onProgress(bytes);
        left -= 1;
        if (left === 0) resolve();
        else give(each);
      };
      give(each);
    }
  });
  return hashed
    .then(() => {
      const all = results.flat();
      return files.map((found, place) => ({ ...found, ...all[place] }));
    })
    .finally(() => workers.forEach((each) => each.terminate()));
}

function inBatches(files) {
  const batches = [];
  let batch = [];
  let bytes = 0;
  for (const found of files) {
    batch.push(found);
    bytes += found.file.size;
    if (batch.length === BATCH_FILES || bytes >= BATCH_BYTES) {
      batches.push(batch);
      [batch, bytes] = [[], 0];
    }
  }
  return batch.length ? [...batches, batch] : batches;
}

function sizeOf(batch) {
  return batch.reduce((total, { file }) => total + file.size, 0);
}
