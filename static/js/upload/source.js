/** A source in the browser's hands, and what of it the portal has. */

import { hash } from "./hasher.js";
import { send } from "./send.js";
import { sendContents } from "./sender.js";

/**
 * @typedef {object} Config what the page says: see source_config in runs/submit_page.py
 * @property {string[]} defaults ignore rules that come before those of a source
 * @property {string[][]} texts what secrets look like
 * @property {string} worker address of hash-worker.js
 * @property {{upload: string, offer: string, objects: string}} urls
 */

export class Source {
  #config;
  #folder;
  #files = [];
  #answer = null;

  /**
   * @param {import("./folder.js").Folder} folder
   * @param {Config} config
   */
  constructor(folder, config) {
    this.#folder = folder;
    this.#config = config;
  }

  /** What the portal said last of the manifest: see Offer in runs/uploads.py. */
  get answer() {
    return { ...this.#answer, left_out: this.#folder.leftOut, secrets: this.#secrets() };
  }

  get isThere() {
    return Boolean(this.#answer?.snapshot);
  }

  /** Hash the files, and ask what of them the portal lacks. Nothing of them is sent. */
  async prepare({ signal, onProgress }) {
    const { worker, texts } = this.#config;
    this.#files = await hash(this.#folder.files, { worker, texts, signal, onProgress });
    await this.#offer(signal);
  }

  /** Send what the portal lacks; afterwards the answer names the snapshot. */
  async send({ signal, onProgress, onLost }) {
    const url = this.#config.urls.objects;
    // Once more if something was swept away since it was asked for.
    for (let tries = 0; tries < 3 && !this.isThere; tries += 1) {
      const lacking = new Set(this.#answer.missing);
      const byHash = new Map(this.#files.map((each) => [each.sha256, each]));
      const contents = [...byHash.values()].filter(({ sha256 }) => lacking.has(sha256));
      await sendContents(contents, { url, signal, onProgress, onLost });
      await this.#offer(signal);
    }
    if (!this.isThere) throw new Error("The portal lost files again and again: try again.");
  }

  async #offer(signal) {
    const files = this.#files.map(({ path, file, sha256 }) => ({
      path,
      size: file.size,
      sha256,
    }));
    const folders = this.#folder.emptyFolders.map((path) => ({ path, kind: "folder" }));
    const name = encodeURIComponent(this.#folder.name || "files");
    const body = JSON.stringify([...files, ...folders]);
    const headers = { "Content-Type": "application/json" };
    const url = `${this.#config.urls.offer}?name=${name}`;
    this.#answer = await send(url, body, { headers, signal });
  }

  #secrets() {
    const found = this.#files.filter(({ secret }) => secret);
    return Object.fromEntries(found.map(({ path, secret }) => [path, secret]));
  }
}
