/**
 * The files of a folder that was dropped on the page or chosen in a dialog, without
 * what no script needs.
 */

// Those of runs/snapshots/collector.py, which would leave them out as well.
const LEFT_OUT = new Set([
  ".git",
  ".venv",
  "venv",
  "__pycache__",
  ".ipynb_checkpoints",
  "node_modules",
  "__MACOSX",
  ".DS_Store",
]);
const SHADOW = "._";

/**
 * @typedef {{path: string, file: File}} Found `path` has "/" between its parts
 * @typedef {object} Folder
 * @property {string} name of the only folder or file; "" if there were several
 * @property {boolean} isFolder was it one folder? Its name is in none of the paths.
 * @property {Found[]} files in the order of their paths
 * @property {string[]} leftOut paths that were left out; a folder stands for all in it
 * @property {number} totalBytes
 *
 * @typedef {object} Options
 * @property {number} [maxFiles] more files than these are an error, told at once
 * @property {(count: number) => void} [onFound] told how many files there are so far
 */

/**
 * To be called while the drop is handled: afterwards its items are gone.
 *
 * @param {DataTransfer} transfer
 * @param {Options} options
 * @returns {Promise<Folder>}
 */
export async function readDrop(transfer, options = {}) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const collector = new Collector(options);
  const isFolder = entries.length === 1 && entries[0].isDirectory;
  if (isFolder) await walkChildren(entries[0], "", collector);
  else await walkAll(entries, "", collector);
  return collector.folder({ isFolder, name: nameOf(entries) });
}

/**
 * @param {Iterable<File>} list of an `<input type="file">`, of any kind
 * @param {Options} options
 * @returns {Folder}
 */
export function readInput(list, options = {}) {
  const files = [...list];
  const top = files[0]?.webkitRelativePath?.split("/")[0] ?? "";
  const collector = new Collector(options);
  for (const file of files) {
    const path = top ? file.webkitRelativePath.slice(top.length + 1) : file.name;
    if (!collector.leavesOut(path)) collector.add(path, file);
  }
  return collector.folder({ isFolder: top !== "", name: top || nameOf(files) });
}

function nameOf(things) {
  return things.length === 1 ? things[0].name : "";
}

async function walkAll(entries, prefix, collector) {
  await Promise.all(entries.map((entry) => walk(entry, prefix, collector)));
}

async function walk(entry, prefix, collector) {
  const path = prefix + entry.name;
  if (collector.leavesOut(path)) return;
  if (entry.isDirectory) await walkChildren(entry, `${path}/`, collector);
  else collector.add(path, await answer(path, (...found) => entry.file(...found)));
}

async function walkChildren(folder, prefix, collector) {
  const reader = folder.createReader();
  // Each answer has some of them, in Chromium a hundred; an empty one is the end.
  for (;;) {
    const found = await answer(folder.name, (...found) => reader.readEntries(...found));
    if (found.length === 0) return;
    await walkAll(found, prefix, collector);
  }
}

/** What `ask` calls back with. */
function answer(path, ask) {
  return new Promise((resolve, reject) => {
    const fail = () =>
      reject(new Error(`“${path}” can't be read: allow it, or leave it out.`));
    ask(resolve, fail);
  });
}

class Collector {
  #files = [];
  #leftOut = new Set();
  #options;

  constructor(options) {
    this.#options = options;
  }

  add(path, file) {
    const { maxFiles = Infinity, onFound } = this.#options;
    this.#files.push({ path, file });
    onFound?.(this.#files.length);
    if (this.#files.length <= maxFiles) return;
    const most = maxFiles.toLocaleString("en");
    throw new Error(
      `There are more than ${most} files: leave out what the script does not need.`,
    );
  }

  leavesOut(path) {
    const parts = path.split("/");
    const place = parts.findIndex(
      (part) => LEFT_OUT.has(part) || part.startsWith(SHADOW),
    );
    if (place < 0) return false;
    this.#leftOut.add(parts.slice(0, place + 1).join("/"));
    return true;
  }

  folder({ name, isFolder }) {
    const files = this.#files.sort((a, b) => (a.path < b.path ? -1 : 1));
    const totalBytes = files.reduce((total, { file }) => total + file.size, 0);
    return { name, isFolder, files, leftOut: [...this.#leftOut].sort(), totalBytes };
  }
}
