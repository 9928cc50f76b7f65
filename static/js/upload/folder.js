/**
 * The files of a folder that was dropped on the page or chosen in a dialog, without
 * what its ignore files leave out.
 */

import { formatBytes } from "../log/format.js";
import { IgnoreRules } from "./ignore.js";

/**
 * @typedef {{path: string, file: File}} Found `path` has "/" between its parts
 * @typedef {{path: string, rule: string}} LeftOut `path` may be a folder, for all in it
 * @typedef {object} Folder
 * @property {string} name of the only folder or file; "" if there were several
 * @property {Found[]} files in the order of their paths
 * @property {string[]} emptyFolders
 * @property {LeftOut[]} leftOut
 * @property {number} totalBytes
 * @property {Node | null} git its folder .git
 *
 * @typedef {object} Options
 * @property {string[]} defaults ignore rules that come before those of the source
 * @property {number} [maxFiles] more files than these are an error, told at once
 * @property {(count: number) => void} [onFound] told how many files there are so far
 *
 * @typedef {object} Node a file, or a folder where `list` is there
 * @property {string} name
 * @property {() => Promise<Node[]>} [list]
 * @property {() => Promise<File>} [file]
 */

/**
 * To be called while the drop is handled: afterwards its items are gone.
 *
 * @param {DataTransfer} transfer
 * @param {Options} options
 * @returns {Promise<Folder>}
 */
export function readDrop(transfer, options) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return collect(entries.map(nodeOf), options);
}

/**
 * @param {Iterable<File>} list of an `<input type="file">`, of any kind
 * @param {Options} options
 * @returns {Promise<Folder>}
 */
export function readInput(list, options) {
  const top = new Map();
  for (const file of list) {
    const parts = (file.webkitRelativePath || file.name).split("/");
    const name = parts.pop();
    let folder = top;
    for (const part of parts) {
      if (!folder.has(part)) folder.set(part, new Map());
      folder = folder.get(part);
    }
    folder.set(name, file);
  }
  return collect(nodesOf(top), options);
}

/**
 * @param {Found[]} files
 * @returns {string} the ten largest, with their sizes
 */
export function largestOf(files) {
  const largest = [...files].sort((a, b) => b.file.size - a.file.size).slice(0, 10);
  return largest.map(({ path, file }) => `${path} (${formatBytes(file.size)})`).join(", ");
}

/**
 * @param {Folder} folder one without files
 * @returns {string} why there are none, as runs/snapshots/collector.py says it
 */
export function nothingIn({ leftOut: [first] }) {
  if (!first) return "The source holds no files. Send one with a script.";
  return (
    "The source holds no files but those that its ignore rules leave out, such as " +
    `“${first.path}” (${first.rule}). Change the rules, or send another source.`
  );
}

/** @returns {Promise<Folder>} */
async function collect(nodes, options) {
  const collector = new Collector(options);
  const [first] = nodes;
  const isFolder = nodes.length === 1 && Boolean(first.list);
  await collector.walk("", isFolder ? await first.list() : nodes);
  return collector.folder(nodes.length === 1 ? first.name : "");
}

/** @returns {Node} */
function nodeOf(entry) {
  const { name } = entry;
  if (!entry.isDirectory) {
    return { name, file: () => answer(name, (...found) => entry.file(...found)) };
  }
  return { name, list: () => listed(entry) };
}

async function listed(entry) {
  const reader = entry.createReader();
  const all = [];
  // Each answer has some of them, in Chromium a hundred; an empty one is the end.
  for (;;) {
    const some = await answer(entry.name, (...found) => reader.readEntries(...found));
    if (some.length === 0) return all.map(nodeOf);
    all.push(...some);
  }
}

/** What `ask` calls back with. */
function answer(name, ask) {
  return new Promise((resolve, reject) => {
    const fail = () =>
      reject(new Error(`“${name}” can't be read: allow it, or leave it out.`));
    ask(resolve, fail);
  });
}

function nodesOf(folder) {
  return [...folder].map(([name, inside]) =>
    inside instanceof Map
      ? { name, list: async () => nodesOf(inside) }
      : { name, file: async () => inside },
  );
}

class Collector {
  #files = [];
  #emptyFolders = [];
  #leftOut = [];
  #git = null;
  #rules;
  #options;

  constructor(options) {
    this.#options = options;
    this.#rules = new IgnoreRules(options.defaults);
  }

  async walk(folder, nodes) {
    if (folder && nodes.length === 0) this.#emptyFolders.push(folder);
    await this.#readRules(folder, nodes);
    const prefix = folder ? `${folder}/` : "";
    await Promise.all(nodes.map((node) => this.#take(prefix + node.name, node)));
  }

  async #readRules(folder, nodes) {
    const files = new Map(nodes.filter(({ file }) => file).map((node) => [node.name, node]));
    const name = this.#rules.fileIn(folder, files);
    if (!name) return;
    const file = await files.get(name).file();
    this.#rules.add(folder, name, new Uint8Array(await file.arrayBuffer()));
  }

  async #take(path, node) {
    if (path === ".git" && node.list) this.#git = node;
    const rule = this.#rules.leftOutBy(path, Boolean(node.list));
    if (rule) this.#leftOut.push({ path, rule: spell(rule) });
    else if (node.list) await this.walk(path, await node.list());
    else this.#add(path, await node.file());
  }

  #add(path, file) {
    const { maxFiles = Infinity, onFound } = this.#options;
    this.#files.push({ path, file });
    onFound?.(this.#files.length);
    if (this.#files.length <= maxFiles) return;
    const most = maxFiles.toLocaleString("en");
    throw new Error(
      `There are more than ${most} files. Leave out what the script does not need. ` +
        `The largest so far: ${largestOf(this.#files)}.`,
    );
  }

  folder(name) {
    const files = this.#files.sort((a, b) => (a.path < b.path ? -1 : 1));
    return {
      name,
      files,
      emptyFolders: this.#emptyFolders,
      leftOut: this.#leftOut.sort((a, b) => (a.path < b.path ? -1 : 1)),
      totalBytes: files.reduce((total, { file }) => total + file.size, 0),
      git: this.#git,
    };
  }
}

function spell(rule) {
  return `${rule.file ? `${rule.file}:${rule.line}` : "by default"}: ${rule.text}`;
}
